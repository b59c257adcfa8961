"""The same model on the same items as lm-evaluation-harness runs them: its `HFLM`, its HellaSwag, greedy GSM8K."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from answers import reader
from real_data import Data
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.sources import read_rows
from domain_tokens.evaluation.models.lighteval_adapter import run_task
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._base import Reader
from domain_tokens.evaluation.tasks._generative import STOP
from domain_tokens.recipe import Recipe, Source
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.contract import load_tokenizer

if TYPE_CHECKING:  # takes two seconds; imported by the tests, which are slow ones
    from lm_eval.models.huggingface import HFLM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUM_ITEMS = 200
NUM_QUESTIONS = 20
NUM_NEW_TOKENS = 24
WORDS = [
    "the", "a", "dog", "woman", "water", "street", "runs", "sings", "12", "bread,", "slowly.", "éclair", "then", "on",
    "[step]", "  ", "3 x 4", "6*9=54", "[title]", "quietly",
]  # fmt: skip


def _scenes() -> list[dict[str, Any]]:
    """Generated scenes whose endings differ in length; every third with the marks of a WikiHow article."""
    rng = random.Random(0)
    rows = []
    for index, scene in enumerate(synthetic.clozes(NUM_ITEMS, 0, "test")):
        first, _, rest = str(scene["ctx"]).partition(". ")
        if index % 3 == 0:
            first = f"[header] How to {first} [title] {first}. [step] {rest}"
        endings = [
            ending if rng.random() < 0.3 else "He " + " ".join(rng.choices(WORDS, k=rng.randint(1, 25)))
            for ending in scene["endings"]  # type: ignore[attr-defined]
        ]
        rows.append(scene | {"ctx_a": first, "ctx_b": rest or "she then", "endings": endings})
    return rows


@pytest.fixture(scope="module")
def model(save_model: Callable[..., GPT2LMHeadModel], tmp_path_factory: pytest.TempPathFactory) -> GPT2LMHeadModel:
    """A model whose choices differ, although it has learned nothing."""
    return save_model(tmp_path_factory.mktemp("model"), initializer_range=0.2).eval()


@pytest.fixture(scope="module")
def tokenizers(tokenizer_dirs: dict[str, Path]) -> dict[str, PreTrainedTokenizerFast]:
    return {condition: load_tokenizer(folder) for condition, folder in tokenizer_dirs.items()}


def _ours(
    task_name: str, rows: list[dict[str, Any]], model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast
) -> list[dict[str, Any]]:
    task = load_task(task_name)
    config = task.config(Evaluation(max_new_tokens=NUM_NEW_TOKENS), reader())
    details = run_task(config, rows, model, tokenizer, batch_size=64)
    return [
        task.item(row, detail.model_response, detail.metric, Reader(tokenizer, reader())).as_json()
        for row, detail in zip(rows, details, strict=True)
    ]


def _harness(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> "HFLM":
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, max_length=model.config.n_positions)


def test_hellaswag_agrees_item_by_item(
    condition: str,
    model: GPT2LMHeadModel,
    tokenizers: dict[str, PreTrainedTokenizerFast],
    tmp_path: Path,
    write_source: Callable[..., Source],
) -> None:
    import datasets
    from lm_eval.api.instance import Instance
    from lm_eval.tasks.hellaswag.utils import process_docs

    raw = _scenes()
    recipe = Recipe(evaluation=Evaluation(tasks=["hellaswag"], data={"hellaswag": write_source(tmp_path, raw)}))
    items = _ours("hellaswag", load_task("hellaswag").read_rows(recipe), model, tokenizers[condition])

    documents = process_docs(datasets.Dataset.from_list(raw)).to_list()
    requests = [
        # `hellaswag.yaml`: doc_to_text `{{query}}`, doc_to_choice `choices`, a space between them.
        Instance("loglikelihood", document, (document["query"], f" {choice}"), place)
        for document in documents
        for place, choice in enumerate(document["choices"])
    ]
    scores = _harness(model, tokenizers[condition]).loglikelihood(requests, disable_tqdm=True)
    logprobs = torch.tensor([logprob for logprob, _ in scores]).view(NUM_ITEMS, 4)
    lengths = torch.tensor([[len(choice) for choice in document["choices"]] for document in documents])
    gold = torch.tensor([document["gold"] for document in documents])

    assert [item["question"] for item in items] == [document["query"] for document in documents]
    assert [item["choices"] for item in items] == [document["choices"] for document in documents]
    assert torch.tensor([item["logprobs"] for item in items]).sub(logprobs).abs().max() < 1e-3
    for theirs, prediction, correct in (
        (logprobs.argmax(1), "prediction", "correct"),
        ((logprobs / lengths).argmax(1), "prediction_norm", "correct_norm"),
    ):
        ours = torch.tensor([item[prediction] for item in items])
        assert (ours == theirs).float().mean() >= 0.99
        accuracy = sum(item[correct] for item in items) / NUM_ITEMS
        assert accuracy == pytest.approx(float((theirs == gold).float().mean()), abs=0.01)
        assert 0.1 < accuracy < 0.9
        assert len(set(theirs.tolist())) == 4
    by_characters = [item["prediction"] != item["prediction_norm"] for item in items]
    assert sum(by_characters) > NUM_ITEMS / 20  # or the normalization would not be tested


def test_greedy_answers_are_the_same_texts(
    condition: str, model: GPT2LMHeadModel, tokenizers: dict[str, PreTrainedTokenizerFast], data: Data
) -> None:
    from lm_eval.api.instance import Instance

    source = Source(name="gsm8k", kind="file", path=str(data.folder / "gsm8k" / "test.jsonl"))
    rows = [
        {"id": str(index), "group": None, "question": raw["question"], "gold": raw["answer"].rpartition("####")[2]}
        for index, raw in enumerate(read_rows(source, 0, "test")[:NUM_QUESTIONS])
    ]
    assert len(rows) == NUM_QUESTIONS
    tokenizer = tokenizers[condition]
    items = _ours("gsm8k", rows, model, tokenizer)
    arguments = {"until": [STOP, tokenizer.eos_token], "max_gen_toks": NUM_NEW_TOKENS, "do_sample": False}
    requests = [
        Instance("generate_until", row, (load_task("gsm8k").prompt(row, "gsm8k").query, arguments), place)
        for place, row in enumerate(rows)
    ]
    theirs = _harness(model, tokenizer).generate_until(requests, disable_tqdm=True)
    differing = [
        (item["id"], item["answer"], text) for item, text in zip(items, theirs, strict=True) if item["answer"] != text
    ]
    assert len(differing) <= NUM_QUESTIONS * 0.05, differing
    assert len({item["answer"] for item in items}) > NUM_QUESTIONS / 2
