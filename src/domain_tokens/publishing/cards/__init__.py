"""The cards of what is published: the README of a model, and the README of an experiment's results."""

from domain_tokens.publishing.cards.model import model_card

__all__ = ["model_card"]
