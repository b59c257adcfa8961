"""An intervention: the one thing that differs between conditions, described by a YAML file.

An intervention adds tokens to the base vocabulary and says which text they replace. `facts` makes a table of
arithmetic facts and `rules` says how a text may spell them; `tokens` adds single tokens with a text, or a regular
expression, of their own; `numbers` says how numbers are cut, without a new token. Nothing in the code knows an
intervention by its name.

An `Intervention` and its parts are frozen and hashable, so what is compiled from one is cached by the object itself.
"""

import json
import random
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from domain_tokens.recipe import Recipe, RecipeError, load_section
from domain_tokens.tokenization.digits import AS_BASE, GROUPINGS
from domain_tokens.tokenization.facts import FIRST_FACT_ID, MAX_VOCAB_SIZE, NUM_FACTS, TOKEN_NAME

OPERATIONS = {"*": lambda a, b: a * b, "+": lambda a, b: a + b}
OPERATORS = {
    "*": {"*": r"\*", "×": "×", "x": "x", "·": "[·⋅∙]", "\\times": r"\\times", "\\cdot": r"\\cdot"},
    "+": {"+": r"\+", "＋": "＋"},
}
MODES = ("weak", "strict")
REPLACES = ("equation", "expression")
MAX_OPERAND = 20


def _freeze(section: object, name: str) -> None:
    """Turn a field of a frozen dataclass into a tuple: files, JSON and callers may give a list."""
    object.__setattr__(section, name, tuple(getattr(section, name)))


@dataclass(frozen=True)
class Facts:
    """A table of facts `a operation b = c`, each of which becomes a token.

    Attributes:
        operation: `*` or `+`.
        operands: the smallest and the largest operand, whole numbers from 0 to 20. Any sequence is kept as a tuple.
        folded: whether `6*9` and `9*6` are one fact. If so the table holds `a <= b` alone.
        token: the name of a fact's token, with `{a}`, `{b}` and `{c}` in it; null rewrites the text without a token.
        text: the text that a fact stands for: what its token is expanded to.
        replaces: what the token replaces in a text: the `equation` `6*9=54` or the `expression` `6*9` alone.
        wrong: a control: a site is written as a fact that it does not state, the same for the same operands.
    """

    operation: str = "*"
    operands: tuple[int, ...] = (1, 9)
    folded: bool = True
    token: str | None = "<MUL_{a}_{b}_{c}>"
    text: str = "{a}*{b}={c}"
    replaces: str = "equation"
    wrong: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "operands")


@dataclass(frozen=True)
class Rules:
    r"""How a text may spell a fact.

    Attributes:
        mode: `weak` also rewrites an expression without its result (`6*9`), `strict` only a whole equation with its
            right result (`6*9=54`).
        operators: the signs that count: `*`, `×`, `x`, `·`, `\times`, `\cdot` for products; `+`, `＋` for sums.
        spaces: whether up to three spaces may be around the signs.
        bare_x: whether an `x` counts that has neither spaces around it nor a result behind it, as in `6x9`.
        words: whether "6 times 9" and "six times nine is fifty-four" count ("plus" for sums).
        chinese: whether 六九五十四 and 6乘9等于54 count (加 for sums).
    """

    mode: str = "weak"
    operators: tuple[str, ...] = ("*", "×", "x")
    spaces: bool = True
    bare_x: bool = True
    words: bool = False
    chinese: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "operators")


@dataclass(frozen=True)
class Phrase:
    """One token and the text that it replaces.

    Attributes:
        token: the token's name.
        text: the text that the token stands for.
        match: a regular expression of what is replaced; if not given, `text` itself where it is no part of a word.
    """

    token: str = "???"
    text: str = "???"
    match: str | None = None


@dataclass(frozen=True)
class Entry:
    """One thing that a text can say and the intervention knows: a fact of the table or a phrase.

    `token` is `None` in an intervention that rewrites text and adds no token; phrases have no operands.
    """

    token: str | None
    text: str
    operands: tuple[int, int] | None = None
    result: int | None = None


@dataclass(frozen=True)
class Intervention:
    """What is done to the tokenizer of the base vocabulary, GPT-2's unless a recipe names another.

    Attributes:
        name: the intervention's name, for reports; nothing in the code asks for it.
        about: one sentence on what it is for.
        num_ids: how many ids follow the padded base vocabulary; those without a token stay reserved, and no text
            produces them. Two conditions can be compared only if they have equally many.
        facts: the table of facts, if there is one.
        rules: how a text may spell a fact.
        tokens: single tokens, after the facts.
        numbers: how numbers are cut into tokens: `as_base`, `single_digit`, `digits_2` (pairs from the left) or
            `r2l_3` (groups of three from the right).
    """

    name: str = "???"
    about: str = ""
    num_ids: int = NUM_FACTS
    facts: Facts | None = None
    rules: Rules = Rules()
    tokens: tuple[Phrase, ...] = ()
    numbers: str = AS_BASE

    def __post_init__(self) -> None:
        _freeze(self, "tokens")

    def entries(self) -> list[Entry]:
        """Return the facts in order of their operands, then the phrases; a token's id follows from its index."""
        phrases = [Entry(phrase.token, phrase.text) for phrase in self.tokens]
        return [*([] if self.facts is None else _table(self.facts)), *phrases]

    def token_names(self) -> list[str]:
        """Return the names of the tokens in order of their ids, which start at `IdRanges.first_added`."""
        return [entry.token for entry in self.entries() if entry.token is not None]

    def as_json(self) -> dict[str, Any]:
        """Return the intervention as a JSON file holds it: with lists for tuples.

        `numbers` is left out where numbers are cut as the base does it: version 0.3 did not know the key, and a
        tokenizer that means the same has the same certificate.
        """
        values = json.loads(json.dumps(asdict(self)))
        if self.numbers == AS_BASE:
            del values["numbers"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Intervention":
        """Return the intervention that `as_json` described. Raises `TypeError` or `KeyError` for anything else."""
        facts = values["facts"]
        return cls(
            **values
            | {
                "facts": None if facts is None else Facts(**facts),
                "rules": Rules(**values["rules"]),
                "tokens": tuple(Phrase(**phrase) for phrase in values["tokens"]),
            }
        )


@dataclass(frozen=True)
class _File(Intervention):
    """An intervention as its file is read: OmegaConf checks the members of a list and not those of a tuple."""

    tokens: list[Phrase] = field(default_factory=list)  # type: ignore[assignment]


def load_intervention(path: Path) -> Intervention:
    """Read and check an intervention file. Raises `RecipeError` naming the file and the key."""
    read = load_section(_File, path)
    intervention = Intervention(**{one.name: getattr(read, one.name) for one in fields(Intervention)})
    check_intervention(intervention, str(path))
    return intervention


def load_canonical_table(recipe: Recipe) -> Intervention:
    """Return the intervention in whose terms a recipe's rewards and evaluation read answers.

    A recipe that names none means the experiment's own.

    Raises:
        RecipeError: naming the file and the key.
    """
    if recipe.canonical_table is None:
        return default_intervention()
    return load_intervention(Path(recipe.canonical_table))


def canonical_rules(table: Intervention) -> Intervention:
    """Return the intervention that writes every fact of a table in one way, `6*9=54`, and adds no token."""
    if table.facts is None:
        return Intervention("canonical")
    operation = table.facts.operation
    rules = replace(table.rules, mode="weak", operators=tuple(OPERATORS[operation]), spaces=True, bare_x=True)
    facts = Facts(operation, table.facts.operands, folded=True, token=None, text=f"{{a}}{operation}{{b}}={{c}}")
    return Intervention("canonical", facts=facts, rules=rules)


def check_intervention(intervention: Intervention, where: str) -> None:
    """Check what the types do not say. Raises `RecipeError` naming the key."""
    for key, problem in _problems(intervention):
        raise RecipeError(f"{where}: {key}: {problem}")


def fact_pairs(facts: Facts) -> list[tuple[int, int]]:
    """Return the pairs of operands that are facts of their own, in order."""
    low, high = facts.operands
    return [(a, b) for a in range(low, high + 1) for b in range(a if facts.folded else low, high + 1)]


def result_of(facts: Facts, a: int, b: int) -> int:
    """Return `a operation b`."""
    return OPERATIONS[facts.operation](a, b)


def written_entries(facts: Facts) -> dict[tuple[int, int], Entry]:
    """Return what is written for each ordered pair of operands: its own fact, or a wrong one if the facts say so.

    Wrong facts are many to one. A model never sees a token's name, so an exchange of one fact for another would only
    rename the tokens; here each token that is used stands for sites with two or three different results, from which
    the right one cannot be told.
    """
    table = _table(facts)
    by_pair = {entry.operands: entry for entry in table}
    low, high = facts.operands
    pairs = [(a, b) for a in range(low, high + 1) for b in range(low, high + 1)]
    if not facts.wrong:
        return {(a, b): by_pair[(min(a, b), max(a, b)) if facts.folded else (a, b)] for a, b in pairs}
    used = table[: len(pairs) // 2]
    for seed in range(1000):
        order = random.Random(seed).sample(pairs, len(pairs))
        chosen = {pair: used[index % len(used)] for index, pair in enumerate(order)}
        results: dict[Entry, list[int | None]] = {}
        for (a, b), entry in chosen.items():
            results.setdefault(entry, [entry.result]).append(result_of(facts, a, b))
        if all(len(set(found)) == len(found) for found in results.values()):
            return chosen
    raise ValueError(f"no wrong facts for operands {low} to {high}: the table is too small")


def _table(facts: Facts) -> list[Entry]:
    entries = []
    for a, b in fact_pairs(facts):
        values = {"a": a, "b": b, "c": result_of(facts, a, b)}
        token = None if facts.token is None else facts.token.format(**values)
        entries.append(Entry(token, facts.text.format(**values), (a, b), values["c"]))
    return entries


def _problems(intervention: Intervention) -> Iterator[tuple[str, str]]:
    """Yield the key and the complaint of everything that is wrong, the first one first."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", intervention.name):
        yield "name", f"expected letters, digits, '_', '-' and '.', got {intervention.name!r}"
    if not 0 <= intervention.num_ids <= MAX_VOCAB_SIZE - FIRST_FACT_ID:
        limit = MAX_VOCAB_SIZE - FIRST_FACT_ID
        yield "num_ids", f"expected 0 to {limit} (token ids are stored in 16 bits), got {intervention.num_ids}"
    if intervention.facts is not None:
        yield from _problems_of_facts(intervention.facts, intervention.rules)
    if intervention.numbers not in (AS_BASE, *GROUPINGS):
        yield "numbers", _one_of((AS_BASE, *GROUPINGS), intervention.numbers)
    yield from _problems_of_tokens(intervention)


def _problems_of_facts(facts: Facts, rules: Rules) -> Iterator[tuple[str, str]]:
    if facts.operation not in OPERATIONS:
        yield "facts.operation", _one_of(OPERATIONS, facts.operation)
    if len(facts.operands) != 2 or not 0 <= facts.operands[0] <= facts.operands[-1] <= MAX_OPERAND:
        yield (
            "facts.operands",
            f"expected the smallest and the largest, 0 to {MAX_OPERAND}, as in [1, 9], got {[*facts.operands]!r}",
        )
    for key in ("token", "text"):
        template = getattr(facts, key)
        try:
            names = [] if template is None else [template.format(a=a, b=b, c=0) for a in (1, 2) for b in (3, 4)]
        except (KeyError, IndexError, ValueError) as error:
            yield f"facts.{key}", f"expected a text with {{a}}, {{b}} and {{c}} in it, got {template!r} ({error!r})"
        else:
            if len(set(names)) < len(names):
                yield (
                    f"facts.{key}",
                    f"expected {{a}} and {{b}} in it, or facts share one name, got {template!r}",
                )
    if facts.replaces not in REPLACES:
        yield "facts.replaces", _one_of(REPLACES, facts.replaces)
    if rules.mode not in MODES:
        yield "rules.mode", _one_of(MODES, rules.mode)
    known = OPERATORS[facts.operation]
    for operator in rules.operators:
        if operator not in known:
            yield "rules.operators", _one_of(known, operator)
    if not (rules.operators or rules.words or rules.chinese):
        yield "rules.operators", f"empty; expected at least one of {' '.join(known)}, or words, or chinese"
    if facts.wrong and facts.operands[1] - facts.operands[0] < 4:
        yield "facts.wrong", "expected a table of at least 5 operands"


def _problems_of_tokens(intervention: Intervention) -> Iterator[tuple[str, str]]:
    names = intervention.token_names()
    if len(names) > intervention.num_ids:
        yield "num_ids", f"{len(names)} tokens need at least as many ids, got {intervention.num_ids}"
    texts = {entry.token: entry.text for entry in intervention.entries()}
    for name in names:
        if names.count(name) > 1:
            yield "tokens", f"the name {name!r} stands for two tokens; names are unique"
        if not re.fullmatch(TOKEN_NAME, name) and texts[name] != name:
            shape = "capitals, digits and at least one underscore in angle brackets, as <MUL_6_9_54>"
            yield "tokens", f"the name {name!r}: expected {shape}, or exactly the text that the token stands for"
    for phrase in intervention.tokens:
        if not phrase.text:
            yield "tokens", f"{phrase.token}: text: empty"
        if phrase.match is not None:
            import regex  # imported here because it takes 7 ms and most interventions do not need it

            try:
                found = regex.compile(phrase.match).search("")
            except regex.error as error:
                yield "tokens", f"{phrase.token}: match: not a regular expression: {error}"
            else:
                if found:
                    yield "tokens", f"{phrase.token}: match: matches the empty text"


def _one_of(allowed: Collection[str], value: object) -> str:
    return f"expected one of {' '.join(allowed)}, got {value!r}"


@cache
def default_intervention() -> Intervention:
    """Return the experiment's own intervention, which `recipes/interventions/mul_tokens.yaml` spells out."""
    return Intervention(name="mul_tokens", facts=Facts())
