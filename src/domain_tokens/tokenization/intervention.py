"""An intervention: the one thing that differs between conditions, described by a small YAML file."""

from dataclasses import dataclass, field
from pathlib import Path

from domain_tokens.recipe import RecipeError, load_section
from domain_tokens.tokenization.rules import MODES, OPERATORS


@dataclass
class Intervention:
    """What is done to GPT-2's tokenizer.

    Attributes:
        name: the intervention's name, for reports; nothing in the code asks for it.
        facts: whether the 45 products become tokens. If not, their ids stay reserved and no text produces them.
        mode: `weak` also rewrites bare products (`6*9`), `strict` only those with their correct result (`6*9=54`).
        operators: the multiplication signs that count.
    """

    name: str = "???"
    facts: bool = False
    mode: str = "weak"
    operators: list[str] = field(default_factory=lambda: ["*", "×", "x"])


def load_intervention(path: Path) -> Intervention:
    """Read and check an intervention file. Raises `RecipeError` naming the file and the key."""
    intervention = load_section(Intervention, path)
    if intervention.mode not in MODES:
        raise RecipeError(f"{path}: mode: expected one of {', '.join(MODES)}, got {intervention.mode!r}")
    unknown = [operator for operator in intervention.operators if operator not in OPERATORS]
    if unknown or not intervention.operators:
        raise RecipeError(
            f"{path}: operators: expected at least one of {' '.join(OPERATORS)}, got {intervention.operators!r}"
        )
    return intervention
