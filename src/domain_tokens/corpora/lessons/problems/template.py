"""A template of word problems: its wording, the numbers that are sensible for it, and the steps that solve it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from string import Formatter
from types import CodeType

from domain_tokens.corpora.lessons.problems.nouns import PARTNERS, ROLES, Noun, Person, noun

_OPERANDS = re.compile(r"\w+")
_SIGN = re.compile(r"[-+*/]")
_NUMBER = re.compile(r"[a-z]|s\d")


@dataclass(frozen=True)
class Filling:
    """What the gaps of one problem are filled with.

    Attributes:
        people: by their letters in the template.
        nouns: by the names of their roles.
        values: the numbers and the results of the steps (`s1`).
        write: writes a number.
    """

    people: Mapping[str, Person]
    nouns: Mapping[str, Noun]
    values: Mapping[str, int]
    write: Callable[[int], str] = str


@dataclass(frozen=True)
class Wording:
    """A text with gaps; see `Template` for what they can be."""

    text: str

    @cached_property
    def keys(self) -> list[str]:
        """The names of the gaps, each once."""
        return list(dict.fromkeys(key for _, key, _, _ in Formatter().parse(self.text) if key is not None))

    @cached_property
    def _gaps(self) -> list[tuple[str, Callable[[Filling], str]]]:
        return [(key, _gap(key)) for key in self.keys if not key.startswith("=")]

    @cached_property
    def _result_noun(self) -> str | None:
        found = [key for key in self.keys if key.startswith("= ")]
        return found[0] if found else None

    def fill(self, filling: Filling, equation: str = "", result: int = 0) -> str:
        """Return the text with its gaps filled.

        Args:
            filling (`Filling`): people, nouns and numbers.
            equation (`str`, *optional*): of the step that the sentence states.
            result (`int`, *optional*): the result of this step.
        """
        words = {key: gap(filling) for key, gap in self._gaps}
        if equation:
            words["="] = equation
            if (key := self._result_noun) is not None:
                words[key] = f"{equation} {_noun(key[2:])(filling).of(result)}"
        return self.text.format_map(words)


@dataclass(frozen=True)
class Template:
    """A word problem with gaps.

    The gaps:

    - `{A}` and `{B}` are people; `{she}`, `{her}`, `{him}`, `{She}` and `{Her}` are pronouns of the first.
    - `{a}` is a number, `{a apple}` one with a noun that agrees with it, `{is a}` the verb that does, and `{times a}`
      is `twice` or `3 times`.
    - `{item}`, `{item+}` and `{an item}` are the singular, the plural, and the singular with its article of a role in
      `ROLES`, or of a role's partner in `PARTNERS`; `{item2}` is another one of the role.
    - In sentences of the solution, `{=}` is their equation, `{= apple}` the same with a noun that agrees with its
      result, and `{s1}` the result of the first step.

    Attributes:
        name: part of the id of each of its problems.
        numbers: for each number the sensible ones, or the role whose noun says them: the price of an `item`.
        question: the wording.
        steps: for each step an expression of numbers, constants and earlier results (`s1-c`), and a sentence.
        answer: a sentence that says the answer.
        formula: the answer from the numbers at once, to compare the steps with.
        derived: numbers that are computed from others and shown like them: `{"n": "a*b"}`.
    """

    name: str
    numbers: Mapping[str, Sequence[int] | str]
    question: str
    steps: tuple[tuple[str, str], ...]
    answer: str
    formula: str
    derived: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def program(self) -> list[tuple[str, list[str]]]:
        """The sign and the operands of each step."""
        parsed = []
        for expression, _ in self.steps:
            signs = set(_SIGN.findall(expression))
            assert len(signs) == 1, f"{self.name}: expected one sign a step, got {expression!r}"
            parsed.append((signs.pop(), _OPERANDS.findall(expression)))
        return parsed

    @cached_property
    def needed(self) -> list[str]:
        """The numbers from which the answer is computed; another choice of any other number makes no new problem."""
        names = [name for _, operands in self.program for name in operands]
        return [name for name in dict.fromkeys(names) if re.fullmatch("[a-z]", name)]

    @cached_property
    def constants(self) -> list[int]:
        """The numbers that everybody knows, such as the days of a week."""
        names = {name for _, operands in self.program for name in operands}
        return sorted(int(name) for name in names if name.isdecimal())

    @cached_property
    def wordings(self) -> tuple[Wording, list[Wording], Wording]:
        """The question, the sentences of the solution, and the sentence with the answer."""
        return Wording(self.question), [Wording(sentence) for _, sentence in self.steps], Wording(self.answer)

    @cached_property
    def roles(self) -> list[str]:
        """The roles whose nouns have to be drawn: `item`, `item2`."""
        question, sentences, answer = self.wordings
        keys = [key for wording in (question, *sentences, answer) for key in wording.keys]
        found = [role for key in keys for role in _roles(key)]
        return list(dict.fromkeys([*found, *(spec for spec in self.numbers.values() if isinstance(spec, str))]))

    @cached_property
    def code(self) -> CodeType:
        """The compiled formula."""
        return compile(self.formula, self.name, "eval")

    @cached_property
    def derived_code(self) -> dict[str, CodeType]:
        """The compiled expressions of the derived numbers."""
        return {name: compile(expression, self.name, "eval") for name, expression in self.derived.items()}


def role_of(name: str) -> str | None:
    """Return the role of a name in a gap: `item` and `item2` of themselves, `thing2` of `box2`, `apple` has none."""
    word = name.rstrip("+")
    base, number = word.rstrip("23"), word[len(word.rstrip("23")) :]
    if base in ROLES:
        return word
    return f"{PARTNERS[base]}{number}" if base in PARTNERS else None


def _roles(key: str) -> Iterator[str]:
    role = role_of(key.split(" ", 1)[-1])
    if role is not None:
        yield role


def _noun(name: str) -> Callable[[Filling], Noun]:
    """Return how to find a noun: that of a role, a role's partner, or one that is written out (`child/children`)."""
    role = role_of(name)
    if role is None:
        fixed = noun(name)
        return lambda filling: fixed
    if role == name:
        return lambda filling: filling.nouns[role]

    def partner(filling: Filling) -> Noun:
        found = filling.nouns[role].partner
        assert found is not None, role
        return found

    return partner


_PRONOUNS: dict[str, Callable[[Person], str]] = {
    "she": lambda person: person.she,
    "her": lambda person: person.her,
    "him": lambda person: person.him,
    "She": lambda person: person.she.capitalize(),
    "Her": lambda person: person.her.capitalize(),
}


def _gap(key: str) -> Callable[[Filling], str]:
    """Return how a gap is filled."""
    word, _, name = key.partition(" ")
    if key in _PRONOUNS:
        pronoun = _PRONOUNS[key]
        return lambda filling: pronoun(filling.people["A"])
    if key.isupper():
        return lambda filling: filling.people[key].name
    if word == "is":
        return lambda filling: "is" if filling.values[name] == 1 else "are"
    if word == "times":
        return lambda filling: "twice" if filling.values[name] == 2 else f"{filling.write(filling.values[name])} times"
    if word in ("an", "An"):
        find = _noun(name)
        return lambda filling: f"{'A' if word == 'An' else 'a'}{article(find(filling).one)}"
    if _NUMBER.fullmatch(word):
        if not name:
            return lambda filling: filling.write(filling.values[word])
        counted = _noun(name)
        return lambda filling: f"{filling.write(filling.values[word])} {counted(filling).of(filling.values[word])}"
    assert role_of(key) is not None, f"no such gap: {{{key}}}"
    find = _noun(key.removesuffix("+"))
    return (lambda filling: find(filling).many) if key.endswith("+") else (lambda filling: find(filling).one)


def article(word: str) -> str:
    """Return the rest of the article with its word: `n apple`, ` pear`."""
    return f"{'n' if word[0] in 'aeiou' else ''} {word}"
