"""The tables of a transplant: the four cells, and what a difference consists of."""

from collections.abc import Sequence

from domain_tokens.analysis.report.formats import Scale, listed, printable
from domain_tokens.analysis.report.tables.table import Table, printable_rows
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import (
    BOUNDS,
    OTHER_BOUND,
    PRIMARY,
    Transplant,
    TransplantEffect,
    TransplantRow,
)
from domain_tokens.runs.results import ALL_ITEMS

_PRETRAINED = "pretrain_final"
_CONFOUNDED = (
    "A crossed cell goes on from a pretraining that was not run again, so all four cells have the same steps and "
    "seeds, and the same examples after it. Not equal: (1) where pretraining has equal tokens, the condition that "
    "needs fewer for a text reads more text in it, and the effect of pretraining is of both. (2) A crossed cell "
    "changes its tokenizer in the middle of training. Going on with tokens, it meets ids that no text of its "
    "pretraining used; they were never right, and at the demo's size their rows had become near copies of each other. "
    "Going on without, it must spell out what its pretraining saw as a token. What this costs the two cells adds up "
    "in the interaction, and half of the difference of the two costs lies in each main effect. At most their sum can "
    "be seen: it makes the interaction positive where more is better and negative where less is, and an interaction "
    "of tokens in both parts cannot be told from it. (3) An effect of fine-tuning belongs to this budget, and it may "
    "be one that tokens without a meaning have too: controls such as placebo_sites and canon_bare say that."
)
_BOUNDED = (
    "Bits have two bounds: the upper one counts the side record, which says how the text spelled what a tokenizer "
    "rewrote, the lower one the model's bits alone. A claim has to hold for both."
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
        f"{_of_bounds(transplant)}"
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
    rows = [row, *_other_bound(transplant, row)]
    clear = [effect_name(transplant, one) for one in row.effects[1:3] if _is_clear(rows, one.effect)]
    if not clear:
        text = "Neither part can be told from 0, so it is not known where a difference enters."
    elif len(clear) == 1:
        text = f"Only the part {clear[0]} can be told from 0, which does not show that the other one is 0."
    else:
        text = f"Both parts, {listed(clear)}, can be told from 0."
    if _is_clear(rows, "interaction"):
        text += " The two parts depend on each other, so a main effect is the mean of two different differences."
    return f"{text} {_BOUNDED}" if len(rows) > 1 else text


def _of_bounds(transplant: Transplant) -> str:
    """Return what holds for both bounds of each endpoint in bits, for a note; nothing if there is none."""
    said = []
    for row in transplant.rows:
        for lower in _other_bound(transplant, row) if row.metric in BOUNDS else []:
            effects = [one.effect for one in row.effects]
            clear = [effect_name(transplant, one) for one in row.effects if _is_clear([row, lower], one.effect)]
            apart = [name for name in effects if _effect(row, name).value * _effect(lower, name).value < 0]
            unknown = listed([effect_name(transplant, _effect(row, name)) for name in apart])
            said.append(f" Both intervals of {_place(row)} lie on one side of 0 for: {listed(clear) or 'no effect'}.")
            said.append(f" The sign is not known, since the bounds differ in it: {unknown}." if apart else "")
    return f" {_BOUNDED}{''.join(said)}" if said else ""


def _other_bound(transplant: Transplant, row: TransplantRow) -> list[TransplantRow]:
    """Return the row of the same endpoint's other bound, if there is one."""
    where = row.model, row.task, row.group
    return [
        one
        for one in transplant.rows
        if (one.model, one.task, one.group) == where and one.metric == OTHER_BOUND.get(row.metric)
    ]


def _is_clear(rows: Sequence[TransplantRow], name: str) -> bool:
    """Return whether the intervals of an effect lie on one side of 0, the same one in all rows."""
    intervals = [_effect(row, name).interval for row in rows]
    found = [one for one in intervals if one is not None]
    return len(found) == len(rows) and (all(low > 0 for low, _ in found) or all(high < 0 for _, high in found))


def _effect(row: TransplantRow, name: str) -> TransplantEffect:
    return next(one for one in row.effects if one.effect == name)


def _place(row: TransplantRow) -> str:
    group = "" if row.group == ALL_ITEMS else f", {row.group}"
    return f"{metric_of(row.task, row.metric, row.source)} of {row.model}{group}"


def _endpoint(row: TransplantRow) -> str:
    bound = ", upper bound" * (row.metric in BOUNDS) + ", lower bound" * (row.metric in BOUNDS.values())
    lower = ", lower is better" * row.lower_is_better
    primary = " (primary)" * (row.role == PRIMARY)
    return f"{_place(row)}{bound}{lower}{primary}"


def _begun(transplant: Transplant) -> str:
    return "pretrained as" if transplant.model == _PRETRAINED else f"trained up to {transplant.model} as"
