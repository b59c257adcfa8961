r"""Interpolations: OmegaConf reads `${x}` as the value of another key, and `\${x}` as this text."""

import re
from typing import Any

from omegaconf.errors import GrammarParseError, InterpolationResolutionError

from domain_tokens.recipe.errors import first_line

_BEGINNING = re.compile(r"(\\*)\$\{")


def escaped(value: Any) -> Any:
    r"""Return values in which every text means itself to OmegaConf: `${x}` becomes `\${x}`."""
    if isinstance(value, dict):
        return {key: escaped(one) for key, one in value.items()}
    if isinstance(value, list):
        return [escaped(one) for one in value]
    return _BEGINNING.sub(r"\1\1\\${", value) if isinstance(value, str) else value


def unescaped(value: Any) -> Any:
    """Return what an escaped text means; an interpolation, which no resolved recipe has, stays as it is."""
    if not isinstance(value, str):
        return value
    return _BEGINNING.sub(lambda match: "\\" * (len(match[1]) // 2) + "${", value)


def explained(error: BaseException) -> str:
    """Return the first line of an error; of one in an interpolation, with how to write the text."""
    if isinstance(error, GrammarParseError | InterpolationResolutionError):
        return rf"{first_line(error)}; ${{...}} stands for the value of another key, and \${{ for the text ${{"
    return first_line(error)
