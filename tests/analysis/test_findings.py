"""The first screen says what the numbers say, and `results.md` is short."""

import re

import pytest

from domain_tokens.analysis.compare import assemble
from domain_tokens.analysis.measures.answers.paired_answers import paired_answers
from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.figures.condition import write_condition_plots
from domain_tokens.analysis.report.formats import points
from domain_tokens.analysis.report.markdown import to_markdown
from domain_tokens.analysis.report.page.forest import declared_forest
from domain_tokens.analysis.report.page.images import themed
from domain_tokens.analysis.report.page.marks import example, mark_answer
from domain_tokens.analysis.report.page.sections import quiet, telling
from domain_tokens.analysis.report.pages import to_html
from domain_tokens.analysis.report.tables.answers import equation_table
from domain_tokens.analysis.report.tables.results import exploratory_table
from domain_tokens.analysis.results_model import (
    EQUIVALENT,
    AnswerSide,
    AssayCheck,
    Contrast,
    LedgerRow,
    Means,
    Plateau,
    PositiveControl,
)
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.results import Pair, load_condition

from .conftest import GROUPS, edit, environment, write_condition, write_json
from .test_compare import ENDPOINTS, answer, declare

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def results(tmp_path_factory, no_odds_ratio):
    """Three seeds with 80 and about 120 of 400 questions right, all of it declared."""
    place = tmp_path_factory.mktemp("demo")
    folders = [place / f"exp_{name}" for name in ("baseline", "mul_tokens")]
    for side, folder in enumerate(folders):
        write_condition(folder, folder.name.removeprefix("exp_"), side, SEEDS, num_items=20)
    for seed, gain in enumerate((40, 42, 44)):
        answer(folders[0], seed, [True] * 80 + [False] * 320)
        answer(folders[1], seed, [True] * (80 + gain) + [False] * (320 - gain))
    declare(folders, seeds=SEEDS, endpoints=ENDPOINTS[2:])
    return assemble(Pair(*map(load_condition, folders)))


def test_the_first_screen_repeats_the_numbers(results):
    row = results.primary
    low, high = (f"{100 * end:+.2f}" for end in row.interval)
    assert findings.headline(results) == (
        "mul_tokens is better than baseline: accuracy on gsm8k is 20.00% for baseline and 30.50% for mul_tokens, a "
        f"difference of +10.50 points (95% interval {low} to {high}), 3 seeds."
    )
    where, equations, tokens = findings.findings(results)
    (need,) = (one for one in results.facts_needed if one.model == "grpo_final")
    assert f"{100 * need.strata[0].delta:+.2f} points where a solution needs no product" in where.text
    assert f"the second less the first is {points(need.excess.value)} points" in where.text
    recall = next(one for one in results.equations if one.model == "grpo_final" and "recall" in one.share)
    assert f"{100 * recall.reference.value:.2f}% of cases by baseline" in equations.text
    assert tokens.text == "No: the answers of baseline and mul_tokens hold no fact token."
    assert [one.evidence for one in (where, equations, tokens)] == ["facts-needed", "equations", "facts"]


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((0.01, 0.2), "larger where facts"),
        ((-0.2, -0.01), "smaller where facts"),
        ((-0.1, 0.1), "not shown that facts"),
    ],
)
def test_a_finding_claims_what_its_interval_shows(results, bounds, says):
    excess = Contrast(value=sum(bounds) / 2, interval=bounds, p_value=0.5)
    rows = [row.model_copy(update={"excess": excess}) for row in results.facts_needed]
    changed = results.model_copy(update={"facts_needed": tuple(rows)})
    assert says in findings.findings(changed)[0].text


def test_who_writes_tokens_comes_first(results):
    means = Means(reference=0.0, other=0.64)
    rows = [row.model_copy(update={"facts_per_response": means}) for row in results.token_use]
    tokens = findings.findings(results.model_copy(update={"token_use": tuple(rows)}))[2]
    assert re.match("Yes: mul_tokens writes 0.64 fact tokens per answer.*; baseline writes none.$", tokens.text)


@pytest.mark.parametrize(
    ("outcome", "begins"),
    [
        ("worse", "mul_tokens is worse than baseline: "),
        ("equivalent", "mul_tokens and baseline differ by less than 2.00 points, declared not to matter: "),
        ("undecided", "Undecided, the data show neither a difference"),
        ("insensitive", "Nothing follows about the tokenizer"),
        ("pilot", "One seed decides nothing: "),
        ("exploratory", "This comparison was not declared as a test: "),
    ],
)
def test_every_outcome_has_its_headline(results, outcome, begins):
    verdict = results.verdict.model_copy(update={"outcome": outcome})
    assert findings.headline(results.model_copy(update={"verdict": verdict})).startswith(begins)
    demoted = results.model_copy(update={"verdict": verdict.model_copy(update={"exploratory": True})})
    shown = findings.headline(demoted)
    assert shown.startswith("This comparison" if outcome == "exploratory" else "Exploratory, not a test. ")
    assert "a test" in findings.overall([demoted]).replace("a declared test", "a test")


def checked(**fields):
    """A check of the assay with ten points as the smallest effect."""
    same = {"scale": "points", "value": 0.1, "base_rate": 0.2, "smallest_effect": 0.1, "alpha": 0.05, "power": 0.9}
    rest = {"power_range": None, "wanted_power": 0.8, "positive_control": None, "failures": (), "advice": ""}
    return AssayCheck(**same | rest | fields)


def test_grpo_that_was_forced_stands_on_the_first_screen(tree):
    folders = tree(num_items=12)
    assert assemble(Pair(*map(load_condition, folders))).forced == ()
    for folder, forced in zip(folders, (False, True), strict=True):
        found = {"k": 8, "value": 0.021, "interval": [0.0, 0.1], "num_prompts": 40, "num_samples": 8, "forced": forced}
        manifest = folder / "seed_0/grpo_final/manifest.json"
        edit(manifest, lambda value, found=found: value["reported"].update(preflight=found))
    results = assemble(Pair(*map(load_condition, folders)))
    (stage,) = results.forced
    assert (stage.condition, stage.seed, stage.pass_at_k) == ("mul_tokens", 0, 0.021)
    (limit,) = [one for one in findings.warnings(results) if one.about == "Forced"]
    assert limit.text.endswith("in mul_tokens, seed 0 (pass@8 2.10%).")
    assert limit.text in to_markdown(results)


def test_a_bonus_that_one_condition_alone_can_earn_stands_on_the_first_screen(results):
    def with_bonus(value):
        row = LedgerRow(stage="grpo_final", field="reward_bonus", values=dict.fromkeys(map(str, SEEDS), value))
        return results.model_copy(update={"ledger": (*results.ledger, row)})

    for fair in (results, with_bonus("parity")):
        assert "Not rewarded alike" not in [one.about for one in findings.warnings(fair)]
    (found,) = findings.warnings(with_bonus("mul_only"))
    assert found.about == "Not rewarded alike"
    assert "a fact written as a token earned a bonus, and the same fact in digits none" in found.text
    assert found.text in to_markdown(with_bonus("mul_only"))
    page = to_html(with_bonus("mul_only"), {})
    assert found.text in page.partition("<details")[0]


@pytest.mark.parametrize(("moved", "does"), [(True, "does"), (False, "does not")])
def test_the_positive_control_is_called_what_it_is(results, moved, does):
    def shown(condition, partner="baseline", moved=moved):
        control = PositiveControl(name="c", contrast="x minus y", condition=condition, partner=partner, moved=moved)
        return results.model_copy(update={"assay": checked(positive_control=control)})

    own, elsewhere = shown("mul_tokens"), shown("placebo")
    begins = f"mul_tokens is the positive control, which must move this endpoint, and {does}: "
    assert findings.headline(own).startswith(begins)
    for other in (elsewhere, shown("mul_tokens", "placebo"), shown("mul_tokens", moved=None)):
        assert "positive control" not in findings.headline(other)
    said, shown = findings.overall([elsewhere, own]), "+10.50 points, +7.29 to +13.71"
    assert said.startswith(f"Against baseline, mul_tokens ({shown}) is better; mul_tokens, the positive ")
    assert f"control, must move this endpoint and {does} ({shown}). The primary" in said


def test_every_link_leads_to_a_section(results):
    bare = {"equations": (), "token_use": (), "facts_needed": (), "assay": None}
    for shown in (results, results.model_copy(update=bare)):
        page = to_html(shown, {})
        links = re.findall('href="#([^"]*)"', page)
        assert len(links) >= 4
        assert set(links) <= set(re.findall('id="([^"]*)"', page))


def test_what_limits_a_verdict_stands_beside_it(results):
    assert [one.about for one in findings.warnings(results)] == []
    climbing = Plateau(
        stage="grpo", condition="mul_tokens", metric="reward", gain=0.1, share=0.5, p_value=0.01, climbs=True
    )
    (limit,) = findings.warnings(results.model_copy(update={"plateaus": (climbing,)}))
    assert (limit.about, limit.evidence) == ("Not at a plateau", "plateau")
    assert "eward of mul_tokens in grpo" in limit.text
    rising, flat = (
        climbing.model_copy(update={"climbs": None, "rise": 0.2, "rise_interval": bounds})
        for bounds in ((0.1, 0.3), (-0.1, 0.5))
    )
    assert findings.warnings(results.model_copy(update={"plateaus": (rising,)})) == []
    short = rising.model_copy(update={"rise_interval": None})
    (limit,) = findings.warnings(results.model_copy(update={"plateaus": (short,)}))
    assert limit.text.endswith("is shown for mul_tokens (+0.200).")
    (limit,) = findings.warnings(results.model_copy(update={"plateaus": (rising, flat)}))
    assert (limit.about, limit.evidence) == ("No rise of the reward", "plateau")
    assert "no rise of the mean reward is shown for mul_tokens (+0.200, 95% interval -0.100 to +0.500)" in limit.text


@pytest.mark.parametrize(
    ("accuracy", "says"),
    [
        (
            0.95,
            ["no more than 5.00 points can be gained: only a loss can be as large as the smallest effect of 10.00"],
        ),
        (0.03, ["no more than 3.00 points can be lost: only a gain can be as large as the smallest effect of 10.00"]),
        (0.90, []),
        (0.10, []),
    ],
)
def test_an_effect_that_an_accuracy_has_no_room_for_is_named(results, accuracy, says):
    primary = results.primary
    reference = primary.reference.model_copy(update={"accuracy": accuracy})
    changed = primary.model_copy(update={"reference": reference})
    near = results.model_copy(
        update={
            "rows": tuple(changed if row == primary else row for row in results.rows),
            "assay": checked(base_rate=accuracy),
        }
    )
    found = [one for one in findings.warnings(near) if one.about == "Near the end of the scale"]
    assert len(found) == len(says)
    assert all(words in one.text and one.evidence == "assay" for words, one in zip(says, found, strict=True))
    equivalent = near.model_copy(update={"verdict": near.verdict.model_copy(update={"outcome": EQUIVALENT})})
    assert ("could not be " in findings.headline(equivalent)) == bool(says)
    assert ("could not be " in findings.overall([equivalent])) == bool(says)
    bits = changed.model_copy(update={"unit": "bits per byte"})
    in_bits = near.model_copy(update={"rows": tuple(bits if row == changed else row for row in near.rows)})
    assert in_bits.primary.unit
    assert "Near the end of the scale" not in [one.about for one in findings.warnings(in_bits)]


def test_the_figure_shows_the_interval_where_it_lies(results):
    (axis,) = declared_forest(results)
    (bar,) = axis.bars
    assert bar.values == "20.00% → 30.50%"
    low, high = results.primary.interval
    scale = (bar.high - bar.low) / (high - low)
    assert bar.at - axis.zero == pytest.approx(scale * results.primary.delta, abs=0.02)
    assert bar.margin == pytest.approx((axis.zero - 0.02 * scale, axis.zero + 0.02 * scale), abs=0.02)
    assert all(0 < at < 100 for at in (bar.low, bar.high, axis.zero))


def test_the_example_is_one_that_the_better_condition_got_right(results):
    chosen = example(results)
    assert (chosen.reference.correct, chosen.other.correct) == (False, True)
    side = chosen.reference
    start, end = side.fault
    assert f'<mark class="fault">{side.answer[start:end]}</mark>' in mark_answer(side)
    assert "fault" not in mark_answer(chosen.other)


def test_where_both_are_right_on_the_same_questions_the_first_pair_is_shown(results):
    both = results.answers.items[0].reference
    alike = tuple(item.model_copy(update={"reference": both, "other": both}) for item in results.answers.items)
    answers = {"items": alike, "num_reference_only": 0, "num_other_only": 0}
    same = results.model_copy(update={"answers": results.answers.model_copy(update=answers)})
    assert example(same) == alike[0]
    assert "no question was answered correctly by one condition alone" in to_html(same, {})
    without = to_html(results.model_copy(update={"answers": None}), {})
    assert "There is no pair of answers to show" in without
    assert "#answers" not in without
    assert to_html(results, {}).count("the first that only one condition answered correctly") == 1


def test_the_first_screen_says_what_the_conditions_are(tree):
    folders = tree(num_items=20, seeds=(0, 1))
    manifest = {"stage": "tokenizer", "condition": "mul_tokens", "seed": 0, "files": {}, "wall_time_s": 1.0}
    manifest |= {"inputs": {"intervention": {"name": "m", "about": "A token for <6*9>."}}}
    write_json(folders[1] / "tokenizer/manifest.json", manifest | {"environment": environment("prepare_data.py")})
    found = assemble(Pair(*map(load_condition, folders)))
    assert found.about == {"mul_tokens": "A token for <6*9>."}
    assert "<b><bdi>mul_tokens</bdi></b>: A token for &lt;6*9&gt;." in to_html(found, {})


def test_answers_are_shown_to_the_items_of_the_endpoint(tree):
    pair = Pair(*map(load_condition, tree(num_items=60, seeds=(0,))))
    every, some = (paired_answers(pair, "grpo_final", "arithmetic", group) for group in ("all", GROUPS[1]))
    assert len({item.group for item in every.items}) > 1
    assert {item.group for item in some.items} == {GROUPS[1]}
    assert len(some.items) == 10
    assert 0 < some.num_reference_only + some.num_other_only < every.num_reference_only + every.num_other_only


def test_a_mark_stays_within_the_answer():
    text = "<b> <MUL_2_3_6> 2+2=5"
    side = AnswerSide(answer=text, correct=False, num_facts=1, fault=(16, 21))
    assert mark_answer(side) == '&lt;b&gt; <mark>&lt;MUL_2_3_6&gt;</mark> <mark class="fault">2+2=5</mark>'
    assert "fault" not in mark_answer(side.model_copy(update={"fault": (16, 22)}))


def test_rows_in_which_both_are_equal_are_folded_away(results):
    table = exploratory_table(results)
    rows = telling(table), quiet(table)
    assert sum(map(len, rows)) == len(table.rows)
    difference = table.header.index("difference")
    assert rows[1], "the reference has no facts, so something is equal"
    assert all(row[difference].startswith("0.00") for row in rows[1])
    assert all(row[difference] != "0.00 ± 0.00" or row[difference + 1] != "–" for row in rows[0])
    one_sided = [row for row in equation_table(results).rows if row[3].startswith("–")]
    assert one_sided, "the reference writes no tokens"
    assert all(row in telling(equation_table(results)) for row in one_sided)


def test_results_md_is_short_whatever_there_is_to_say(results):
    many = tuple(f"departure {number}" for number in range(50))
    record = results.preregistration.model_copy(update={"departures": many, "notes": many})
    full = results.model_copy(
        update={
            "preregistration": record,
            "reproduce": many,
            "rows": tuple(row.model_copy(update={"role": "declared"}) for row in results.rows if row.role != "primary")
            + (results.primary,),
            "facts_needed": results.facts_needed * 9,
        }
    )
    markdown = to_markdown(full)
    assert "departure 7" in markdown
    assert "42 more in the report" in markdown
    assert len(markdown.splitlines()) <= 120


def test_a_plot_follows_the_theme():
    image = themed(
        b'<?xml version="1.0"?><svg width="1"><path style="fill: #ffffff; stroke: #0072b2"/></svg>'
    ).decode()
    assert "fill: var(--cffffff, #ffffff); stroke: var(--c0072b2, #0072b2)" in image
    assert re.search(r"prefers-color-scheme: dark.*--cffffff:#0d1117", image)


def test_a_condition_has_its_plots_without_a_partner(tree, tmp_path):
    folder = tree(num_items=5, seeds=(0, 1))[0]
    for path in folder.glob("seed_1/eval/*/*_results.json"):
        path.unlink()  # its second run has not been evaluated
    written = {path.name for path in write_condition_plots(folder)}
    expected = {"loss", "validation_loss", "learning_rate", "reward", "learning_curves"}
    assert written == {f"{name}.png" for name in expected}
    assert all((folder / "plots" / name).read_bytes().startswith(b"\x89PNG") for name in written)
    with pytest.raises(RecipeError, match="has no finished stage"):
        write_condition_plots(tmp_path)
