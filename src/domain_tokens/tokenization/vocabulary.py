"""What the rows of a model's embedding stand for in a condition, and whether another condition can use them.

Conditions of one base vocabulary with equally many ids have models of the same shape. One of them can go on with the
other's model if no row stands for two tokens: the base's rows are the same, and an id that both have given to a token
has the same token in both. An id that is reserved in one of them may be a token in the other.
"""

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization.contract import BASE, GPT2_SHA256
from domain_tokens.tokenization.intervention import Intervention

_CONFIGURATION = "tokenizer_config.json"


@dataclass(frozen=True)
class Vocabulary:
    """What the ids of a condition stand for.

    Attributes:
        base: the base vocabulary, as two conditions can be compared by: hashes, or a recipe's section.
        num_ids: how many ids follow the padded base.
        tokens: the tokens in order of these ids; the ids after them are reserved.
    """

    base: object
    num_ids: int
    tokens: tuple[str, ...]

    def conflict(self, other: "Vocabulary") -> str | None:
        """Return in words why a model with the other vocabulary cannot be used with this one; `None` if it can."""
        if self.base != other.base:
            return f"the base vocabularies differ ({_short(other.base)} there, {_short(self.base)} here)"
        if self.num_ids != other.num_ids:
            return f"the numbers of rows after the base's differ ({other.num_ids} there, {self.num_ids} here)"
        for number, (ours, theirs) in enumerate(zip_longest(self.tokens, other.tokens)):
            if None not in (ours, theirs) and ours != theirs:
                return f"row {number} after the base's stands for {theirs} there and for {ours} here"
        return None


def vocabulary(base: object, intervention: Intervention) -> Vocabulary:
    """Return what the ids of an intervention on a base stand for."""
    return Vocabulary(base, intervention.num_ids, tuple(intervention.token_contents()))


def read_vocabulary(folder: Path) -> Vocabulary:
    """Return what the ids of a saved tokenizer stand for, without loading it.

    Args:
        folder (`Path`): a condition's tokenizer, or a model with which one was saved.

    Raises:
        RecipeError: if the folder has no tokenizer of the experiment.
    """
    path = folder / _CONFIGURATION
    if not path.is_file():
        raise RecipeError(f"{path}: no such file; expected a condition's tokenizer, made by scripts/prepare_data.py")
    values = read_json(path)
    try:
        base = tuple(values.get(BASE, GPT2_SHA256))
        return vocabulary(base, Intervention.from_json(values["intervention"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: no tokenizer of this experiment ({error!r}); build it again") from error


def _short(base: object) -> str:
    return str(base[0])[:12] if isinstance(base, tuple) else str(base)
