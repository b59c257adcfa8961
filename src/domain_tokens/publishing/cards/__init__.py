"""The cards of what is published: the README of a model, and the README of an experiment's results."""

from domain_tokens.publishing.cards.collection import collection_card
from domain_tokens.publishing.cards.model import model_card

__all__ = ["collection_card", "model_card"]
