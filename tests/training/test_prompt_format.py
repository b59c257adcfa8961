"""One prompt format, byte for byte: what fine-tuning, GRPO, evaluation, sampling and a chat give a model."""

import io
import shutil
import sys
from pathlib import Path

import pytest
from test_conversations import prepared
from test_grpo import model_that_ends_now_and_then
from transformers import PreTrainedTokenizerFast
from trl import GRPOConfig

from domain_tokens.cli.sample import main as sample
from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.models import answer_ends, inference
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.recipe import load_recipe
from domain_tokens.tokenization.prompts import user_message
from domain_tokens.training.post_training.chat_data import prompts_with_gold
from domain_tokens.training.trainers.completions import CompletionTrainer

QUESTIONS = {
    "plain": "What is 6 times 9?",
    "facts": "Is 6*9=54, and 3 x 7 = 21?",
    "spaces": "  Ann has 6 * 9 pens.\n\nHow many?\n ",
    "marks": "Assistant: 5\nUser: \u00bd \u2713 \u4e09\u4e03\u4e8c\u5341\u4e00?",
    "template": "{{ messages }} {% if x %}",
}
Ids = list[list[int]]


@pytest.fixture(params=("baseline", "mul_tokens"))
def tokenizer(
    request: pytest.FixtureRequest, tokenizers: dict[str, PreTrainedTokenizerFast]
) -> PreTrainedTokenizerFast:
    return tokenizers[request.param]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tokenizer, tokenizer_dirs: dict[str, Path], tmp_path: Path) -> Path:
    """A saved model with the tokenizer of the condition."""
    name = next(name for name, one in request.getfixturevalue("tokenizers").items() if one is tokenizer)
    shutil.copytree(tokenizer_dirs[name], tmp_path / "model")
    model_that_ends_now_and_then().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def fine_tuning(tokenizer: PreTrainedTokenizerFast, folder: Path, *, turns: bool) -> Ids:
    """Return what stands before the first learned token of each example, as `SFTTrainer` prepares it."""
    rows = prepared(tokenizer, [Example(one, "#### 54") for one in QUESTIONS.values()], folder, turns=turns)
    firsts = [next(at for at, label in enumerate(row["labels"]) if label != -100) for row in rows]
    return [row["input_ids"][:first] for row, first in zip(rows, firsts, strict=True)]


def grpo(tokenizer: PreTrainedTokenizerFast, folder: Path) -> Ids:
    """Return the prompts that `GRPOTrainer` samples from."""
    dataset = prompts_with_gold([Example(one, "#### 54") for one in QUESTIONS.values()])
    arguments = GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=2, num_generations=2, use_cpu=True, bf16=False,
        report_to="none",
    )  # fmt: skip
    trainer = CompletionTrainer(
        model=model_that_ends_now_and_then(), args=arguments, train_dataset=dataset,
        reward_funcs=[lambda **_: [0.0]], processing_class=tokenizer,
    )  # fmt: skip
    found = trainer._tokenize_prompts([row["prompt"] for row in dataset])
    ids: Ids = found[0]
    return ids


def spied(monkeypatch: pytest.MonkeyPatch) -> Ids:
    """Return a list that receives the ids of every prompt that `inference.generate` gives a model, in their order."""
    given: Ids = []
    write = inference._write

    def see(model: object, prompts: Ids, *rest: object) -> Ids:
        given.extend(prompts)
        return write(model, prompts, *rest)

    monkeypatch.setattr(inference, "_write", see)
    return given


def sampling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Ids:
    given = spied(monkeypatch)
    prompts = [word for one in QUESTIONS.values() for word in ("--prompt", one)]
    monkeypatch.setattr(sys, "argv", ["sample.py", str(folder), *prompts, "--max-new-tokens", "2"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    sample("Show what models write.")
    return given


@pytest.fixture
def chat(tokenizer: PreTrainedTokenizerFast) -> Ids:
    """The prompts as the tokenizer's own chat template makes them, for whoever loads it."""
    return [
        tokenizer.apply_chat_template(user_message(one), add_generation_prompt=True)["input_ids"]
        for one in QUESTIONS.values()
    ]


def test_every_way_to_a_model_gives_it_the_same_prompt(
    tokenizer: PreTrainedTokenizerFast, folder: Path, chat: Ids, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    task = load_task("gsm8k")
    rows = [{"id": name, "group": None, "question": one, "gold": "54"} for name, one in QUESTIONS.items()]
    texts = [task.prompt(row, "gsm8k").query for row in rows]
    found = {
        "fine-tuning": fine_tuning(tokenizer, tmp_path, turns=False),
        "fine-tuning on conversations": fine_tuning(tokenizer, tmp_path, turns=True),
        "GRPO": grpo(tokenizer, tmp_path),
        "evaluation": [tokenizer(text)["input_ids"] for text in texts],
        "sampling": sampling(folder, monkeypatch),
    }
    assert len(chat) == len(QUESTIONS) == len({tuple(ids) for ids in chat})
    for way, prompts in found.items():
        assert prompts == chat, way
    assert texts[2] == "User: Ann has 6 * 9 pens.\n\nHow many?\nAssistant:"
    assert tokenizer.decode(chat[0]) == texts[0].encode().decode() == "User: What is 6 times 9?\nAssistant:"
    capsys.readouterr()


def test_what_counts_the_answers_that_end_asks_in_the_same_format(tokenizer, chat: Ids) -> None:
    recipe = load_recipe(["recipes/baseline.yaml", "evaluation.max_new_tokens=8"])
    prompts = answer_ends.ending_prompts(recipe, list(QUESTIONS.values()), tokenizer)
    assert [tokenizer(prompt)["input_ids"] for prompt in prompts] == chat


def test_a_spy_sees_another_prompt(folder: Path, chat: Ids, monkeypatch: pytest.MonkeyPatch, tokenizer) -> None:
    given = spied(monkeypatch)
    from domain_tokens.evaluation.evaluate import load_model

    inference.generate(load_model(folder), tokenizer, ["User:What?\nAssistant: "], inference.Decoding(1), 1)
    assert len(given) == 1
    assert given[0] not in chat
