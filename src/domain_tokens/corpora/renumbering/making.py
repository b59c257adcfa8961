"""Makes a renumbered set: splits the problems by template, draws their variants, and writes files with a record."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from domain_tokens.corpora.contamination.index import ContaminationIndex, Question
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.held_out import published_test_questions
from domain_tokens.corpora.renumbering.pairs import Pair, PairSide, pairs
from domain_tokens.corpora.renumbering.reading.mentions import TOO_LONG, mentions
from domain_tokens.corpora.renumbering.reading.solution import Unfaithful
from domain_tokens.corpora.renumbering.records import (
    IN_TABLE,
    NUMBERS_FILE,
    OUT_OF_TABLE,
    PAIRS_FILE,
    RECORD_FILE,
    REJECTED_FILE,
    TRAIN_FILE,
    VERSION,
    NumbersRow,
    PairedRow,
    PairStatistics,
    Part,
    RejectedRow,
    Renumbered,
    RenumberedRow,
    Side,
)
from domain_tokens.corpora.renumbering.variants import Check, Problem, variants
from domain_tokens.corpora.sources import describe, without_annotations
from domain_tokens.recipe import RecipeError, Source
from domain_tokens.runs.files import lock, make_folder, sha256_file, sha256_json, write_json, write_text
from domain_tokens.runs.records import read_record

TRAIN, EVALUATION = "train", "evaluation"
_PART = 25  # problems
_PARTS = "parts"
_FORM = 2  # of a part on disk
_HELD_OUT = "a question of an evaluation set"
_MOST_OF_A_PROBLEM = 10_000


@dataclass(frozen=True)
class Settings:
    """What is made.

    Attributes:
        seed: of the split and of the draws.
        variants: of each problem that trains.
        annotations: `keep` or `strip`, in what trains.
        evaluation_share: the share of the problems whose templates are evaluated and never train.
        pairs: at most so many of a template that is evaluated.
        numbers: variants of a problem that trains which are kept for evaluation, where it has as many.
        max_problems: at most so many problems are renumbered, the first.

    Raises:
        RecipeError: if more variants of a problem are asked for than are ever drawn.
    """

    seed: int = 0
    variants: int = 50
    annotations: str = "keep"
    evaluation_share: float = 0.04
    pairs: int = 5
    numbers: int = 1
    max_problems: int | None = None

    def __post_init__(self) -> None:
        if self.variants + self.numbers > _MOST_OF_A_PROBLEM:
            raise RecipeError(
                f"--variants {self.variants}, --numbers {self.numbers}: together {self.variants + self.numbers:,} "
                f"variants of each problem; expected at most {_MOST_OF_A_PROBLEM:,}, since so many are drawn one by "
                "one; ask for fewer"
            )


@dataclass(frozen=True)
class Split:
    """The problems of each side, and those on neither, with the side that they would be on and why they are not."""

    sides: dict[str, list[Problem]]
    rejected: list[RejectedRow]


def make(
    source: Source, settings: Settings, held_out: Sequence[Source], output: Path, check: Check, num_processes: int
) -> Renumbered:
    """Write the rows that train, the pairs that are evaluated, and the record of both into a folder.

    Goes on where an earlier call with the same settings and the same data ended; its files do not depend on the number
    of processes.

    Args:
        source (`Source`): problems with GSM8K's annotations.
        settings (`Settings`): what is made.
        held_out (`Sequence[Source]`): evaluation sets, none of whose questions becomes a template.
        output (`Path`): the folder.
        check (`Check`): the reader of equations that has the last word. It is sent to other processes.
        num_processes (`int`): how many.

    Raises:
        RecipeError: if the data cannot be read, or no problem of it becomes a template.
    """
    problems = read_problems(source, settings.max_problems)
    split = split_problems(problems, settings, held_out_questions(held_out))
    check_may_train(source, split, len(problems))
    make_folder(output)
    lock(output / ".lock")
    _refuse_another_set(output, _asked(source, settings, held_out))
    folder = output / _PARTS / _key(settings, split)
    parts = {side: _parts(side, split.sides[side], settings, folder, check, num_processes) for side in split.sides}
    rejected = [*split.rejected, *(row for side in parts.values() for part in side for row in part.rejected)]
    reasons = {side: count_reasons(rejected, side) for side in split.sides}
    if not any(part.rows for part in parts[TRAIN]):
        raise _no_template(source, reasons[TRAIN])
    rows = {
        TRAIN_FILE: [row.model_dump_json() for part in parts[TRAIN] for row in part.rows],
        PAIRS_FILE: [row.model_dump_json() for part in parts[EVALUATION] for row in part.pairs],
        NUMBERS_FILE: [row.model_dump_json() for part in parts[TRAIN] for row in part.numbers],
        REJECTED_FILE: [row.model_dump_json() for row in rejected],
    }
    for name, lines in rows.items():
        write_text(output / name, "".join(f"{line}\n" for line in lines))
    num_rows = {name: len(lines) for name, lines in rows.items()}
    record = _record(source, settings, held_out, split, parts, num_rows, reasons, output)
    write_json(output / RECORD_FILE, record.as_json())
    shutil.rmtree(output / _PARTS)
    return record


def check_may_train(source: Source, split: Split, num_problems: int) -> None:
    """Refuse a source of which more than half are questions of an evaluation set.

    Args:
        source (`Source`): the problems' source.
        split (`Split`): its sides.
        num_problems (`int`): how many problems were split.

    Raises:
        RecipeError: with both numbers.
    """
    num_held_out = sum(one.reason == _HELD_OUT for one in split.rejected)
    if num_held_out > num_problems / 2:
        raise RecipeError(
            f"source {source.name}: {num_held_out:,} of its {num_problems:,} problems are questions of an evaluation "
            "set; it is a test set, or made from one; expected problems that may train"
        )


def _record(
    source: Source,
    settings: Settings,
    held_out: Sequence[Source],
    split: Split,
    parts: dict[str, list[Part]],
    rows: dict[str, int],
    reasons: dict[str, dict[str, int]],
    output: Path,
) -> Renumbered:
    return Renumbered(
        version=VERSION,
        settings=_asked(source, settings, held_out),
        licence=source.licence or "not stated",
        problems={side: len(problems) for side, problems in split.sides.items()},
        templates={
            TRAIN: sum(part.templates for part in parts[TRAIN]),
            EVALUATION: sum(one.paired for one in parts[EVALUATION]),
        },
        rows=rows,
        sha256={name: sha256_file(output / name) for name in rows},
        reasons=reasons,
        pairs=_statistics([row for part in parts[EVALUATION] for row in part.pairs]),
    )


def _asked(source: Source, settings: Settings, held_out: Sequence[Source]) -> dict[str, str | int | float | None]:
    return {
        **asdict(settings),
        "source": json.dumps(describe(source), sort_keys=True),
        "held_out": json.dumps([describe(one) for one in held_out], sort_keys=True),
    }


def _refuse_another_set(output: Path, asked: dict[str, str | int | float | None]) -> None:
    """Refuse a folder whose set was made otherwise: a run may have been trained on it."""
    if not (output / RECORD_FILE).is_file():
        return
    record = read_record(output / RECORD_FILE, Renumbered)
    made, asked = {"version": record.version, **record.settings}, {"version": VERSION, **asked}
    if changed := [f"{key}: {made.get(key)}, now {value}" for key, value in asked.items() if made.get(key) != value]:
        raise RecipeError(
            f"{output}: holds a set that was made otherwise ({'; '.join(changed)}); remove the folder, or name another"
        )


def read_problems(source: Source, most: int | None = None) -> list[Problem]:
    """Return the first problems of a source, by their numbers in it. Raises `RecipeError` as `read_examples`."""
    examples = read_examples(source, 0, "train")[:most]
    return [Problem(f"problem {number}", one.question, one.answer) for number, one in enumerate(examples, 1)]


def held_out_questions(sources: Sequence[Source]) -> ContaminationIndex:
    """Return the questions that no template may come from: those of some sources, and of GSM8K's test set."""
    questions = [
        Question(source.name, one.place, one.question)
        for source in sources
        for one in read_examples(source, 0, "test")
    ]
    return published_test_questions(questions)


def split_problems(problems: Sequence[Problem], settings: Settings, held_out: ContaminationIndex) -> Split:
    """Split problems by their words, so that problems that differ in numbers alone are on one side.

    A problem of the evaluation that is like one that trains, though not the same, is on neither side.

    Args:
        problems (`Sequence[Problem]`): all of them.
        settings (`Settings`): with seed and share.
        held_out (`ContaminationIndex`): questions that are on neither side.
    """
    sides: dict[str, list[Problem]] = {TRAIN: [], EVALUATION: []}
    rejected: list[RejectedRow] = []
    seen: set[str] = set()
    for problem, findings in zip(problems, held_out.find_all(one.question for one in problems), strict=True):
        side = EVALUATION if _is_evaluated(problem.question, settings) else TRAIN
        words = _words(problem.question)
        if any(not one.is_warning for one in findings):
            rejected.append(_rejected(problem, side, _HELD_OUT))
        elif words in seen:
            rejected.append(_rejected(problem, side, "the words of another problem"))
        else:
            sides[side].append(problem)
            seen.add(words)
    evaluated = ContaminationIndex(
        [Question(EVALUATION, str(index), one.question) for index, one in enumerate(sides[EVALUATION])]
    )
    alike = {
        finding.question
        for findings in evaluated.find_all(one.question for one in sides[TRAIN])
        for finding in findings
        if not finding.is_warning
    }
    rejected += [
        _rejected(one, EVALUATION, "like a problem that trains")
        for index, one in enumerate(sides[EVALUATION])
        if index in alike
    ]
    sides[EVALUATION] = [one for index, one in enumerate(sides[EVALUATION]) if index not in alike]
    return Split(sides, rejected)


def _rejected(problem: Problem, side: str, reason: str, detail: str = "") -> RejectedRow:
    return RejectedRow(id=problem.id, side=side, reason=reason, detail=detail, question=problem.question)


def _is_evaluated(question: str, settings: Settings) -> bool:
    digest = hashlib.sha256(f"{settings.seed} {_words(question)}".encode()).digest()
    return int.from_bytes(digest[:8]) < settings.evaluation_share * 2**64


def _words(question: str) -> str:
    """Return a question without its numbers, in lower case and single spaces."""
    question = TOO_LONG.sub("#", question)
    for mention in reversed(mentions(question)):
        question = f"{question[: mention.start]}#{question[mention.end :]}"
    return re.sub(r"\W+", " ", question.replace("#", "0")).strip().lower()


def _parts(
    side: str, problems: Sequence[Problem], settings: Settings, folder: Path, check: Check, num_processes: int
) -> list[Part]:
    """Return the parts of one side in order; those that an earlier call has written are read."""
    shares = [problems[begin : begin + _PART] for begin in range(0, len(problems), _PART)]
    files = [folder / f"{side}-{index:05d}.json" for index in range(len(shares))]
    missing = [(file, share) for file, share in zip(files, shares, strict=True) if not file.is_file()]
    with tqdm(
        total=len(problems), initial=len(problems) - sum(len(share) for _, share in missing),
        desc=f"renumbering, {side}", unit=" problems", disable=None,
    ) as bar:  # fmt: skip
        for part, (file, share) in zip(_made(side, missing, settings, check, num_processes), missing, strict=True):
            write_text(file, part.model_dump_json())
            bar.update(len(share))
    return [Part.model_validate_json(file.read_text(encoding="utf-8")) for file in files]


def _made(
    side: str, missing: Sequence[tuple[Path, Sequence[Problem]]], settings: Settings, check: Check, num_processes: int
) -> Iterator[Part]:
    one = partial(make_part, side, settings=settings, check=check)
    shares = [share for _, share in missing]
    if num_processes == 1 or len(shares) < 2:
        yield from map(one, shares)
        return
    with ProcessPoolExecutor(min(num_processes, len(shares))) as pool:
        yield from pool.map(one, shares)


def make_part(side: str, problems: Sequence[Problem], settings: Settings, check: Check) -> Part:
    """Return the rows of some problems of one side of the split, with the reasons of those that have none."""
    part = Part()
    for problem in problems:
        try:
            if side == TRAIN:
                found = variants(problem, settings.seed, settings.variants, check, more=settings.numbers)
                for number, one in enumerate(found, 1):
                    name, question = f"{problem.id} #{number}", one.question
                    if number <= settings.variants:
                        answer = without_annotations(one.answer, settings.annotations)
                        part.rows.append(RenumberedRow(id=name, question=question, answer=answer))
                    else:
                        evaluated = NumbersRow(id=name, cluster=problem.id, question=question, answer=one.answer)
                        part.numbers.append(evaluated)
                part.templates += 1
            else:
                made = pairs(problem, settings.seed, settings.pairs, check)
                part.pairs += [row for number, pair in enumerate(made, 1) for row in _paired(problem, number, pair)]
                part.paired += 1
        except Unfaithful as reason:
            part.rejected.append(_rejected(problem, side, str(reason), reason.detail))
    return part


def _paired(problem: Problem, number: int, pair: Pair) -> Iterator[PairedRow]:
    sides: tuple[tuple[Side, PairSide], ...] = ((IN_TABLE, pair.in_table), (OUT_OF_TABLE, pair.out_of_table))
    for group, side in sides:
        yield PairedRow(
            id=f"{problem.id} #{number} {group}",
            pair=f"{problem.id} #{number}",
            group=group,
            cluster=problem.id,
            question=side.variant.question,
            answer=side.variant.answer,
            factors=side.factors,
        )


def _statistics(rows: Sequence[PairedRow]) -> PairStatistics | None:
    if not rows:
        return None
    inside, beyond = rows[::2], rows[1::2]
    products = [
        (a.factors[0] * a.factors[1], b.factors[0] * b.factors[1]) for a, b in zip(inside, beyond, strict=True)
    ]
    digits = Counter(str(len(str(one))) for one, _ in products)
    factors = Counter(" x ".join(map(str, sorted(len(str(one)) for one in row.factors))) for row in beyond)
    return PairStatistics(
        num_pairs=len(inside),
        num_templates=len({row.cluster for row in rows}),
        equal_products=sum(one == other for one, other in products),
        product_digits=dict(sorted(digits.items())),
        factor_digits=dict(sorted(factors.items())),
    )


def count_reasons(rejected: Sequence[RejectedRow], side: str) -> dict[str, int]:
    """Return why problems of one side did not become templates, the commonest reason first."""
    return dict(Counter(one.reason for one in rejected if one.side == side).most_common())


def _key(settings: Settings, split: Split) -> str:
    """Return what names the parts of a set: they are of no use to another."""
    known = {"version": VERSION, "form": _FORM, "part": _PART, **asdict(settings)}
    return sha256_json({**known, "problems": sha256_json(split.sides)})[:16]


def _no_template(source: Source, reasons: dict[str, int]) -> RecipeError:
    listed = ", ".join(f"{reason} ({number:,})" for reason, number in reasons.items())
    return RecipeError(
        f"source {source.name}: no problem becomes a template: {listed}; expected solutions with "
        "GSM8K's annotations, such as `48/2 = <<48/2=24>>24`, and a last line `#### <number>`"
    )


def default_processes() -> int:
    """Return how many processes are used where nothing says it: one for each core."""
    return os.cpu_count() or 1
