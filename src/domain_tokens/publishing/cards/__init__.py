"""The cards of what is published: the README of a model, and the README of an experiment's results."""
