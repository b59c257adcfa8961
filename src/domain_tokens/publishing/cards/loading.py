"""How to load a model and ask it: lines of Python that need `transformers` alone, or `peft` too for adapters."""

import json
import re
from collections.abc import Iterator

from domain_tokens.publishing.cards.run import TrainedModel
from domain_tokens.runs.layout import ADAPTER_CONFIG
from domain_tokens.tokenization.intervention import OPERATIONS, Facts, Intervention
from domain_tokens.tokenization.prompts import product_question

_SIMPLE = re.compile(r"(?:[\w<>*+=., -]|\{[abc]\})*")  # a template that can be an f-string as it is
_PER_LINE = 4
STEP_REVISION = "step-"
"""The beginning of the name of a checkpoint's revision: `step-1000`."""


def has_adapters_alone(model: TrainedModel) -> bool:
    """Return whether a folder holds adapters without the model on which they rest."""
    return (model.folder / ADAPTER_CONFIG).is_file()


def snippet(model: TrainedModel, repo_id: str, base: str) -> list[str]:
    """Return lines that load a model, ask it a question and print the answer with its tokens written out.

    Args:
        model (`TrainedModel`): the model.
        repo_id (`str`): where it is published.
        base (`str`): where the model is on which adapters rest.
    """
    adapters = has_adapters_alone(model)
    revision = "" if model.step is None else f', revision="{STEP_REVISION}{model.step}"'
    lines = [
        *(["from peft import PeftModel"] if adapters else []),
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f"repository = {json.dumps(repo_id)}  # or the folder of a copy",
    ]
    if adapters:
        lines += [
            f"base = {json.dumps(base)}  # the model on which the adapters rest: its repository, or its folder",
            "model = AutoModelForCausalLM.from_pretrained(base)",
            f"model = PeftModel.from_pretrained(model, repository{revision}).merge_and_unload()",
        ]
    else:
        lines += [f"model = AutoModelForCausalLM.from_pretrained(repository{revision})"]
    limit = model.last.recipe.evaluation.max_new_tokens
    return [
        *lines,
        f"tokenizer = AutoTokenizer.from_pretrained(repository{revision})",
        "",
        f'question = [{{"role": "user", "content": "{product_question(6, 9)}"}}]',
        "prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)",
        'inputs = tokenizer(prompt, return_tensors="pt")',
        f"settings = dict(max_new_tokens={limit}, do_sample=False, pad_token_id=tokenizer.eos_token_id)",
        "output = model.generate(**inputs, **settings)",
        'answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)',
        *_expanding(model.intervention),
        "print(answer)",
    ]


def expansions(intervention: Intervention) -> dict[str, str]:
    """Return the text that each token of an intervention stands for, without those that stand for their own names."""
    entries = [one for one in intervention.entries() if one.token is not None and one.token != one.text]
    return {str(one.token): one.text for one in entries}


def _expanding(intervention: Intervention) -> Iterator[str]:
    """Yield lines that write every token of an answer as what it stands for."""
    texts = expansions(intervention)
    if not texts:
        return
    yield ""
    yield "# Every token of the intervention is written as the text that it stands for."
    facts = intervention.facts
    if facts is not None and _as_rule(facts) == texts:
        first, second = (f'"{one.replace("{c}", f"{{a {facts.operation} b}}")}"' for one in _templates(facts))
        low, high = facts.operands
        inner = "a" if facts.folded else low
        yield f"table = [(a, b) for a in range({low}, {high + 1}) for b in range({inner}, {high + 1})]"
        yield f"facts = {{f{first}: f{second} for a, b in table}}"
    else:
        yield "facts = {"
        pairs = [f"{name!r}: {text!r}" for name, text in texts.items()]
        for start in range(0, len(pairs), _PER_LINE):
            yield f"    {', '.join(pairs[start : start + _PER_LINE])},"
        yield "}"
    yield "for name, text in facts.items():"
    yield "    answer = answer.replace(name, text)"


def _templates(facts: Facts) -> tuple[str, str]:
    return facts.token or "", facts.text


def _as_rule(facts: Facts) -> dict[str, str] | None:
    """Return what two f-strings over the table's operands make of a table of facts; `None` if they cannot be used."""
    name, text = _templates(facts)
    if not (_SIMPLE.fullmatch(name) and _SIMPLE.fullmatch(text)):
        return None
    (low, high), compute = facts.operands, OPERATIONS[facts.operation]
    pairs = [(a, b) for a in range(low, high + 1) for b in range(a if facts.folded else low, high + 1)]
    return {name.format(a=a, b=b, c=compute(a, b)): text.format(a=a, b=b, c=compute(a, b)) for a, b in pairs}
