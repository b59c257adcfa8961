"""The tables of an analysis of self-adaptation, each of all conditions."""

from collections.abc import Iterator

from domain_tokens.analysis.report.formats import DASH, number, p_value, percent, points, printable
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.seal.analysis.arms import BITS
from domain_tokens.seal.analysis.budget import LEAST_PASSAGES
from domain_tokens.seal.analysis.reliability import WANTED
from domain_tokens.seal.analysis.results import Adaptation, Average, Bounded, ConditionResult, Validity

_INTERVALS = "Brackets are 95% intervals over passages, and over runs where there are several."
_ARMS = (
    "Arms: trained, the edit that the trained policy writes; untrained, the one it wrote before its first round; "
    "random, drawn evenly; commonest, the commonest parts of the edits that trained the policy; passage, the "
    "passage as it is with the rate and the weights of trained; shuffled, trained on the passage with every value at "
    "another person. All have the steps of trained."
)


def tables(found: Adaptation) -> list[Table]:
    """Return the tables that have a row, in the order of the questions."""
    made = [
        _validity(found),
        _arms(found),
        _contrasts(found),
        _selection(found),
        _rounds(found),
        _reliability(found),
        _choices(found),
        _chain(found),
        _settings(found),
    ]
    return [table for table in made if table.rows]


def bits(average: Average | None) -> str:
    """Format a difference of bits per byte with its interval: `+0.0123 [+0.0040, +0.0206]`."""
    if average is None:
        return DASH
    if average.low is None or average.high is None:
        return f"{average.mean:+.4f}"
    return f"{average.mean:+.4f} [{average.low:+.4f}, {average.high:+.4f}]"


def in_points(average: Average | None) -> str:
    """Format a difference of shares in percentage points with its interval."""
    if average is None:
        return DASH
    if average.low is None or average.high is None:
        return points(average.mean)
    return f"{points(average.mean)} [{points(average.low)}, {points(average.high)}]"


def share(value: Bounded | None) -> str:
    """Format a ratio or a correlation with its interval: `0.32 [0.21, 0.44]`."""
    if value is None or value.value is None:
        return DASH
    if value.low is None or value.high is None:
        return f"{value.value:.2f}"
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _each(found: Adaptation) -> Iterator[tuple[str, ConditionResult]]:
    return ((printable(one.condition), one) for one in found.conditions)


def _validity(found: Adaptation) -> Table:
    rows = [
        [
            name,
            f"round {one.round}" if one.part == "round" else one.part,
            one.arm,
            f"{one.edits:,}",
            percent(one.readable / one.edits),
            _problems(one),
        ]
        for name, condition in _each(found)
        for one in condition.validity
    ]
    header = ["condition", "where", "edits of", "edits", "could be read", "commonest problem"]
    return Table("Edits that could be read", header, rows, "An edit that cannot be read is not carried out.", labels=3)


def _problems(one: Validity) -> str:
    if not one.problems:
        return DASH
    problem, count = next(iter(one.problems.items()))
    return f"{printable(problem)[:60]} ({count:,})"


def _arms(found: Adaptation) -> Table:
    rows = [
        [
            name,
            one.arm,
            f"{one.passages:,}",
            number(one.steps),
            f"{one.bits_before:.4f} to {one.bits_after:.4f}",
            bits(one.drop),
            f"{percent(one.exact_before)} to {percent(one.exact_after)}",
            in_points(one.exact_gain),
            bits(one.forgetting),
        ]
        for name, condition in _each(found)
        for one in condition.arms
    ]
    header = ["condition", "arm", "passages", "steps", "bits per byte", "drop", "exact", "gain, points", "forgetting"]
    note = (
        "On the scoring half of the questions about test passages. Drop: of bits per byte of the answers; above 0 is "
        "better. Exact: answers of which every token and the end is the likeliest. Forgetting: the rise in bits per "
        f"byte of held-out text; above 0 is worse. {_INTERVALS} Passages are the same for all arms, so two arms may "
        f"differ where their intervals overlap: the next table has the differences. {_ARMS}"
    )
    return Table("Test passages, before an edit and after it", header, rows, note)


def _contrasts(found: Adaptation) -> Table:
    rows = [
        [
            name,
            one.control,
            one.measure,
            bits(one.difference) if one.measure == BITS else in_points(one.difference),
            p_value(one.difference.p_value),
            p_value(one.p_holm),
            one.verdict,
        ]
        for name, condition in _each(found)
        for one in condition.contrasts
    ]
    note = (
        "The gain of the trained policy's edits less that of the control on the same passages: bits per byte, or "
        f"percentage points. {_INTERVALS} Holm: p corrected for the {found.num_comparisons} comparisons of a "
        "condition. Better or worse: the corrected p is below 0.05; otherwise undecided."
    )
    header = ["condition", "against", "measure", "difference", "p", "Holm", "verdict"]
    return Table("The trained policy against the controls", header, rows, note, labels=3)


def _selection(found: Adaptation) -> Table:
    is_other = found.settings.get("reward") == "validation_loss"
    rows = [
        [
            name,
            "all" if one.round is None else str(one.round),
            f"{one.passages:,}",
            f"{one.edits:.1f}",
            *([bits(one.reward)] if is_other else []),
            bits(one.chosen),
            bits(one.scored),
            share(one.left),
            bits(one.repeated),
            share(one.left_repeated),
        ]
        for name, condition in _each(found)
        for one in condition.selection
    ]
    header = ["condition", "round", "passages", "edits", *(["reward"] if is_other else []), "choosing half"]
    header += ["scoring half", "left", "another seed too", "left"]
    note = (
        "Bits per byte that the best edit of a passage by its reward gains over the mean of its edits. In the reward "
        f"itself, here {'that on held-out text' if is_other else 'the choosing half'}, the gain is too high by "
        "construction: it could not be below 0. Scoring half: other questions, same inner loops. Another seed too: "
        "other questions, and an inner seed by which the edit was not chosen. Left: as a share of the choosing half, "
        "with a bootstrap interval over passages."
    )
    return Table("What choosing the best edit gains", header, rows, note)


def _rounds(found: Adaptation) -> Table:
    rows = []
    for name, condition in _each(found):
        rows += [
            [name, f"round {one.round} ({one.arm})", f"{one.reward.passages:,}", bits(one.reward), bits(one.scored)]
            for one in condition.rounds
        ]
        rows += [
            [
                name,
                f"round {one.later} less round {one.earlier}",
                f"{one.reward.passages:,}",
                bits(one.reward),
                bits(one.scored),
            ]
            for one in condition.changes
        ]
    note = (
        "The mean of all edits of a passage that could be read. The policy has learned from edits for the same "
        f"passages, so a later round says nothing about other passages. {_INTERVALS}"
    )
    header = ["condition", "edits", "passages", "reward", "scoring half"]
    return Table("Proposals by round", header, rows, note)


def _reliability(found: Adaptation) -> Table:
    rows = []
    for name, condition in _each(found):
        rows += [
            [
                name,
                one.measure,
                f"{one.edits:,}",
                share(one.one),
                share(one.one_consistent),
                f"{share(one.mean)} of {one.seeds:.3g}",
                DASH if one.seeds_needed is None else f"{one.seeds_needed:,}",
            ]
            for one in condition.reliability
        ]
        if (halves := condition.halves) is not None:
            cells = [f"{halves.edits:,}", share(halves.correlation), DASH, DASH, DASH]
            rows.append([name, "choosing half with scoring half", *cells])
    note = (
        "Among the edits of one passage. Of one seed: the share of the variance between values of single inner seeds "
        "that is between edits (intraclass correlation, one-way random effects). Consistency: the same without what "
        "an inner seed does to all edits of a passage alike. Mean of seeds: from one seed, for all inner seeds; then "
        f"how many make it {WANTED:g}. Last row: the correlation of an edit's mean drops in the two "
        "halves, which share inner loops. Brackets: 95% bootstrap intervals over passages."
    )
    header = ["condition", "measure", "edits", "one seed", "consistency", "mean of seeds", f"seeds for {WANTED:g}"]
    return Table("Can the reward be repeated?", header, rows, note)


def _choices(found: Adaptation) -> Table:
    rows = [
        [name, one.part, printable(one.value), percent(one.proposed), percent(one.kept), in_points(one.difference)]
        for name, condition in _each(found)
        for one in condition.choices
    ]
    note = (
        "Of the edits that could be read, and of those that were kept as the best of their passage. An edit may have "
        f"several forms. {_INTERVALS} Exploratory: of so many, some are far from 0 by chance."
    )
    header = ["condition", "part", "value", "proposed", "kept", "difference, points"]
    return Table("What was chosen", header, rows, note, labels=3)


def _chain(found: Adaptation) -> Table:
    rows = [
        [
            name,
            one.arm,
            "all" if one.place is None else str(one.place),
            f"{one.chains:,}",
            bits(one.forgetting),
            bits(one.gain),
            bits(one.held_out),
        ]
        for name, condition in _each(found)
        for one in condition.chain
    ]
    note = (
        "Test passages learned one after another without restoring the model. Forgetting: the rise in bits per byte "
        "of the answers about all earlier passages since each was learned. Gain: the drop for the passage just "
        "learned, in the scoring half. Held-out text: the rise there. Both from the model before the first passage. "
        "Brackets: 95% intervals over chains, whose places are averaged first; one chain has none."
    )
    header = [
        "condition",
        "arm",
        "passages before",
        "chains",
        "forgetting of earlier passages",
        "gain",
        "held-out text",
    ]
    return Table("Passages in a row", header, rows, note)


def _settings(found: Adaptation) -> Table:
    rows = [
        [
            name,
            one.weights,
            f"{one.learning_rate:g}",
            str(one.steps),
            f"{one.gain.passages:,}",
            bits(one.gain),
            bits(one.forgetting),
            "yes" if one.on_front else "" if one.is_counted else "too few passages",
        ]
        for name, condition in _each(found)
        for one in condition.settings
    ]
    note = (
        "The edits of all rounds, as the policy proposed them: not every passage had every setting. Front: no other "
        f"setting that at least {LEAST_PASSAGES} passages had gains as much and forgets less. {_INTERVALS}"
    )
    header = ["condition", "weights", "learning rate", "steps", "passages", "gain", "forgetting", "front"]
    return Table("Gain and forgetting by setting", header, rows, note, labels=3)
