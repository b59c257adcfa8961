"""Texts that a program formats: f-strings, `str.format` and `%`, whose numbers stay numbers."""

import re
import string
from collections.abc import Mapping, Sequence
from fractions import Fraction

from domain_tokens.corpora.programs.arithmetic import Trace
from domain_tokens.corpora.programs.library.calls import rounded_to
from domain_tokens.corpora.programs.numbers import Number
from domain_tokens.corpora.programs.refusal import Reason, RefusedError
from domain_tokens.corpora.programs.values import Shown, Text, Value

# Width, sign and commas show the same number. Left out: %, e, g, and hexadecimal digits.
_SPECIFICATION = re.compile(r"(?:\D?[<>^])?[+ ]?0?\d{0,2}[,_]?(?:(?P<whole>d)|\.(?P<places>[0-6])f)?")
_OLD = re.compile(r"%(?P<specification>[+ 0-]?\d{0,2}(?:\.[0-6])?)(?P<kind>[dfs%])")
_OLD_PLACES = 6  # of %f


def formatted(value: Value, specification: str, trace: Trace) -> Value:
    """Return a value as a format specification shows it; a number that is rounded by it is said to be.

    Args:
        value: what is shown.
        specification (`str`): what stands behind the colon, `,.2f`.
        trace (`Trace`): gets the rounding.
    """
    if not isinstance(value, Number):
        return value
    match = _SPECIFICATION.fullmatch(specification)
    if match is None:
        raise RefusedError(Reason.SYNTAX, f"the format {specification[:20]!r}")
    if match["whole"] and not isinstance(value.value, int):
        raise RefusedError(Reason.RAISES, f"the format {specification[:20]!r} of {value.value}")
    text = format(value.value, specification)
    if match["places"] is None:
        return Shown(value, text)
    rounded = Fraction(format(value.value, f".{match['places']}f"))
    python = int(rounded) if rounded.denominator == 1 else float(rounded)
    return Shown(rounded_to(value, python, int(match["places"]), trace), text)


def format_fields(template: str, values: Sequence[Value], named: Mapping[str, Value], trace: Trace) -> Text:
    """Return what `template.format(*values, **named)` returns.

    Args:
        template (`str`): with fields in braces, by place or by name.
        values, named: the arguments.
        trace (`Trace`): gets what is rounded.
    """
    parts: list[Value] = []
    for place, (before, field, specification, conversion) in enumerate(_fields(template)):
        parts.append(before)
        if field is None:
            continue
        if conversion or "{" in (specification or ""):
            raise RefusedError(Reason.SYNTAX, f"the field {field[:20]!r}")
        index = int(field) if field.isdecimal() else place
        if field and not field.isdecimal():
            if field not in named:
                raise RefusedError(Reason.RAISES, f"no argument {field[:20]}")
            value = named[field]
        elif index >= len(values):
            raise RefusedError(Reason.RAISES, "an argument is missing")
        else:
            value = values[index]
        parts.append(formatted(value, specification or "", trace))
    return Text(tuple(parts))


def _fields(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(template))
    except ValueError as error:
        raise RefusedError(Reason.RAISES, str(error)) from error


def format_percent(template: str, value: Value, trace: Trace) -> Text:
    """Return what `template % value` returns.

    Args:
        template (`str`): with `%d`, `%s` or `%.2f`.
        value: one value, or a tuple of them.
        trace (`Trace`): gets what is rounded.
    """
    values = list(value) if isinstance(value, tuple) else [value]
    parts: list[Value] = []
    end = 0
    for match in _OLD.finditer(template):
        parts.append(template[end : match.start()])
        end = match.end()
        if match["kind"] == "%":
            parts.append("%")
            continue
        if not values:
            raise RefusedError(Reason.RAISES, "an argument is missing")
        parts.append(_shown(values.pop(0), match["specification"], match["kind"], trace))
    if values or "%" in template[end:]:
        raise RefusedError(Reason.SYNTAX, f"the format {template[:20]!r}")
    return Text((*parts, template[end:]))


def _shown(value: Value, specification: str, kind: str, trace: Trace) -> Value:
    if kind == "f":
        places = specification.partition(".")[2] or str(_OLD_PLACES)
        value = formatted(value, f".{places}f", trace)
    elif kind == "d" and (not isinstance(value, Number) or value.exact.denominator > 1):
        raise RefusedError(Reason.SYNTAX, "%d of what is no whole number")
    number = value.number if isinstance(value, Shown) else value
    if kind == "s" or not isinstance(number, Number):
        return value
    return Shown(number, f"%{specification}{kind}" % number.value)
