"""Formats values in the same way for the terminal, Markdown and the report. A missing value is a dash."""

from collections.abc import Sequence
from dataclasses import dataclass

DASH = "–"
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"))


def percent(fraction: float | None) -> str:
    """Format a fraction of 1 as a percentage: 0.0235 is `2.35%`."""
    return DASH if fraction is None else f"{100 * fraction:.2f}%"


def points(fraction: float | None) -> str:
    """Format a difference of fractions as signed percentage points: 0.014 is `+1.40`."""
    if fraction is None:
        return DASH
    text = f"{100 * fraction:+.2f}"
    return "0.00" if float(text) == 0 else text


def size(fraction: float | None) -> str:
    """Format the size of a difference in percentage points, without a sign: 0.014 is `1.40`; above 1 is `>100`."""
    if fraction is None:
        return DASH
    return ">100" if fraction > 1 else f"{100 * fraction:.2f}"


def bounds(ends: tuple[float, float]) -> str:
    """Format the range of a size in percentage points: `0.50 to 3.00`."""
    return f"{size(ends[0])} to {size(ends[1])}"


def interval(bounds: tuple[float, float] | list[float] | None) -> str:
    """Format an interval of a difference in percentage points: `-0.20 to +3.00`."""
    return DASH if bounds is None else f"{points(bounds[0])} to {points(bounds[1])}"


@dataclass(frozen=True)
class Scale:
    """How the values of an endpoint are written: accuracies as percentages, other values as numbers in their unit.

    Attributes:
        unit: the unit of the values; `None` for accuracies.
    """

    unit: str | None

    @property
    def word(self) -> str:
        """What a difference is counted in."""
        return "points" if self.unit is None else self.unit

    def value(self, value: float | None) -> str:
        """Format a value: `2.35%`, or `0.8123`."""
        return percent(value) if self.unit is None else DASH if value is None else f"{value:.4f}"

    def difference(self, value: float | None) -> str:
        """Format a signed difference: `+1.40`, or `+0.0123`."""
        return points(value) if self.unit is None else DASH if value is None else f"{value:+.4f}"

    def size(self, value: float | None) -> str:
        """Format the size of a difference, without a sign."""
        return size(value) if self.unit is None else DASH if value is None else f"{value:.4f}"

    def interval(self, ends: tuple[float, float] | None) -> str:
        """Format an interval of a difference."""
        return DASH if ends is None else f"{self.difference(ends[0])} to {self.difference(ends[1])}"

    def range(self, ends: tuple[float, float]) -> str:
        """Format a range of sizes of differences."""
        return bounds(ends) if self.unit is None else f"{ends[0]:.4f} to {ends[1]:.4f}"

    def spread(self, sd: float | None) -> str:
        """Format a standard deviation behind a value; nothing if there is none."""
        if sd is None:
            return ""
        return f" ± {100 * sd:.2f}" if self.unit is None else f" ± {sd:.4f}"


def p_value(p: float | None) -> str:
    """Format a p-value with three decimals, or as `<0.001`."""
    if p is None:
        return DASH
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_words(p: float | None) -> str:
    """Format a p-value for a sentence: `p = 0.031`, `p < 0.001`, `no p-value`."""
    if p is None:
        return "no p-value"
    return f"p {p_value(p).replace('<', '< ')}" if p < 0.001 else f"p = {p_value(p)}"


def number(value: float | None) -> str:
    """Format a count or a measurement: whole numbers with separators, large ones with a prefix, others to 4 digits."""
    if value is None:
        return DASH
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.3f} {prefix}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"


def printable(text: str) -> str:
    """Replace control characters, line ends and unpaired surrogates, for names in plots, tables and terminals."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
