"""lighteval's numbers against the same model run by hand."""

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from answers import reader
from transformers import GPT2LMHeadModel

from domain_tokens.evaluation.models import _lighteval
from domain_tokens.evaluation.models.lighteval_adapter import LocalModel, run_task
from domain_tokens.evaluation.tasks import _generative, load_task
from domain_tokens.evaluation.tasks._base import Reader
from domain_tokens.evaluation.tasks._generative import STOP
from domain_tokens.recipe import Recipe
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.prompts import render_prompt

WORDS = [
    "the",
    "a",
    "dog",
    "man",
    "water",
    "street",
    "runs",
    "sings",
    "12",
    "6*9=54",
    "6*9=55",
    "7",
    "x",
    "8",
    "bread,",
    "slowly.",
    "éclair",
    "then",
    "on",
]


def _text(rng: random.Random, most: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(2, most)))


def test_choices_are_scored_like_a_plain_forward_pass(
    condition: str, tmp_path: Path, tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel]
) -> None:
    rng = random.Random(0)
    rows = [
        {
            "id": str(i),
            "question": _text(rng, 20),
            "choices": [_text(rng, 9) for _ in range(4)],
            "label": rng.randrange(4),
        }
        for i in range(20)
    ]
    model = save_model(tmp_path, initializer_range=0.2)
    tokenizer = load_tokenizer(tokenizer_dirs[condition])
    task = load_task("hellaswag")
    details = run_task(task.config(Evaluation(), reader()), rows, model, tokenizer, batch_size=64)
    items = [
        task.item(row, detail.model_response, detail.metric, Reader(tokenizer, reader())).as_json()
        for row, detail in zip(rows, details, strict=True)
    ]
    assert [item["id"] for item in items] == [row["id"] for row in rows]
    for row, item in zip(rows, items, strict=True):
        by_hand = []
        for choice in row["choices"]:
            context, continuation = tokenizer.encode(row["question"]), tokenizer.encode(f" {choice}")
            with torch.no_grad():
                logprobs = model(torch.tensor([context + continuation])).logits[0].log_softmax(-1)
            by_hand.append(
                sum(logprobs[len(context) - 1 + place, token].item() for place, token in enumerate(continuation))
            )
        assert item["logprobs"] == pytest.approx(by_hand, rel=1e-5)
        per_character = [value / len(choice) for value, choice in zip(by_hand, row["choices"], strict=True)]
        assert item["prediction"] == by_hand.index(max(by_hand))
        assert item["prediction_norm"] == per_character.index(max(per_character))
        assert item["correct"] == (item["prediction"] == row["label"])
        assert item["correct_norm"] == (item["prediction_norm"] == row["label"])


def test_answers_are_what_the_model_writes_after_the_whole_prompt(
    condition: str, tmp_path: Path, tokenizer_dirs: dict[str, Path], save_model: Callable[..., GPT2LMHeadModel]
) -> None:
    rng = random.Random(0)
    rows = [{"id": str(i), "group": None, "question": _text(rng, 40), "gold": "1"} for i in range(12)]
    model = save_model(tmp_path, initializer_range=0.2)
    tokenizer = load_tokenizer(tokenizer_dirs[condition])
    task = load_task("gsm8k")
    config = task.config(Evaluation(max_new_tokens=6), reader())  # shorter than every prompt
    details = run_task(config, rows, model, tokenizer, batch_size=4)
    items = [
        task.item(row, detail.model_response, detail.metric, Reader(tokenizer, reader())).as_json()
        for row, detail in zip(rows, details, strict=True)
    ]
    for row, item in zip(rows, items, strict=True):
        token_ids = tokenizer.encode(render_prompt(row["question"]))
        length = len(token_ids)
        while len(token_ids) < length + 6:
            with torch.no_grad():
                token_ids.append(int(model(torch.tensor([token_ids])).logits[0, -1].argmax()))
        written = tokenizer.decode(token_ids[length:]).split(tokenizer.eos_token)[0].split(STOP)[0]
        assert item["answer"] == written
        assert item["question"] == row["question"]
    assert len({item["answer"] for item in items}) > 1


def test_generation_stops_at_the_next_question(
    tmp_path: Path,
    tokenizer_dirs: dict[str, Path],
    save_model: Callable[..., GPT2LMHeadModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = load_tokenizer(tokenizer_dirs["baseline"])
    (stop,) = tokenizer.encode(" stop")
    model = save_model(tmp_path)
    with torch.no_grad():  # a model that writes ` stop` whatever it is asked
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(100 * model.lm_head.weight[stop])
    monkeypatch.setattr(_generative, "STOP", " stop")
    task = load_task("gsm8k")
    rows = [{"id": "0", "group": None, "question": "How many?", "gold": "1"}]
    (detail,) = run_task(task.config(Evaluation(max_new_tokens=6), reader()), rows, model, tokenizer, batch_size=4)
    assert len(detail.model_response.output_tokens[0]) == 1
    item = task.item(rows[0], detail.model_response, detail.metric, Reader(tokenizer, reader()))
    assert (item.answer, item.num_tokens, item.finished) == ("", 0, True)


def test_scores_belong_to_their_rows(
    tmp_path: Path,
    tokenizer_dirs: dict[str, Path],
    save_model: Callable[..., GPT2LMHeadModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer_right(self, docs):
        responses = real(self, docs)
        for doc, response in zip(docs, responses, strict=True):
            response.text = [f"#### {doc.choices[0]}"]
        return responses

    real = LocalModel.greedy_until
    monkeypatch.setattr(LocalModel, "greedy_until", answer_right)
    rows = load_task("arithmetic").read_rows(Recipe())[60:90]
    config = load_task("arithmetic").config(Evaluation(max_new_tokens=1), reader())
    tokenizer = load_tokenizer(tokenizer_dirs["baseline"])
    details = run_task(config, rows, save_model(tmp_path), tokenizer, batch_size=32)
    assert [detail.doc.specific["id"] for detail in details] == [row["id"] for row in rows]
    assert [detail.model_response.text for detail in details] == [[f"#### {row['gold']}"] for row in rows]
    assert [detail.metric["accuracy"] for detail in details] == [1] * len(rows)


def test_lighteval_is_imported_where_gradients_are_restored_and_nowhere_else() -> None:
    assert "lighteval.models" in sys.modules
    assert torch.is_grad_enabled()
    source = Path(_lighteval.__file__).parents[2]
    found = [
        path for path in source.rglob("*.py") if re.search(r"^ *(from|import) lighteval\b", path.read_text(), re.M)
    ]
    assert found == [Path(_lighteval.__file__)]
