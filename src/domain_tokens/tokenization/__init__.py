"""The intervention: facts, rewriting rules and the tokenizer that holds both."""

from domain_tokens.tokenization.intervention import Intervention, load_intervention
from domain_tokens.tokenization.rewriter import (
    Rewriting,
    Site,
    Statistics,
    canonical,
    expand,
    find,
    inject,
    rewrite,
    stats,
)

__all__ = [
    "Intervention",
    "Rewriting",
    "Site",
    "Statistics",
    "canonical",
    "expand",
    "find",
    "inject",
    "load_intervention",
    "rewrite",
    "stats",
]
