"""What a comparison found, in plain sentences made from its numbers: one headline, and three findings with warnings.

The first screen of the report, `results.md` and the terminal say the same. Nothing is decided here: a headline names
the outcome of the verdict, and a finding repeats numbers of the tables with their intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain_tokens.analysis.measures.answers.equation_use import RECALL, SUMS, WRITTEN_AS_FACTS
from domain_tokens.analysis.report.formats import Scale, interval, listed, p_words, percent, points, printable
from domain_tokens.analysis.report.words.names import GENERATED, curve_name, first_mention, names_in, task_name
from domain_tokens.analysis.results_model import (
    BETTER,
    EQUIVALENT,
    EXPLORATORY,
    INSENSITIVE,
    PILOT,
    UNDECIDED,
    WORSE,
    AssayCheck,
    Bounds,
    EndpointContrast,
    EquationRow,
    FactsNeededRow,
    Outcome,
    Plateau,
    PositiveControl,
    ResultRow,
    Results,
)
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.ledger import BONUS, ONE_SIDED
from domain_tokens.runs.results import ALL_ITEMS

MAX_CLIMBING: Final = 3
"""More curves that still climb are counted and not named."""

_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Finding:
    """One sentence of the first screen.

    Attributes:
        about: what it is about, in a few words.
        text: the sentence.
        evidence: the id of the section that shows its numbers.
    """

    about: str
    text: str
    evidence: str


def measured(row: ResultRow, *, first: bool = False) -> str:
    """Return what an endpoint measures, for a sentence: the metric, the data and the group of items.

    Data are called by the name of their source; a task only says how an answer is asked for and scored.

    Args:
        row (`ResultRow`): the endpoint's row.
        first (`bool`, *optional*): whether the text has not spoken of the task before.
    """
    data = (first_mention if first else task_name)(row.task, row.source)
    if data == row.task and row.source is not None:
        data = "generated questions" if row.source == GENERATED else row.source
        data += "" if data.startswith(row.task) else f" (task {row.task})"
    group = "" if row.group == ALL_ITEMS else f", {row.group}"
    return printable(f"{row.metric.replace('_', ' ')} on {data}{group}")


def headline(results: Results) -> str:
    """Return the verdict as one sentence with the numbers of the primary endpoint."""
    row, scale = results.primary, Scale(results.primary.unit)
    reference, other = printable(results.reference), printable(results.other)
    seeds = "one seed" if len(results.seeds) == 1 else f"{len(results.seeds)} seeds"
    return (
        f"{_lead(results)}: {measured(row, first=True)} is {scale.value(row.reference.accuracy)} for {reference} and "
        f"{scale.value(row.other.accuracy)} for {other}, a difference of {contrast_words(row)}, {seeds}."
    )


def contrast_words(row: ResultRow | EndpointContrast, *, short: bool = False) -> str:
    """Return a difference with its interval in words: `+1.40 points (95% interval -0.20 to +3.00)`.

    The short form is for brackets: `+1.40 points, -0.20 to +3.00`.
    """
    scale = Scale(row.unit)
    if short:
        ends = "no interval" if row.interval is None else scale.interval(row.interval)
        return f"{scale.difference(row.delta)} {scale.word}, {ends}" + ", lower is better" * row.lower_is_better
    lower = ", lower is better" if row.lower_is_better else ""
    shown = f"{scale.difference(row.delta)} {scale.word}"
    return (
        f"{shown} ({'no interval' if row.interval is None else f'95% interval {scale.interval(row.interval)}'}{lower})"
    )


def _lead(results: Results) -> str:
    reference, other = printable(results.reference), printable(results.other)
    budget = " at this budget" if results.verdict.at_plateau is False else ""
    words: dict[Outcome, str] = {
        BETTER: f"{other} is better than {reference}{budget}",
        WORSE: f"{other} is worse than {reference}{budget}",
        EQUIVALENT: (
            f"{other} and {reference} differ by less than {_margin(results)}, declared not to matter"
            f"{_one_sided(results)}"
        ),
        UNDECIDED: f"Undecided, the data show neither a difference between {other} and {reference} nor its absence",
        INSENSITIVE: (
            "Nothing follows about the tokenizer, since this experiment is not sensitive (it could not show the "
            "effect that it looked for)"
        ),
        PILOT: "One seed decides nothing",
        EXPLORATORY: "This comparison was not declared as a test",
    }
    if (control := results.own_control) is not None:
        return f"{other} is the positive control, which must move this endpoint, and {_moves(control)}"
    lead = words[results.verdict.outcome]
    if not results.verdict.exploratory or results.verdict.outcome == EXPLORATORY:
        return lead
    if results.verdict.outcome in (BETTER, WORSE):
        lead = f"{other} is {results.verdict.outcome} than {reference} in these runs{budget}"
    return f"Exploratory, not a test. {lead}"


def findings(results: Results) -> list[Finding]:
    """Return the three findings: where the difference lies, what the equations say, whether tokens are used."""
    return [_where(results), _equations(results), _tokens(results)]


def warnings(results: Results) -> list[Finding]:
    """Return what limits the verdict.

    That is a bonus that one condition alone can earn, GRPO that was forced, low power, a floor that is most of an
    accuracy, curves that climb, rewards that do not rise, and prompts that a tokenizer rewrites.
    """
    found: list[Finding] = []
    if bonus := _one_sided_bonus(results):
        found.append(Finding("Not rewarded alike", bonus, "ledger"))
    if results.forced:
        where = listed(
            [f"{one.condition}, seed {one.seed} (pass@{one.k} {percent(one.pass_at_k)})" for one in results.forced]
        )
        text = f"GRPO was begun with --force, although too few of its prompts were solved, in {where}"
        found.append(Finding("Forced", _sentence(printable(text)), "ledger"))
    if results.assay is not None and results.assay.failures:
        text = _sentence("; and ".join(results.assay.failures)) + _control_moves(results, results.assay)
        found.append(Finding("Not sensitive", text, "assay"))
    if bound := _out_of_reach(results):
        found.append(Finding("Near the end of the scale", bound, "assay"))
    if near := _near_floor(results):
        found.append(Finding("Near the floor", near, "floor"))
    climbing = [row for row in results.plateaus if row.climbs]
    if climbing:
        tasks = names_in(results.rows)
        names = [f"{curve_name(row.metric, tasks)} of {row.condition} in {row.stage}" for row in climbing]
        more = len(names) - MAX_CLIMBING
        shown = [*names[:MAX_CLIMBING], f"{more} more curves"] if more > 1 else names
        text = f"{listed(shown)} still improved when training ended, so the difference belongs to this budget"
        found.append(Finding("Not at a plateau", _sentence(printable(text)), "plateau"))
    if flat := [row for row in results.plateaus if row.rise is not None and not _rises(row)]:
        where = listed([f"{row.condition} ({_change(row)})" for row in flat])
        text = f"From the first step of GRPO to the last, no rise of the mean reward is shown for {where}"
        found.append(Finding("No rise of the reward", _sentence(printable(text)), "plateau"))
    if results.primary.with_tokenizer:
        text = "A tokenizer rewrites more than 1% of these prompts, so this is tokenizer and model together."
        found.append(Finding("Not the model alone", text, "encodings" if results.encodings else "results"))
    return found


def _near_floor(results: Results) -> str:
    """Return what exchanged answers reach at the primary endpoint; nothing if it is at most half of each accuracy."""
    primary, names = results.primary, (results.reference, results.other)
    rows = [row for row in results.exchanged_answers if (row.model, row.task) == (primary.model, primary.task)]
    if not rows or primary.group != ALL_ITEMS:
        return ""
    sides = (rows[0].reference, rows[0].other)
    if all(2 * side.floor <= side.accuracy for side in sides):
        return ""
    shown = [
        f"{percent(side.floor)} in {name} (accuracy {percent(side.accuracy)})"
        for name, side in zip(names, sides, strict=True)
    ]
    text = f"Answers exchanged among the questions of a problem reach {listed(shown)}"
    steps = [side.num_with_steps for side in sides if side.num_with_steps is not None]
    if len(steps) == len(sides):
        counts = [f"{right:,} of {side.num_right:,}" for right, side in zip(steps, sides, strict=True)]
        text += f"; {listed(counts)} right answers have equations, all of them right and of the question"
    return printable(f"{text}.")


def _one_sided_bonus(results: Results) -> str:
    """Return that GRPO paid for facts as tokens alone; nothing if it did not."""
    if not any(row.field == BONUS and ONE_SIDED in row.values.values() for row in results.ledger):
        return ""
    return (
        "In GRPO, a fact written as a token earned a bonus, and the same fact in digits none (rewards.bonus: "
        f"{ONE_SIDED}). Only a condition with tokens can earn it, so a difference after GRPO, and any use of tokens "
        "there, does not come from the tokenizer alone."
    )


def _too_little_room(results: Results) -> list[tuple[str, float, str]]:
    """Return what the smallest effect is too large for: `gained` or `lost`, the room, and what has more room."""
    assay, accuracy = results.assay, results.primary.reference.accuracy
    if assay is None or results.primary.unit is not None:
        return []
    ends = [("gained", 1 - accuracy, "loss"), ("lost", accuracy, "gain")]
    return [one for one in ends if one[1] < assay.smallest_effect - _ROUNDING]


def _out_of_reach(results: Results) -> str:
    """Return in which direction the smallest effect is more than an accuracy can move; nothing if in neither."""
    scale, smallest = Scale(None), 0.0 if results.assay is None else results.assay.smallest_effect
    short = [
        f"{results.reference} is at {scale.value(results.primary.reference.accuracy)}, so no more than "
        f"{scale.size(room)} {scale.word} can be {done}: only a {other} can be as large as the smallest effect of "
        f"{scale.size(smallest)} {scale.word}."
        for done, room, other in _too_little_room(results)
    ]
    return printable(" ".join(short))


def _rises(row: Plateau) -> bool:
    return row.rise_interval is not None and row.rise_interval[0] > 0


def _change(row: Plateau) -> str:
    shown = f"{row.rise:+.3f}"
    if row.rise_interval is None:
        return shown
    low, high = row.rise_interval
    return f"{shown}, 95% interval {low:+.3f} to {high:+.3f}"


def _control_moves(results: Results, assay: AssayCheck) -> str:
    """Return what a positive control that moves shows, and what it does not; nothing if there is none."""
    control, row = assay.positive_control, results.primary
    if control is None or not control.moved or results.verdict.outcome != INSENSITIVE:
        return ""
    scale = Scale(assay.unit)
    missed = (
        ""
        if row.interval is None
        else f" Here a true difference anywhere from {scale.interval(row.interval)} {scale.word} may have been missed."
    )
    return printable(
        f" The positive control ({control.contrast}) does move the endpoint, by {scale.difference(control.delta)} "
        f"{scale.word}: scoring sees a change as large as that. This says nothing about smaller ones.{missed}"
    )


def _where(results: Results) -> Finding:
    about = "Where the difference lies"
    for row in results.facts_needed:
        if (row.model, row.task) == (results.primary.model, results.primary.task) and row.excess is not None:
            return Finding(about, _by_need(row, results), "facts-needed")
    groups = [
        row
        for row in results.rows
        if (row.model, row.task, row.metric) == _key(results.primary) and row.group != results.primary.group
    ]
    if not groups:
        return Finding(about, "The items of this endpoint are of one kind, so it cannot be divided.", "results")
    evidence = "exploratory" if all(row.role == EXPLORATORY for row in groups) else "results"
    most, least = (choose(groups, key=lambda row: row.gain) for choose in (max, min))
    if most is least:
        whole = f"all {most.num_items:,} items of the task" if most.group == ALL_ITEMS else most.group
        return Finding(
            about, _sentence(printable(f"Over {whole}, the difference is {contrast_words(most)}")), evidence
        )
    shown = f"{most.group}: {contrast_words(most)}"
    if most is not least:
        shown = f"from {least.group}, {contrast_words(least)}, to {shown.replace(': ', ', ', 1)}"
    return Finding(about, _sentence(printable(f"By group of items, the difference goes {shown}")), evidence)


def _key(row: ResultRow) -> tuple[str, str, str]:
    return row.model, row.task, row.metric


def _by_need(row: FactsNeededRow, results: Results) -> str:
    none = [stratum for stratum in row.strata if stratum.count == 0]
    some = [stratum for stratum in row.strata if stratum.count > 0]
    parts = []
    for strata, where in ((none, "where a solution needs no product of the table"), (some, "where it needs one")):
        num_items = sum(stratum.num_items for stratum in strata)
        delta = sum(stratum.num_items * stratum.delta for stratum in strata) / num_items if num_items else None
        parts.append(f"{points(delta)} points {where} ({num_items:,} items)")
    assert row.excess is not None
    shown = _shows(
        row.excess.interval,
        more="so the difference is larger where facts are needed",
        less="so the difference is smaller where facts are needed",
        none="so it is not shown that facts matter for the difference",
    )
    begins = "The" if results.primary.group == ALL_ITEMS else "Over all items of the task, declared or not, the"
    return (
        f"{begins} difference is {parts[0]} and {parts[1]}; the second less the first is "
        f"{points(row.excess.value)} points ({_interval(row.excess.interval)}), {shown}."
    )


def _interval(bounds: Bounds | None) -> str:
    return "no interval" if bounds is None else f"95% interval {interval(bounds)}"


def _shows(bounds: Bounds | None, more: str, less: str, none: str) -> str:
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return none
    return more if bounds[0] > 0 else less


def _equations(results: Results) -> Finding:
    about = "What the equations say"
    rows = {
        row.share: row
        for row in results.equations
        if (row.model, row.task) == (results.primary.model, results.primary.task)
    }
    said = [
        f"{what} {_compared(rows[share], results)}"
        for share, what in (
            (RECALL, "The products that a solution needs are stated and right in"),
            (SUMS, "sums and differences in digits are right in"),
        )
        if share in rows and rows[share].reference.total and rows[share].other.total
    ]
    if not said:
        text = "The answers to this task hold no equations of both conditions to compare."
        return Finding(about, text, "equations" if results.equations else "results")
    return Finding(about, _sentence("; ".join(said)), "equations")


def _compared(row: EquationRow, results: Results) -> str:
    difference = "" if row.interval is None else f", 95% interval {interval(row.interval)}"
    return printable(
        f"{percent(row.reference.value)} of cases by {results.reference} and {percent(row.other.value)} by "
        f"{results.other} ({points(row.delta)} points{difference})"
    )


def _tokens(results: Results) -> Finding:
    about = "Whether tokens are used"
    key = results.primary.model, results.primary.task
    use = next((row.facts_per_response for row in results.token_use if (row.model, row.task) == key), None)
    if use is None or use.known is None:
        text = "The answers to this task are not written, so they hold no tokens."
        return Finding(about, text, "facts" if results.token_use else "results")
    names = printable(results.reference), printable(results.other)
    if not any(use.known):
        return Finding(about, f"No: the answers of {names[0]} and {names[1]} hold no fact token.", "facts")
    shares = {
        (row.model, row.task): (row.reference.value, row.other.value)
        for row in results.equations
        if row.share == WRITTEN_AS_FACTS
    }
    said = []
    for name, count, share in sorted(zip(names, use.known, shares.get(key, (None, None)), strict=True), key=_writes):
        whole = "" if share is None or not count else f", {percent(share)} of the table's products that it states"
        said.append(f"{name} writes {count:.2f} fact tokens per answer{whole}" if count else f"{name} writes none")
    return Finding(about, f"Yes: {'; '.join(said)}{_ablated(results)}.", "ablations" if _ablated(results) else "facts")


def _writes(side: tuple[str, float, float | None]) -> bool:
    return not side[1]  # who writes tokens comes first


def _ablated(results: Results) -> str:
    """Return what forbidding the tokens does to the condition that writes them, if it was tried."""
    for row in results.ablations:
        if (row.model, row.task, row.mode) == (results.primary.model, results.primary.task, Mode.FORBIDDEN):
            side = row.other
            return (
                f"; with its tokens forbidden, {printable(results.other)} changes by {points(side.delta)} points "
                f"({_interval(side.interval)}, {p_words(side.p_value)})"
            )
    return ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def overall(found: Sequence[Results]) -> str:
    """Return the verdicts of several conditions against one reference as one sentence."""
    words: dict[Outcome, str] = {
        BETTER: "{} better",
        WORSE: "{} worse",
        EQUIVALENT: f"{{}} within {_margin(found[0])}, declared not to matter{_one_sided(found[0])}",
        UNDECIDED: "{} undecided",
        PILOT: "{} undecided with one seed",
        INSENSITIVE: "nothing follows for {}, since the experiment is not sensitive",
        EXPLORATORY: "{} compared without a declared test",
    }
    controls = [(one, control) for one in found if (control := one.own_control) is not None]
    tested = [one for one in found if one.own_control is None]
    said = []
    for outcome, phrase in words.items():
        alike = [one for one in tested if _outcome(one) == outcome]
        names = [f"{printable(one.other)} ({contrast_words(one.primary, short=True)})" for one in alike]
        verb = "" if outcome == INSENSITIVE else " is" if len(names) == 1 else " are"
        if names:
            said.append(phrase.replace("{}", listed(names) + verb, 1))
    said += [
        f"{printable(one.other)}, the positive control, must move this endpoint and {_moves(control)} "
        f"({contrast_words(one.primary, short=True)})"
        for one, control in controls
    ]
    return (
        f"Against {printable(found[0].reference)}, {'; '.join(said)}. The primary endpoint is "
        f"{measured(found[0].primary, first=True)}; in brackets differences with their 95% intervals."
    )


def _margin(results: Results) -> str:
    """Return what was declared not to matter at the primary endpoint in words: `10.00 points`."""
    row = results.primary
    scale = Scale(row.unit)
    return "the margin" if row.equivalence is None else f"{scale.size(row.equivalence.margin)} {scale.word}"


def _one_sided(results: Results) -> str:
    """Return, in brackets, that a gain or a loss of the smallest effect was impossible; nothing if both could be."""
    impossible = [done for done, _, _ in _too_little_room(results)]
    return f" (a difference that large could not be {listed(impossible)})" if impossible else ""


def _moves(control: PositiveControl) -> str:
    return "does" if control.moved else "does not"


def _outcome(results: Results) -> Outcome:
    return EXPLORATORY if results.verdict.exploratory else results.verdict.outcome
