"""Examples of all that the generator makes, to be read: what a page of the documentation shows."""

import json
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.lessons.making import lesson
from domain_tokens.corpora.programs.conversion import EXAMPLES, Conversion, convert
from domain_tokens.corpora.renumbering import samples
from domain_tokens.corpora.worlds import passages as worlds
from domain_tokens.recipe import LESSON_KINDS, RecipeError
from domain_tokens.runs.files import write_text

NUM_EXAMPLES = 10
_BEGIN, _END = "<!-- generated examples -->", "<!-- end of generated examples -->"
_LESSONS = "lessons/"
_RENUMBERED = "renumbered"
_SPLIT = "train"
_PROGRAMS = "programs"
_WORLDS, _PASSAGES = "worlds", "passages"


def kinds() -> list[str]:
    """Return the names of all that is generated: sources' `what`, programs, lessons, renumbered problems, passages."""
    return [
        "text",
        "text_without_products",
        "drills",
        "problems",
        "cloze",
        _PROGRAMS,
        *(_LESSONS + kind for kind in LESSON_KINDS),
        _RENUMBERED,
        _WORLDS,
        _PASSAGES,
    ]


def examples(kind: str, num_examples: int, seed: int) -> Iterator[str]:
    """Return the first examples of a kind, of the training split; passages are of people whom no corpus names.

    Args:
        kind (`str`): one of `kinds()`.
        num_examples (`int`): how many; there are ten programs.
        seed (`int`): of the source.
    """
    if kind.startswith(_LESSONS):
        shares = {kind.removeprefix(_LESSONS): 1.0}
        return (lesson(seed, _SPLIT, index, shares).text for index in range(num_examples))
    if kind == _PROGRAMS:
        rows = map(json.loads, EXAMPLES.read_text(encoding="utf-8").splitlines()[:num_examples])
        return (_converted(row["code"], row["question"]) for row in rows)
    if kind == _RENUMBERED:
        return samples.examples(num_examples, seed)
    if kind == _WORLDS:
        return worlds.documents(num_examples, seed, _SPLIT)
    if kind == _PASSAGES:
        return map(_passage, worlds.passages("adapt", num_examples, seed))
    if kind == "cloze":
        return map(_cloze, synthetic.clozes(num_examples, seed, _SPLIT))
    if kind in ("drills", "problems"):
        make = synthetic.drills if kind == "drills" else synthetic.problems
        return (f"{made.question}\n{made.answer}" for made in make(num_examples, seed, _SPLIT))
    make_texts = synthetic.texts if kind == "text" else synthetic.texts_without_products
    return make_texts(num_examples, seed, _SPLIT)


def section() -> str:
    """Return examples of every kind in Markdown, folded, between the lines that mark their place on a page."""
    blocks = [_BEGIN, ""]
    for kind in kinds():
        texts = "\n\n".join(f"[{number}]\n{text}" for number, text in enumerate(examples(kind, NUM_EXAMPLES, 0), 1))
        blocks += [f"<details><summary>{kind}</summary>", "", f"```text\n{texts}\n```", "", "</details>", ""]
    return "\n".join([*blocks, _END])


def update_page(page: Path) -> None:
    """Write the examples into a page.

    Raises:
        RecipeError: if the page is missing or does not have exactly one place for them.
    """
    if not page.is_file():
        raise RecipeError(f"{page}: no such page; run the command in the project's folder, or name one with --page")
    text = page.read_text(encoding="utf-8")
    place = re.compile(f"{re.escape(_BEGIN)}\n.*?{re.escape(_END)}", re.DOTALL)
    if len(place.findall(text)) != 1:
        raise RecipeError(f"{page}: expected the lines {_BEGIN!r} and {_END!r} once, with the examples between them")
    write_text(page, place.sub(lambda _: section(), text))


def _converted(program: str, question: str) -> str:
    """Return a question with its program as prose."""
    converted = convert(program, question)
    assert isinstance(converted, Conversion), converted
    return f"{question}\n{converted.answer}"


def _passage(passage: worlds.Passage) -> str:
    """Return a passage with a held-out question about each of its facts."""
    questions = worlds.questions_about(passage.facts, random.Random(f"gallery {passage.id}"))
    return "\n".join([passage.text, *(f"{one.question} {one.answer}" for one in questions)])


def _cloze(item: Mapping[str, object]) -> str:
    """Return a scene with its endings; the right one is marked."""
    endings = item["endings"]
    assert isinstance(endings, list)
    marks = ["*" if str(index) == item["label"] else " " for index in range(len(endings))]
    return "\n".join([str(item["ctx"]), *(f"{mark} {ending}" for mark, ending in zip(marks, endings, strict=True))])
