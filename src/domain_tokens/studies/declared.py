"""When the points, fits and held-out points of a study were declared, and which held-out runs were known by then."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import cast

import yaml

from domain_tokens.runs.files import exclusive, make_folder, read_json, write_json, write_text
from domain_tokens.runs.provenance import git_commit
from domain_tokens.runs.records import Fields, Record
from domain_tokens.studies.declaration import Settings, Study
from domain_tokens.studies.points import Point
from domain_tokens.studies.table import missing_runs

DECLARATIONS, STUDY = "declarations.json", "study.yaml"
_LOCK = "declarations.lock"


class Declaration(Record):
    """What a command declared before it ran anything."""

    time_utc: str
    git_commit: str | None
    points: Mapping[str, Fields]
    """What each point sets, by its name."""
    seeds: tuple[int, ...]
    held_out: Fields
    fits: tuple[str, ...]
    seen: tuple[str, ...]
    """Points held out here of which a run was complete by then."""
    seen_fitted: tuple[str, ...] = ()
    """Other points of which one was, so that fits could have been looked at."""


def declare(study: Study, points: Sequence[Point]) -> None:
    """Add to `declarations.json` what is declared, if the last entry says something else; write `study.yaml`.

    Args:
        study (`Study`): the study.
        points (`Sequence[Point]`): all its points.
    """
    make_folder(study.folder)
    with exclusive(study.folder / _LOCK):
        write_text(study.folder / STUDY, yaml.safe_dump(asdict(study), sort_keys=False, allow_unicode=True))
        before, made = read_declarations(study), _new(study, points)
        if not before or _content(before[-1]) != _content(made):
            write_json(study.folder / DECLARATIONS, [one.as_json() for one in (*before, made)])


def read_declarations(study: Study) -> list[Declaration]:
    """Return what was declared, the oldest first. Raises `RecipeError` if the file is damaged."""
    path = study.folder / DECLARATIONS
    return [Declaration.parse(one, path) for one in read_json(path)] if path.is_file() else []


def describe_held_out(study: Study, points: Sequence[Point]) -> str:
    """Return in a sentence whether the held-out points were declared before they were run; empty if there are none."""
    if not study.held_out:
        return ""
    wanted = _content(_new(study, points))
    found = next((one for one in read_declarations(study) if _content(one)[:2] == wanted[:2]), None)
    if found is None:
        return "The held-out points were not declared by a command that ran them, so their predictions are no test."
    if found.seen:
        return f"Held out after they were run, so that their predictions are no test: {', '.join(found.seen)}."
    fitted = f" Runs of other points were: {', '.join(found.seen_fitted)}." if found.seen_fitted else ""
    return (
        f"The held-out points were declared on {found.time_utc[:10]}, before any of their runs was complete.{fitted}"
    )


def _new(study: Study, points: Sequence[Point]) -> Declaration:
    own = [point for point in points if point.is_run]
    runs = len(study.recipes) * len(study.seeds)
    held_out = {point.name for point in own if point.held_out}
    begun = [point.name for point in own if len(missing_runs(study, [point])) < runs]
    return Declaration(
        time_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(),
        points={point.name: _plain(point.settings) for point in own},
        seeds=tuple(study.seeds),
        held_out=_plain(study.held_out),
        fits=tuple(study.fits),
        seen=tuple(name for name in begun if name in held_out),
        seen_fitted=tuple(name for name in begun if name not in held_out),
    )


def _plain(settings: Settings) -> Fields:
    """Return values as they are read back."""
    return cast(Fields, json.loads(json.dumps(dict(settings))))


def _content(declaration: Declaration) -> tuple[Fields, Mapping[str, Fields], tuple[int, ...], tuple[str, ...]]:
    return declaration.held_out, declaration.points, declaration.seeds, declaration.fits
