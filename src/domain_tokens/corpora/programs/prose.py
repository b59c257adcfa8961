"""Writes the execution of a program as sentences, each of which ends in an equation or a number."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from domain_tokens.corpora.programs.arithmetic import Entry, Trace
from domain_tokens.corpora.programs.interpreter import Execution
from domain_tokens.corpora.programs.numbers import written
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Assigned, Compared, Computed
from domain_tokens.corpora.programs.wording.lists import word_set
from domain_tokens.corpora.programs.wording.nouns import MONTHS, WEEKDAYS, is_plural, singular, words_of
from domain_tokens.corpora.programs.wording.phrases import ANSWER, Phrase, phrase_of
from domain_tokens.corpora.programs.wording.question import Question

_MAX_CLAUSES = 3  # behind one "Since"
_TASK = re.compile(
    r"(?:(?:first|then|next|now|finally|so)[,:]? |step \d+[.:]? )?"
    r"(?:(?:calculate|compute|find|determine|get|work out|figure out) )?(?:out )?(?:the )?([A-Za-z][A-Za-z' -]+)",
    re.IGNORECASE,
)
_NO_PHRASE = word_set(
    "is are was be been let we she he they it i so if since because then assume assuming using therefore thus per "
    "that which who what when where how has have had will would can must should need needs get gets buys sells gives "
    "spends only but not note convert add subtract multiply divide check handle use this these those there here and "
    "or as for each"
)
_NO_CONTENT = word_set("total number of the in a an per to for from by at on with and")
_MAX_WORDS = 8
_ONE_DECIMAL = re.compile(r"[=≈] -?\d+\.\d$")


def sentences_of(execution: Execution, question: Question, comments: Mapping[int, str]) -> list[str]:
    """Return the sentences of a solution.

    Args:
        execution (`Execution`): what the program did.
        question (`Question`): whose words and given numbers are used.
        comments (`Mapping[int, str]`): the comments of the program, by the line that they belong to.

    Raises:
        RefusedError: if there is nothing to say but the result.
    """
    writer = _Writer(question, comments, execution.result.exact)
    found: list[str] = []
    is_told, has_steps = False, False
    for event in execution.events:
        if isinstance(event, Compared):
            compared = writer.compared(event)
            found, has_steps = [*found, *compared], has_steps or bool(compared)
            continue
        has_steps = has_steps or bool(event.trace)
        if isinstance(event, Assigned):
            writer.assigned_names.add(event.name)
        if isinstance(event, Computed):
            found.append(_computed(event.trace))
            is_told = event.trace[-1].result is execution.result  # another number may be the same by chance
        elif event.trace:
            found += writer.assigned(event)
            is_told = event.number.exact == execution.result.exact
        elif event.is_constant and (constant := writer.constant(event)):
            found.append(constant)
    if not has_steps:
        raise RefusedError(Reason.NO_STEPS)
    if not is_told:
        found.append(f"The answer is {written(execution.result.exact)}.")
    return found


class _Writer:
    """Writes sentences about the variables of one program."""

    def __init__(self, question: Question, comments: Mapping[int, str], result: Fraction) -> None:
        self._question = question
        self._result = result
        self._said: set[tuple[str, str]] = set()
        self.assigned_names: set[str] = set()
        self._comments = comments
        self._phrases: dict[tuple[str, int], Phrase | None] = {}

    def _phrase(self, name: str, line: int) -> Phrase | None:
        key = (name, line if line in self._comments else 0)
        if key not in self._phrases:
            phrase = phrase_of(name, self._question)
            comment = self._comments.get(line)
            if phrase is not None and comment is not None:
                text, unit = _commented(comment, name, phrase), phrase.unit or _unit_in(comment, phrase)
                text = text.removesuffix(f" in {unit}")
                phrase = phrase._replace(text=text or phrase.text, unit="" if " in " in text else unit)
            self._phrases[key] = phrase
        return self._phrases[key]

    def assigned(self, event: Assigned) -> list[str]:
        """Return sentences on a number that was computed."""
        phrase = self._phrase(event.name, event.line)
        if phrase is None or (phrase.text == ANSWER and event.number.exact != self._result):
            return [_computed(event.trace)]  # a helper, or a step on the way, may call its number the result, too
        *before, last = event.trace
        now = " now" if event.is_update or phrase[::2] in self._said else ""
        self._said.add(phrase[::2])
        said = f"{phrase.text} {phrase.verb}{now} {last.ending}{_unit_behind(last, phrase)}."
        if not before:
            return [_capital(said)]
        clauses = [entry.clause for entry in before]
        if len(clauses) > _MAX_CLAUSES:
            return [f"First, {_listed(clauses)}.", f"So {said}"]
        return [f"Since {_listed(clauses)}, {said}"]

    def constant(self, event: Assigned) -> str:
        """Return a sentence on a number that the program brings in; empty if the question gives it."""
        exact = event.number.exact
        if self._question.gives(exact) or exact in (0, 1):
            return ""
        phrase = self._phrase(event.name, event.line)
        if phrase is None or phrase.text == ANSWER:
            return ""
        if self._question.gives_percent(exact):
            value = f"{written(100 * exact)}%, which is {written(exact)}"
        else:
            unit = phrase.unit if phrase.unit != "dollars" else ""
            value = f"{written(exact)}{f' {unit}' if unit else ''}"
        return _capital(f"{phrase.text} {phrase.verb} {value}.")

    def compared(self, event: Compared) -> list[str]:
        """Return a sentence on a condition.

        There is none on numbers without a name that are the same, and none on a name that says nothing and was not
        assigned: the index of a loop.
        """
        phrase = self._phrase(event.name, 0) if event.name else None
        left, right = written(event.left.exact), written(event.right.exact)
        if phrase is None and event.name and event.name not in self.assigned_names:
            return []
        if phrase is not None and (phrase.text != ANSWER or event.left.exact == self._result):
            return [_capital(f"{phrase.text}, {left}, {event.words} {right}.")]
        return [f"{left} {event.words} {right}."] if left != right else []


def _computed(trace: Trace) -> str:
    clauses = _listed([entry.clause for entry in trace])
    return f"We have {clauses}." if "=" in trace[0].clause else _capital(f"{clauses}.")


def _unit_behind(entry: Entry, phrase: Phrase) -> str:
    """Return the unit behind an equation: ` hours`, and the second decimal of an amount of dollars before it."""
    if not phrase.unit or entry.ending != entry.clause:
        return ""
    cents = "0" if phrase.unit == "dollars" and _ONE_DECIMAL.search(entry.ending) else ""
    unit = phrase.unit
    if entry.result.exact == 1:
        first, *others = unit.split(" ")
        unit = " ".join([singular(first), *others]) if first != "square" else f"square {singular(others[0])}"
    return f"{cents} {unit}"


def _listed(clauses: Sequence[str]) -> str:
    *rest, last = clauses
    return f"{', '.join(rest)} and {last}" if rest else last


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _commented(comment: str, name: str, phrase: Phrase) -> str:
    """Return the phrase that a comment has for a variable, if it says all that the variable's name says, and more."""
    match = _TASK.fullmatch(comment.strip().rstrip(".:"))
    if match is None:
        return ""
    words = match[1].split()
    small = [word.lower() for word in words]
    if not 2 <= len(words) <= _MAX_WORDS or not _NO_PHRASE.isdisjoint(small):
        return ""
    stems = {singular(word) for word in small}
    content = {singular(word) for word in words_of(name)} - _NO_CONTENT
    if phrase.unit:
        content -= {singular(word) for word in phrase.unit.split()}
    counts = "number of" in phrase.text
    if not content <= stems or counts != ("number of" in match[1]) or (not counts and is_plural(small[0])):
        return ""
    is_name = _is_name(words) or small[0] in WEEKDAYS | MONTHS
    first = words[0][0].lower() + words[0][1:] if words[0][1:].islower() and not is_name else words[0]
    return " ".join(["the", first, *words[1:]]) if not first.endswith("'s") else " ".join([first, *words[1:]])


def _is_name(words: list[str]) -> bool:
    return words[0].endswith("'s")


_UNIT = re.compile(
    r"\(?(?:in )?((?:square |cubic )?(?:hours|minutes|seconds|days|weeks|months|years|miles|kilometers|meters"
    r"|centimeters|feet|inches|yards|pounds|ounces|kilograms|grams|gallons|liters|cups|dollars|km|cm|kg|ft|lbs?|mph)"
    r"(?: per (?:hour|minute|second|day|week|month|year|mile|gallon|pound|foot))?)\)?\.?"
)  # fmt: skip


def _unit_in(comment: str, phrase: Phrase) -> str:
    """Return the unit that a comment consists of."""
    match = _UNIT.fullmatch(comment.strip().lower())
    if match is None or match[1].split()[0] in phrase.text.split():
        return ""
    return " ".join(words_of(match[1]))
