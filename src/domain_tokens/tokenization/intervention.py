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
from itertools import chain
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from domain_tokens.recipe import Recipe, RecipeError, load_section
from domain_tokens.tokenization.bpe.digits import AS_BASE, GROUPINGS
from domain_tokens.tokenization.facts import FIRST_FACT_ID, MAX_VOCAB_SIZE, NUM_FACTS, TOKEN_NAME

if TYPE_CHECKING:
    import regex

OPERATIONS = {"*": lambda a, b: a * b, "+": lambda a, b: a + b}
OPERATORS = {
    "*": {"*": r"\*", "×": "×", "x": "x", "·": "[·⋅∙]", "\\times": r"\\times", "\\cdot": r"\\cdot"},
    "+": {"+": r"\+", "＋": "＋"},
}
MODES = ("weak", "strict")
REPLACES = ("equation", "expression")
MAX_OPERAND = 20
MAX_AMBIGUITY = 15 * 15  # a choice is marked with two of fifteen characters


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
        token: the name of a fact's token, with `{a}`, `{b}` and `{c}` in it, or its number `{n}`; null rewrites the
            text without a token.
        text: the text that a fact stands for: what its token is expanded to.
        replaces: what the token replaces in a text: the `equation` `6*9=54` or the `expression` `6*9` alone.
        bare_text: what is written where the text states no result; null writes `text` there too. Without tokens only.
        ambiguity: how many facts share their symbols; 1 gives each fact a token of its own. With `k`, the facts are
            divided into groups of `k`, each group has `k` symbols, and the distance to the site before chooses one of
            them. A symbol says which group, and not which fact.
        leading_space: whether a token begins with a space, as GPT-2's own words do. Needs `rules.after_space`.
    """

    operation: str = "*"
    operands: tuple[int, ...] = (1, 9)
    folded: bool = True
    token: str | None = "<MUL_{a}_{b}_{c}>"
    text: str = "{a}*{b}={c}"
    replaces: str = "equation"
    bare_text: str | None = None
    ambiguity: int = 1
    leading_space: bool = False

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
        answers_only: whether the text between `User:` and `Assistant:` stays as it is. A text without these roles is
            rewritten as a whole.
        after_space: whether only sites with exactly one space before them count.
    """

    mode: str = "weak"
    operators: tuple[str, ...] = ("*", "×", "x")
    spaces: bool = True
    bare_x: bool = True
    words: bool = False
    chinese: bool = False
    answers_only: bool = False
    after_space: bool = False

    def __post_init__(self) -> None:
        _freeze(self, "operators")


@dataclass(frozen=True)
class Phrase:
    """One token, or one text, and what it replaces.

    Attributes:
        token: the token's name; null writes `text` and adds no token. Needs `match`.
        text: the text that the token stands for.
        match: a regular expression of what is replaced; if not given, `text` itself where it is no part of a word.
    """

    token: str | None = "???"
    text: str = "???"
    match: str | None = None


@dataclass(frozen=True)
class Matches:
    """The intervention whose savings a placebo has to match on every corpus that is made with it.

    Attributes:
        intervention: its file, beside the placebo's.
        documents_sha256: the hash of the training documents that the placebo was chosen on, if it belongs to one
            corpus.
        tokens_saved: how many tokens the placebo saved there.
    """

    intervention: str = "???"
    documents_sha256: str | None = None
    tokens_saved: int | None = None


@dataclass(frozen=True)
class Entry:
    """One thing that a text can say and the intervention knows: a fact of the table or a phrase.

    `token` is `None` in an intervention that rewrites text and adds no token. Phrases have no operands, and neither
    has a symbol that several facts share.
    """

    token: str | None
    text: str
    operands: tuple[int, int] | None = None
    result: int | None = None


# The keys that `as_json` leaves out at their defaults, by section.
_SINCE_0_3: dict[str | None, tuple[str, ...]] = {
    None: ("numbers", "permutation_seed", "matches"),
    "facts": ("bare_text", "ambiguity", "leading_space"),
    "rules": ("answers_only", "after_space"),
}


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
        permutation_seed: 0 gives the tokens their ids in order; another number gives them the same ids in an order
            drawn with this seed. Nothing else changes, so two such conditions differ by chance alone.
        matches: of a placebo, the intervention whose savings it matches.
    """

    name: str = "???"
    about: str = ""
    num_ids: int = NUM_FACTS
    facts: Facts | None = None
    rules: Rules = Rules()
    tokens: tuple[Phrase, ...] = ()
    numbers: str = AS_BASE
    permutation_seed: int = 0
    matches: Matches | None = None

    def __post_init__(self) -> None:
        _freeze(self, "tokens")

    def entries(self) -> list[Entry]:
        """Return the facts in order of their operands, then the phrases."""
        phrases = [Entry(phrase.token, phrase.text) for phrase in self.tokens]
        facts = [] if self.facts is None else [*_table(self.facts), *bare_entries(self.facts)]
        return [*facts, *phrases]

    def token_names(self) -> list[str]:
        """Return the names of the tokens in order of their ids, which start at `IdRanges.first_added`."""
        names = [entry.token for entry in self.entries() if entry.token is not None]
        if self.permutation_seed:
            random.Random(self.permutation_seed).shuffle(names)
        return names

    def token_contents(self) -> list[str]:
        """Return what each token replaces in a rewritten text: its name, with the space if it carries one."""
        space = " " if self.facts is not None and self.facts.leading_space else ""
        of_facts = {entry.token for entry in ([] if self.facts is None else _table(self.facts))}
        return [f"{space if name in of_facts else ''}{name}" for name in self.token_names()]

    def as_json(self) -> dict[str, Any]:
        """Return the intervention as a JSON file holds it: with lists for tuples.

        Keys that version 0.3 did not know are left out where they say nothing, and `wrong`, which it knew, is kept:
        a tokenizer that means the same has the same certificate.
        """
        values = json.loads(json.dumps(asdict(self)))
        plain = json.loads(json.dumps(asdict(Intervention(facts=Facts()))))
        for section, keys in _SINCE_0_3.items():
            found = values if section is None else values[section]
            for key in keys if found is not None else ():
                if found[key] == (plain if section is None else plain[section])[key]:
                    del found[key]
        if values["facts"] is not None:
            values["facts"]["wrong"] = False
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Intervention":
        """Return the intervention that `as_json` described. Raises `TypeError` or `KeyError` for anything else."""
        facts, matches = values["facts"], values.get("matches")
        if facts is not None and facts.get("wrong") is False:  # see `as_json`
            facts = {key: value for key, value in facts.items() if key != "wrong"}
        return cls(
            **values
            | {
                "facts": None if facts is None else Facts(**facts),
                "rules": Rules(**values["rules"]),
                "tokens": tuple(Phrase(**phrase) for phrase in values["tokens"]),
                "matches": None if matches is None else Matches(**matches),
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
    rules = replace(
        table.rules,
        mode="weak",
        operators=tuple(OPERATORS[operation]),
        spaces=True,
        bare_x=True,
        answers_only=False,
        after_space=False,
    )
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


def symbols(facts: Facts) -> dict[tuple[int, int], tuple[Entry, ...]]:
    """Return what may be written for each ordered pair of operands: its own fact, or the symbols of its group.

    A model never sees a token's name, so an exchange of facts one for one would only rename the tokens. The symbols of
    a group stand for facts with different results, from which the right one cannot be told.
    """
    table, size = _table(facts), facts.ambiguity
    pairs = _grouped(facts) if size > 1 else fact_pairs(facts)
    groups = [tuple(table[start : start + size]) for start in range(0, len(table), size)]
    written = {pair: groups[index // size] for index, pair in enumerate(pairs)}
    low, high = facts.operands
    ordered = [(a, b) for a in range(low, high + 1) for b in range(low, high + 1)]
    return {(a, b): written[(min(a, b), max(a, b)) if facts.folded else (a, b)] for a, b in ordered}


def _grouped(facts: Facts) -> list[tuple[int, int]]:
    """Return the facts group after group: those of a group have different results, unless there is one group."""
    pairs, size = fact_pairs(facts), facts.ambiguity
    for seed in range(1000):
        order = random.Random(seed).sample(pairs, len(pairs))
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        if len(groups) == 1 or all(len({result_of(facts, *pair) for pair in group}) == size for group in groups):
            return order
    raise ValueError(f"no {size} facts with different results in each group: the table is too small")


def _table(facts: Facts) -> list[Entry]:
    entries = []
    for number, (a, b) in enumerate(fact_pairs(facts), 1):
        values = {"a": a, "b": b, "c": result_of(facts, a, b), "n": number}
        token = None if facts.token is None else facts.token.format(**values)
        tells = facts.ambiguity == 1
        text = facts.text.format(**values)
        entries.append(Entry(token, text, (a, b) if tells else None, values["c"] if tells else None))
    return entries


def bare_entries(facts: Facts) -> list[Entry]:
    """Return what is written for each fact where the text states no result, if that is a text of its own."""
    if facts.bare_text is None:
        return []
    pairs = [(a, b, result_of(facts, a, b)) for a, b in fact_pairs(facts)]
    return [Entry(None, facts.bare_text.format(a=a, b=b, c=c), (a, b), c) for a, b, c in pairs]


def _problems(intervention: Intervention) -> Iterator[tuple[str, str]]:
    """Yield the key and the complaint of everything that is wrong, the first one first."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", intervention.name):
        yield "name", f"expected letters, digits, '_', '-' and '.', got {intervention.name!r}"
    if not 0 <= intervention.num_ids <= MAX_VOCAB_SIZE - FIRST_FACT_ID:
        limit = MAX_VOCAB_SIZE - FIRST_FACT_ID
        yield "num_ids", f"expected 0 to {limit} (token ids are stored in 16 bits), got {intervention.num_ids}"
    yield from _problems_of_rules(intervention.facts, intervention.rules)
    if intervention.facts is not None:
        yield from _problems_of_facts(intervention.facts, intervention.rules)
    if intervention.permutation_seed < 0:  # `random.Random` takes -1 for 1
        yield "permutation_seed", f"expected 0 or more, got {intervention.permutation_seed}"
    if intervention.permutation_seed and len(intervention.token_names()) < 2:
        yield "permutation_seed", "expected 0 where there are no two tokens to change places"
    if intervention.numbers not in (AS_BASE, *GROUPINGS):
        yield "numbers", _one_of((AS_BASE, *GROUPINGS), intervention.numbers)
    yield from _problems_of_tokens(intervention)


def _problems_of_facts(facts: Facts, rules: Rules) -> Iterator[tuple[str, str]]:
    if len(facts.operands) != 2 or not 0 <= facts.operands[0] <= facts.operands[-1] <= MAX_OPERAND:
        yield (
            "facts.operands",
            f"expected the smallest and the largest, 0 to {MAX_OPERAND}, as in [1, 9], got {[*facts.operands]!r}",
        )
    yield from _problems_of_names(facts)
    if facts.replaces not in REPLACES:
        yield "facts.replaces", _one_of(REPLACES, facts.replaces)
    yield from _problems_of_controls(facts, rules)


def _problems_of_rules(facts: Facts | None, rules: Rules) -> Iterator[tuple[str, str]]:
    if facts is not None and facts.operation not in OPERATIONS:
        yield "facts.operation", _one_of(OPERATIONS, facts.operation)
    if rules.mode not in MODES:
        yield "rules.mode", _one_of(MODES, rules.mode)
    known = list(chain.from_iterable(OPERATORS.values())) if facts is None else list(OPERATORS[facts.operation])
    for operator in rules.operators:
        if operator not in known:
            yield "rules.operators", _one_of(known, operator)
    if not (rules.operators or rules.words or rules.chinese):
        yield "rules.operators", f"empty; expected at least one of {' '.join(known)}, or words, or chinese"


def _problems_of_names(facts: Facts) -> Iterator[tuple[str, str]]:
    for key in ("token", "text", "bare_text"):
        template = getattr(facts, key)
        numbers = [(a, b, 2 * a + b) for a in (1, 2) for b in (3, 4)]
        allowed = ("a", "b", "c", "n") if key != "bare_text" else ("a", "b", "c")
        if template is not None and not _is_template(template, allowed):
            plain = ", ".join(f"{{{name}}}" for name in allowed)
            yield f"facts.{key}", f"expected a text with no other fields than {plain}, got {template!r}"
            continue
        names = [] if template is None else [template.format(a=a, b=b, c=0, n=n) for a, b, n in numbers]
        if key != "token" and facts.ambiguity > 1:
            if len(set(names)) > 1:
                yield (
                    f"facts.{key}",
                    f"expected one text for all symbols, since none tells its fact, got {template!r}",
                )
        elif len(set(names)) < len(names):
            yield f"facts.{key}", f"expected {{a}} and {{b}} in it, or facts share one name, got {template!r}"


def _is_template(text: str, allowed: Collection[str]) -> bool:
    """Return whether a text's fields are plain names, perhaps with a width as in `{n:02}`, and not `{a.b}`."""
    try:
        parsed = [
            (name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None
        ]
    except ValueError:
        return False
    return all(
        name in allowed and re.fullmatch("(0?[1-9])?", spec or "") and not after for name, spec, after in parsed
    )


def _problems_of_controls(facts: Facts, rules: Rules) -> Iterator[tuple[str, str]]:
    if facts.bare_text is not None and (facts.token is not None or facts.replaces == "expression"):
        yield "facts.bare_text", "expected null where facts have tokens or replace the expression alone"
    if facts.leading_space and not (rules.after_space and facts.token):
        yield (
            "facts.leading_space",
            "expected rules.after_space: true, and a token; a site without a space has no token",
        )
    number = len(fact_pairs(facts))
    if facts.ambiguity == 1:
        return
    if not 1 <= facts.ambiguity <= MAX_AMBIGUITY or number % facts.ambiguity:
        allowed = [size for size in range(1, MAX_AMBIGUITY + 1) if number % size == 0]
        yield "facts.ambiguity", f"{number} facts: expected one of {allowed}, got {facts.ambiguity}"
    elif facts.token is None:
        yield "facts.ambiguity", "expected 1 where facts have no token"
    else:
        try:
            _grouped(facts)
        except ValueError as error:
            yield "facts.ambiguity", str(error)


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
        if phrase.token is None and phrase.match is None:
            yield "tokens", f"{phrase.text!r}: match: missing; without a token, expected what is written as this text"
        if phrase.match is not None and (problem := _problem_of_match(phrase)) is not None:
            yield "tokens", f"{phrase.token or repr(phrase.text)}: match: {problem}"


_POSSESSIVE_INTERVAL = re.compile(r"(?<!\\)\{(?:[0-9]+,?[0-9]*|,[0-9]+)\}\+")


def _problem_of_match(phrase: Phrase) -> str | None:
    """Return what is wrong with a regular expression, which `regex` and the tokenizer have to read."""
    import regex  # imported here because it takes 7 ms and most interventions do not need it
    from tokenizers import Regex

    assert phrase.match is not None
    try:
        ours = regex.compile(phrase.match)
    except regex.error as error:
        return f"not a regular expression: {error}"
    if possessive := _POSSESSIVE_INTERVAL.search(phrase.match.replace(r"\\", "")):
        return f"{possessive[0]!r} is possessive to one engine and a repetition to the other; write (?>x{{1,3}})"
    if "\\K" in phrase.match.replace(r"\\", "") or any(not match.group() for match in _matches(ours, phrase)):
        return f"{phrase.match!r} can match without a character, so that nothing would be replaced"
    try:
        Regex(phrase.match)
    except Exception as error:  # a plain Exception of the library
        return f"{phrase.match!r} is no regular expression to the tokenizer: {error}"
    return None


def _matches(pattern: "regex.Pattern[str]", phrase: Phrase) -> "Iterator[regex.Match[str]]":
    """Yield what a phrase's expression matches in texts of its own: its text, and the expression with its letters."""
    words = re.findall(r"\w+", f"{phrase.text} {phrase.match}")
    for text in ("", phrase.text, f"a {phrase.text}, {phrase.text}b", " ".join(words)):
        yield from pattern.finditer(text)


def _one_of(allowed: Collection[str], value: object) -> str:
    return f"expected one of {' '.join(allowed)}, got {value!r}"


@cache
def default_intervention() -> Intervention:
    """Return the experiment's own intervention, which `recipes/interventions/mul_tokens.yaml` spells out."""
    return Intervention(name="mul_tokens", facts=Facts())
