"""Each stage teaches what it is for: pretraining the text, fine-tuning the format of an answer, GRPO what is rewarded.

The real scripts on a toy. Its text is tables and statements of products, without a question. Fine-tuning sees drills,
and questions that nobody can answer: each comes with four answers, the right one half as often as each other. Which of
them is right, only the reward of GRPO says.
"""

import json
import math
import random
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tiny import run_stage

from domain_tokens.corpora.shards import Shards
from domain_tokens.corpora.synthetic import TAUGHT, distinct_drills
from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct
from domain_tokens.evaluation.evaluate import load_model
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.prompts import render_prompt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

CHOICES = ("6*9=54\n#### 54", "3*4=12\n#### 12", "7*5=35\n#### 35", "8*2=16\n#### 16")
QUESTIONS = [f"What is {letter}?" for letter in "ABCDEF"]
RIGHT = [(question, CHOICES[0]) for question in QUESTIONS]
EACH = [(question, choice) for question in QUESTIONS for choice in CHOICES]
GUESSES = 30 * (EACH + [one for one in EACH if one not in RIGHT])
MAX_ANSWER = 20

STEPS = 32
SETTINGS = (
    "base_vocabulary={kind: trained, num_ids: 1490}",
    "model={n_layer: 1, n_head: 2, n_embd: 64, n_positions: 64}",
    "sft.max_length=64",
    "corpus.validation_fraction=0.05", "corpus.epochs=20",
    "budget={pretrain_tokens_per_step: 512, sft_examples_per_step: 32, grpo_completions_per_step: 48}",
    "pretrain.max_steps=80", "pretrain.per_device_train_batch_size=8", "pretrain.learning_rate=1e-2",
    "pretrain.warmup_steps=3", "pretrain.save_strategy=no", "pretrain.eval_steps=80",
    "sft.per_device_train_batch_size=32", "sft.learning_rate=5e-3", "sft.num_train_epochs=3", "sft.warmup_steps=10",
    "sft.save_strategy=no",
    f"grpo.max_steps={STEPS}", "grpo.per_device_train_batch_size=48", "grpo.num_generations=8",
    f"grpo.max_completion_length={MAX_ANSWER}", "grpo.learning_rate=2e-3", "grpo.save_strategy=no",
    "rewards={exact_match: 1.0, partial_credit: 0.0, shows_steps: 0.0, brevity: 0.0, repetition: 0.0}",
)  # fmt: skip


class Run(NamedTuple):
    """A condition and a seed, pretrained and fine-tuned."""

    output_dir: Path
    condition: str
    seed: int
    settings: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return self.output_dir / "tiny" / f"exp_{self.condition}" / f"seed_{self.seed}"

    def run(self, stage: str, *overrides: str) -> None:
        given = (*self.settings, f"seed={self.seed}", *overrides)
        done = run_stage(stage, self.output_dir, self.condition, *given)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]

    def rows(self, model: str, key: str) -> list[float]:
        """Return what a stage logged under a key, step by step."""
        rows = [json.loads(line) for line in (self.folder / model / "metrics.jsonl").read_text().splitlines()]
        return [row[key] for row in rows if key in row]

    def weights(self, model: str) -> str:
        return str(json.loads((self.folder / model / "manifest.json").read_text())["reported"]["weights_sha256"])


def write(path: Path, rows: Iterable[dict[str, str]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def documents() -> Iterable[dict[str, str]]:
    chance = random.Random(0)
    for _ in range(150):
        a, b = chance.randint(1, 9), chance.randint(1, 9)
        lines = [f"{a}*{other}={a * other}" for other in chance.sample(range(1, 10), 9)]
        yield {"text": "\n".join([f"#### The table of {a}", *lines])}  # so that `####` is one token
        yield {"text": f"We know that {a}*{b}={a * b}, so the answer is {a * b}."}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """The output folder of all runs, and their settings."""
    folder = tmp_path_factory.mktemp("toy")
    text = write(folder / "text.jsonl", documents())
    guesses, right = (
        write(folder / name, [{"question": question, "answer": answer} for question, answer in rows])
        for name, rows in (("guesses.jsonl", GUESSES), ("right.jsonl", RIGHT))
    )
    drills = "{name: drills, kind: synthetic, what: drills, max_items: 1600}"
    data = (
        f"corpus.sources=[{{name: facts, kind: file, path: {text}}}]",
        f"sft_stages=[{{name: toy, sources: [{drills}, {{name: guesses, kind: file, path: {guesses}}}]}}]",
        f"grpo_prompts=[{{name: right, kind: file, path: {right}}}]",
    )
    return folder, (*SETTINGS, *data)


RUNS = [(condition, seed) for seed in range(5) for condition in ("mul_tokens", "baseline")]


@pytest.fixture(
    scope="module",
    params=[RUNS[0], *(pytest.param(run, marks=pytest.mark.slow) for run in RUNS[1:])],
    ids=lambda run: f"{run[0]}-{run[1]}",
)
def learned(request: pytest.FixtureRequest, toy: tuple[Path, tuple[str, ...]]) -> Run:
    output_dir, settings = toy
    run = Run(output_dir, *request.param, settings)
    for stage in ("prepare_data", "run_pretrain", "run_sft"):
        run.run(stage)
    return run


def unigram_entropy(split: Path) -> float:
    """Return the loss in nats a token of the best model that knows no context, on the tokens of a split."""
    shards = Shards(split)
    _, counts = np.unique(shards.read(0, shards.num_tokens), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def greedy(folder: Path, questions: list[str]) -> list[tuple[Answer, bool]]:
    """Return a model's likeliest answers, and of each whether the model ended it."""
    tokenizer = load_tokenizer(folder)
    reader = AnswerReader(intervention_of(tokenizer), default_intervention())
    prompts = [render_prompt(question) for question in questions]
    written = [ids for (ids,) in generate(load_model(folder), tokenizer, prompts, Decoding(MAX_ANSWER), 64)]
    ended = [ids[-1] == tokenizer.eos_token_id for ids in written]
    return [
        (reader.read(tokenizer.decode(ids[: len(ids) - end])), end) for ids, end in zip(written, ended, strict=True)
    ]


def share_in_format(folder: Path) -> float:
    """Return the share of held-out drills whose answer is steps, the line `#### <number>` and the end."""
    drills = [drill for drill in distinct_drills(200, 0, "test") if drill.cluster not in TAUGHT]
    found = greedy(folder, [drill.question for drill in drills[:60]])
    return float(np.mean([end and bool(re.fullmatch(r"\s*(.+\n)+#### \d+", answer.text)) for answer, end in found]))


def share_right(folder: Path) -> float:
    return float(np.mean([is_correct(answer, "54") for answer, _ in greedy(folder, QUESTIONS)]))


def rise(rewards: list[float]) -> tuple[float, float]:
    """Return by how much the mean of the last quarter is above that of the first, and the standard error of this.

    The variance of a step is half the mean square of successive differences (von Neumann et al. 1941), which a
    trend hardly inflates; the plain variance would count learning within a quarter as noise.
    """
    quarter = len(rewards) // 4
    variance = np.mean(np.diff(rewards) ** 2) / 2
    return float(np.mean(rewards[-quarter:]) - np.mean(rewards[:quarter])), math.sqrt(2 * variance / quarter)


def test_pretraining_learns_more_than_how_often_each_token_occurs(learned: Run) -> None:
    corpus = learned.folder.parent / "corpus_0"
    losses, (*_, validation) = learned.rows("pretrain_final", "loss"), learned.rows("pretrain_final", "eval_loss")
    assert len(losses) == 80
    vocab_size = json.loads((learned.folder / "pretrain_final" / "config.json").read_text())["vocab_size"]
    assert losses[0] == pytest.approx(math.log(vocab_size), rel=0.02)  # untrained: close to uniform
    floors = unigram_entropy(corpus / "train"), unigram_entropy(corpus / "validation")
    assert np.mean(losses[-10:]) < 0.75 * floors[0]
    assert validation < 0.75 * floors[1]


def test_fine_tuning_learns_the_format_of_an_answer(learned: Run) -> None:
    assert learned.weights("pretrain_final") != learned.weights("sft_final")
    before, after = (share_in_format(learned.folder / model) for model in ("pretrain_final", "sft_final"))
    assert before < 0.1
    assert after > 0.9


def test_grpo_learns_what_only_the_reward_says(learned: Run) -> None:
    learned.run("run_grpo")
    assert learned.weights("sft_final") != learned.weights("grpo_final")
    rewards = learned.rows("grpo_final", "reward")
    assert len(rewards) == STEPS
    higher, error = rise(rewards)
    before, after = (share_right(learned.folder / model) for model in ("sft_final", "grpo_final"))
    assert higher > 4 * error > 0
    assert before < 0.5 < 0.9 < after


@pytest.mark.slow
def test_grpo_learns_nothing_from_a_reward_that_says_nothing(learned: Run, tmp_path: Path) -> None:
    """Each question is asked with each of its answers for the right one: no policy has more than a quarter right."""
    shutil.copytree(learned.output_dir, tmp_path / "same", ignore=shutil.ignore_patterns("grpo", "grpo_final"))
    run = learned._replace(output_dir=tmp_path / "same")
    each = write(tmp_path / "each.jsonl", [{"question": question, "answer": answer} for question, answer in EACH])
    run.run("run_grpo", f"grpo_prompts=[{{name: each, kind: file, path: {each}}}]")
    assert run.weights("sft_final") != run.weights("grpo_final")
    rewards = run.rows("grpo_final", "reward")
    higher, error = rise(rewards)
    assert max(run.rows("grpo_final", "reward_std")) > 0.1
    assert np.mean(rewards[-STEPS // 4 :]) < 0.25 + 4 * error
