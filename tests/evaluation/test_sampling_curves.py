"""Curves over temperatures and numbers of answers: what is drawn, kept and refused, and what is made of it."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import run_inside
from transformers import GPT2LMHeadModel

from domain_tokens.analysis.measures import outcomes
from domain_tokens.analysis.statistics.crossed import crossed_difference
from domain_tokens.analysis.statistics.paired import wilson_interval
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.tasks._generative import STOP, trim
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.recipe.sections.repetition import Repetition
from domain_tokens.recipe.sections.stages import SFTStage
from domain_tokens.runs.preregistration import read_looks
from domain_tokens.sampling_curves.comparison import GREEDY, MAJORITY, PASSED, Curves, Side, tables
from domain_tokens.sampling_curves.drawing import Drawn, Wanted, _read, draw, prepare
from domain_tokens.sampling_curves.figure import draw_curves
from domain_tokens.sampling_curves.run import _curves, measure_curves
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.verifier import sampling
from domain_tokens.verifier.estimators import Samples, majority_at, pass_at
from domain_tokens.verifier.records import SampleCounts, SampledQuestion, SampledSolution

WANTED = Wanted("sft_final", "gsm8k", (0.5, 1.0), 4, seed=3)
GOLDS = (54, 54, 12, 7)
ROWS = [{"question": f"How many {one}?", "answer": f"#### {gold}"} for one, gold in zip("abcd", GOLDS, strict=True)]

Make = Callable[..., Recipe]


@pytest.fixture
def make(make_run: Make, write_source: Callable[..., Source], tmp_path: Path) -> Make:
    """Return a function that gives a run of a condition with an untrained model."""

    def run(condition: str, root: Path = tmp_path, **evaluation: Any) -> Recipe:
        source = write_source(tmp_path, ROWS)
        settings = {"max_new_tokens": 4, "batch_size": 8} | evaluation
        recipe = make_run(root, condition, ["gsm8k", "hellaswag"], data={"gsm8k": source}, **settings)
        recipe.sft_stages = [SFTStage(name="counting")]
        return recipe

    return run


@pytest.fixture
def both(make: Make) -> list[Recipe]:
    return [make(condition) for condition in ("baseline", "mul_tokens")]


def test_answers_are_those_of_the_model_and_kept(both: list[Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    runs = prepare(both, WANTED)
    assert [list(run.parts) for run in runs] == [[0.0, 0.5, 1.0]] * 2
    found = [draw(run) for run in runs]
    assert [[len(one.samples) for one in drawn.values()] for drawn in found] == [[4, 4, 4]] * 2
    assert [{len(one.right) for one in drawn.samples} for drawn in found[0].values()] == [{1}, {4}, {4}]
    run, tokenizer = runs[1], load_tokenizer(both[1].run_dir / "sft_final")
    model = GPT2LMHeadModel.from_pretrained(both[1].run_dir / "sft_final").eval()
    prompts = [one.prompt for one in run.parts[0.5].questions]
    drawn = generate(model, tokenizer, prompts, Decoding(4, STOP, 4, 0.5, seed=3), 8)
    kept = sampling.sample(run.parts[0.5], sampling.Generator(both[1], run.identity, tokenizer))
    assert [[list(one.ids) for one in row.samples] for row in kept.rows] == [
        [trim(ids, tokenizer)[0] for ids in answers] for answers in drawn
    ]
    assert len({one.ids for row in kept.rows for one in row.samples}) > 8
    monkeypatch.setattr(sampling, "generate", None)  # nothing is drawn again
    assert [draw(run) for run in prepare(both, WANTED)] == found
    assert {(look.what, *look.conditions) for look in read_looks(both[0].experiment_dir) or ()} == {
        ("evaluation", "baseline"), ("evaluation", "mul_tokens"),
    }  # fmt: skip


def test_an_answer_that_the_prompt_begins_is_read_with_its_beginning(make: Make) -> None:
    recipe = make("mul_tokens")
    recipe.evaluation.tasks = ["gsm8k_direct"]
    (run,) = prepare([recipe], Wanted("sft_final", "gsm8k_direct", (1.0,), 2))
    assert run.parts[1.0].settings["beginning"] == "####"
    assert run.parts[1.0].questions[0].prompt.endswith("Assistant: ####")
    generator = sampling.Generator(recipe, run.identity, load_tokenizer(recipe.run_dir / "sft_final"))
    rows = [
        SampledQuestion(
            id=one.id,
            question=one.question,
            gold=one.gold,
            samples=tuple(SampledSolution(ids=(), text=text, finished=True) for text in (" 54", "no number")),
        )
        for one in run.parts[1.0].questions
    ]
    counts = SampleCounts(
        num_samples=8, right=2, unfinished=2, generated_tokens=0, prompt_tokens=0, flops=0, batch_size=1
    )
    found = _read(sampling.Sampled(run.parts[1.0], rows, "", counts), generator)
    assert [one.right for one in found.samples] == [(True, False), (True, False), (False, False), (False, False)]
    assert {one.numbers for one in found.samples} == {(54, None)}
    assert found.finished == 0.75


def test_interrupted_drawing_goes_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make("baseline", batch_size=1)  # one question at a time
    real, starts = sampling._answer, []

    def answer(part: Any, generator: Any, start: int, stop: int) -> Any:
        starts.append((part.temperature, start))
        if len(starts) == 4:
            raise KeyboardInterrupt
        return real(part, generator, start, stop)

    monkeypatch.setattr(sampling, "_answer", answer)
    (run,) = prepare([recipe], WANTED)
    with pytest.raises(KeyboardInterrupt):
        draw(run)
    draw(run)
    # Four greedy questions at a time, then one question with its four answers.
    assert starts == [(0.0, 0), *((0.5, at) for at in (0, 1, 2, 2, 3)), *((1.0, at) for at in range(4))]


def test_answers_of_other_settings_weights_or_data_are_refused(
    make: Make, save_model: Callable[..., GPT2LMHeadModel]
) -> None:
    recipe, wanted = make("baseline"), Wanted("sft_final", "gsm8k", (1.0,), 2)
    usual = recipe.evaluation
    draw(*prepare([recipe], wanted))

    def refused(named: str, wanted: Wanted = wanted, **evaluation: Any) -> None:
        recipe.evaluation = replace(usual, **evaluation)
        with pytest.raises(RecipeError, match=rf"made from another recipe or other inputs.*{named}"):
            draw(*prepare([recipe], wanted))

    refused("num_samples", Wanted("sft_final", "gsm8k", (1.0,), num_samples=3))
    refused("seed", Wanted("sft_final", "gsm8k", (1.0,), num_samples=2, seed=3))
    refused("no_repeat_bytes", repetition=Repetition(no_repeat_bytes=20))
    refused("num_questions", max_samples=3)
    recipe.evaluation = usual
    draw(*prepare([recipe], wanted))  # as it was, it is finished
    save_model(recipe.run_dir / "sft_final", seed=1)
    refused("weights.sft_final")


def test_what_does_not_fit_is_refused_before_anything_is_drawn(make: Make, tmp_path: Path) -> None:
    recipe = make("baseline")

    def refused(message: str, recipes: list[Recipe], **changes: Any) -> None:
        with pytest.raises(RecipeError, match=message):
            prepare(recipes, Wanted(**(vars(WANTED) | changes)))

    refused("--temperatures: expected at least one above 0", [recipe], temperatures=())
    refused("--num-samples: expected a whole number of at least 2", [recipe], num_samples=1)
    refused("--num-samples: expected a whole number of at most 8,191", [recipe], num_samples=8192)
    refused("--task: expected one of gsm8k, hellaswag, got 'gsm9k'", [recipe], task="gsm9k")
    refused("--task: hellaswag is not answered in writing", [recipe], task="hellaswag")
    refused("--model: expected one of", [recipe], model="best")
    refused("pretrain_final: missing or incomplete; run scripts/run_pretrain.py", [recipe], model="pretrain_final")
    refused("'baseline, seed 0' occurs twice", [recipe, recipe])
    other = make("mul_tokens", max_new_tokens=5)
    refused("max_new_tokens is 4 .*would not be asked the same", [recipe, other])
    refused("expected recipes of one experiment", [recipe, make("mul_tokens", tmp_path / "elsewhere")])
    assert not list(tmp_path.rglob("samples.jsonl"))


def drawn(*numbers: str) -> Drawn:
    """Answers to each question as digits, `-` for one without a number."""
    read = [tuple(None if one == "-" else Fraction(one) for one in row.split()) for row in numbers]
    return Drawn(
        tuple(
            Samples(row, tuple(number == gold for number in row)) for row, gold in zip(read, GOLDS, strict=True)
        ),
        1.0,
    )  # fmt: skip


@pytest.fixture
def curves() -> Curves:
    ours = {0.0: drawn("54", "1", "1", "1"), 1.0: drawn("54 1 54 54", "- 2 54 54", "12 1 1 1", "1 2 3 4")}
    theirs = {0.0: drawn("54", "54", "1", "1"), 1.0: drawn("54 54 54 54", "54 54 3 3", "1 2 12 -", "7 7 1 1")}
    sides = (Side("baseline", {0: ours}), Side("mul_tokens", {0: theirs}))
    golds = tuple(map(Fraction, GOLDS))
    return Curves("sft_final", "rows", (0.0, 1.0), 4, golds, tuple("abcd"), sides)


def test_accuracies_are_those_counted_by_hand(curves: Curves) -> None:
    def mean(*key: Any) -> float:
        return curves.points[key][0]

    assert mean("baseline", PASSED, GREEDY, 1) == 1 / 4
    assert mean("baseline", PASSED, 1.0, 1) == mean("baseline", MAJORITY, 1.0, 1) == (3 + 2 + 1) / 16
    assert mean("baseline", PASSED, 1.0, 2) == pytest.approx((1 + 5 / 6 + 1 / 2 + 0) / 4)
    assert mean("baseline", MAJORITY, 1.0, 2) == (2 + 1 + 1 + 0) / 8  # in pairs; of two numbers the first
    assert mean("baseline", PASSED, 1.0, 4) == 3 / 4
    assert mean("baseline", MAJORITY, 1.0, 4) == 2 / 4
    assert mean("mul_tokens", MAJORITY, 1.0, 4) == 3 / 4
    assert curves.points["baseline", PASSED, 1.0, 4][1] == wilson_interval(3, 4)
    assert [curves.floor(n) for n in (1, 2, 4)] == [1 / 2, 3 / 4, 1]
    assert ("baseline", PASSED, GREEDY, 2) not in curves.points


def test_several_seeds_widen_the_interval_by_their_spread(curves: Curves) -> None:
    one, other = (side.drawn[0] for side in curves.sides)
    both = Curves(**(vars(curves) | {"sides": (Side("baseline", {0: one, 1: other}),)}))
    mean, (low, high) = both.points["baseline", PASSED, 1.0, 1]
    values = np.array([[pass_at(row, 1) for row in run[1.0].samples] for run in (one, other)])
    assert mean == values.mean()
    crossed = crossed_difference(np.zeros_like(values), values, np.array(curves.clusters)).interval()
    assert crossed is not None
    assert (low, high) == (max(crossed[0], 0), min(crossed[1], 1))


def test_differences_are_paired_over_the_questions(curves: Curves) -> None:
    ours, theirs = (side.drawn[0][1.0].samples for side in curves.sides)
    expected = crossed_difference([majority_at(one, 4) for one in ours], [majority_at(one, 4) for one in theirs])
    rows = {tuple(row[:3]): row[3] for row in tables(curves)[2].rows}
    assert rows["mul_tokens less baseline", "1", "maj@4"] == f"{100 * expected.value:+.2f}" == "+25.00"
    assert rows["mul_tokens less baseline", "0 (greedy)", "one answer"] == "+25.00"
    assert rows["baseline", "1", "maj@4 less one greedy answer"] == "+25.00"


def test_the_figure_shows_the_points_with_their_intervals(curves: Curves) -> None:
    panels = draw_curves(curves).axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "One answer: rows, sft_final", "pass@n at temperature 1", "maj@n at temperature 1",
    ]  # fmt: skip
    for axes, keys in zip(
        panels,
        (
            [(PASSED, at, 1) for at in (GREEDY, 1.0)],
            [(PASSED, 1.0, n) for n in (1, 2, 4)],
            [(MAJORITY, 1.0, n) for n in (1, 2, 4)],
        ),
        strict=True,
    ):
        for side, bars in zip(curves.sides, axes.containers, strict=True):
            points = [curves.points[side.name, *key] for key in keys]
            line, _, (intervals,) = bars.lines
            assert list(line.get_ydata()) == pytest.approx([100 * mean for mean, _ in points])
            ends = [segment[:, 1].tolist() for segment in intervals.get_segments()]
            assert ends == [pytest.approx([100 * low, 100 * high]) for _, (low, high) in points]
            assert axes.get_ylim()[1] >= max(max(pair) for pair in ends) - 1e-9


def test_questions_of_one_template_belong_together(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,), wanted = prepare([make("baseline")], WANTED), WANTED
    for temperature, part in run.parts.items():
        asked = [replace(one, cluster=f"story_{place // 2}:{place}") for place, one in enumerate(part.questions)]
        run.parts[temperature] = replace(part, questions=asked)
    few = _curves([run], wanted, allow_change=False)
    assert few.clusters == ("story_0:0", "story_0:1", "story_1:2", "story_1:3")
    monkeypatch.setattr(outcomes, "MIN_TEMPLATES", 2)
    assert _curves([run], wanted, allow_change=False).clusters == ("story_0", "story_0", "story_1", "story_1")


def test_one_runs_interval_counts_questions_of_one_template_together(curves: Curves) -> None:
    alike = {1.0: drawn("54 54", "54 54", "1 1", "1 1"), 0.0: drawn("54", "54", "1", "1")}
    both = Curves(**(vars(curves) | {"sides": (Side("baseline", {0: alike}),), "num_samples": 2}))
    apart = both.points["baseline", PASSED, 1.0, 2]
    assert apart == (0.5, wilson_interval(2, 4))
    grouped = replace(both, clusters=("a", "a", "b", "b"))
    together = grouped.points["baseline", PASSED, 1.0, 2]
    assert together[0] == 0.5
    assert together[1][0] < apart[1][0] - 0.1
    assert both.intervals.startswith("95% intervals over questions;")
    assert grouped.intervals.startswith("95% intervals over 2 groups of questions that share a template or numbers;")


def test_the_page_and_the_figure_are_written(both: list[Recipe]) -> None:
    curves, path = measure_curves(both, Wanted("sft_final", "gsm8k", (1.0,), 2))
    assert path == both[0].experiment_dir / "sampling_sft_final_gsm8k.md"
    text = path.read_text()
    assert [side.name for side in curves.sides] == ["baseline", "mul_tokens"]
    assert "![accuracy by temperature and number of answers](sampling_sft_final_gsm8k.png)" in text
    assert all(f"## {table.title}" in text for table in tables(curves))
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperatures", "0"], "error: --temperatures: expected at least one above 0"),
        (["--task", "gsm9k"], "error: --task: expected one of "),
        ([], "pretrain_final: missing or incomplete; run scripts/run_pretrain.py with the same recipe first\n"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], message: str, tmp_path: Path) -> None:
    recipes = ["recipes/baseline.yaml", "recipes/mul_tokens.yaml", "--overlay", "recipes/scales/demo_quick.yaml"]
    done = run_inside(
        "scripts/sampling_curves.py",
        *recipes,
        "--model=pretrain_final",
        *arguments,
        "--set",
        f"output_dir={tmp_path}",
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
