"""The tables of a transplant: the four cells, and what a difference consists of."""

from domain_tokens.analysis.report.formats import Scale, listed, printable
from domain_tokens.analysis.report.tables.table import Table, printable_rows
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import PRIMARY, Transplant, TransplantEffect, TransplantRow
from domain_tokens.runs.results import ALL_ITEMS

_PRETRAINED = "pretrain_final"
_CONFOUNDED = (
    "All four cells have the same steps, examples and seeds, because a crossed cell goes on from a pretraining that "
    "was not run again. What a crossed cell does not keep equal: it changes its tokenizer in the middle of training. "
    "Going on with tokens, it meets ids that no text of its pretraining used, whose rows are as they were drawn, but "
    "for what weight decay and never being right did to them; going on without, it must spell out what its "
    "pretraining saw as a token. What this change costs the two crossed cells adds up in the interaction, and half "
    "of the difference of the two costs lies in each main effect. So an interaction does not show that tokens in one "
    "part of training help or hinder those in the other, and a main effect is that of a part of training only as far "
    "as both changes cost alike."
)


def cells_table(transplant: Transplant) -> Table:
    """Return the four cells at every declared endpoint, with the differences along each side."""
    names = transplant.reference, transplant.other
    less = f"{names[1]} less {names[0]}"
    rows = []
    for row in transplant.rows:
        scale, value = Scale(row.unit), [cell.value for cell in row.cells]
        between = [scale.difference(value[1] - value[0]), scale.difference(value[3] - value[2])]
        corner = f"interaction {scale.difference(_effect(row, 'interaction').value)}"
        differences = scale.difference(value[2] - value[0]), scale.difference(value[3] - value[1])
        rows += [
            [_endpoint(row), names[0], scale.value(value[0]), scale.value(value[1]), between[0]],
            [_endpoint(row), names[1], scale.value(value[2]), scale.value(value[3]), between[1]],
            [_endpoint(row), less, *differences, corner],
        ]
    header = ["endpoint", _begun(transplant), *(f"then trained as {name}" for name in names), less]
    seeds = "one seed" if transplant.num_seeds == 1 else f"means of {transplant.num_seeds} seeds"
    note = f"Each cell: {seeds}. Differences in percentage points, or in the unit of the values. {_CONFOUNDED}"
    return Table("Where does the difference enter?", header, printable_rows(rows), note, labels=2, grouped=1)


def effects_table(transplant: Transplant) -> Table:
    """Return the whole difference, its two parts and their interaction, with intervals."""
    rows = []
    for row in transplant.rows:
        scale = Scale(row.unit)
        for effect in row.effects:
            by_seed = ", ".join(map(scale.difference, effect.by_seed))
            name = effect_name(transplant, effect)
            rows.append(
                [_endpoint(row), name, scale.difference(effect.value), scale.interval(effect.interval), by_seed]
            )
    over = "runs and questions, paired by both"
    if transplant.num_seeds == 1:
        over = "questions alone, and say nothing of other runs"
    note = (
        f"{transplant.other} less {transplant.reference}; fine-tuning stands for all training after the model that "
        "was transplanted. A main effect is the mean of the two differences that a part of training makes, one "
        "for each way of doing the other part; the two add up to the whole difference. The interaction is the "
        f"difference of these two differences. 95% intervals are over {over}. The parts and their interaction are "
        "exploratory: they are not in the family of declared tests, and not corrected for their number."
    )
    header = ["endpoint", "effect", "difference", "95% interval", "by seed"]
    return Table("What does the difference consist of?", header, printable_rows(rows), note, labels=2, grouped=1)


def effect_name(transplant: Transplant, effect: TransplantEffect) -> str:
    """Return what an effect is called."""
    before = "pretraining" if transplant.model == _PRETRAINED else f"training up to {transplant.model}"
    names = {
        "whole": "whole difference",
        "before": f"of {before}",
        "after": f"of what follows {before}" if transplant.model != _PRETRAINED else "of fine-tuning",
        "interaction": "interaction",
    }
    return names[effect.effect]


def enters(transplant: Transplant) -> str:
    """Return in plain words where the difference at the first endpoint enters, as far as the intervals can tell."""
    if not transplant.rows:
        return ""
    row = transplant.rows[0]
    scale = Scale(row.unit)
    said = [
        f"{effect_name(transplant, one)} {scale.difference(one.value)} ({scale.interval(one.interval)})"
        for one in row.effects[1:]
    ]
    whole = row.effects[0]
    start = (
        f"{_endpoint(row)}: of the difference of {scale.difference(whole.value)} {scale.word} "
        f"({scale.interval(whole.interval)}), the main effect {said[0]}, that {said[1]}, {said[2]}. "
    )
    return printable(f"{start[0].upper()}{start[1:]}{_told(transplant, row)}")


def _told(transplant: Transplant, row: TransplantRow) -> str:
    if transplant.num_seeds == 1:
        return "With one seed this says nothing of other runs, so it does not tell where a difference enters."
    clear = [effect_name(transplant, one) for one in row.effects[1:3] if _is_clear(one)]
    if not clear:
        text = "Neither part can be told from 0, so it is not known where a difference enters."
    elif len(clear) == 1:
        text = f"Only the part {clear[0]} can be told from 0, which does not show that the other one is 0."
    else:
        text = f"Both parts, {listed(clear)}, can be told from 0."
    if _is_clear(_effect(row, "interaction")):
        text += " The two parts depend on each other, so a main effect is the mean of two different differences."
    return text


def _is_clear(effect: TransplantEffect) -> bool:
    return effect.interval is not None and not effect.interval[0] <= 0 <= effect.interval[1]


def _effect(row: TransplantRow, name: str) -> TransplantEffect:
    return next(one for one in row.effects if one.effect == name)


def _endpoint(row: TransplantRow) -> str:
    group = "" if row.group == ALL_ITEMS else f", {row.group}"
    lower = ", lower is better" * row.lower_is_better
    return f"{metric_of(row.task, row.metric, row.source)} of {row.model}{group}{lower}" + " (primary)" * (
        row.role == PRIMARY
    )


def _begun(transplant: Transplant) -> str:
    return "pretrained as" if transplant.model == _PRETRAINED else f"trained up to {transplant.model} as"
