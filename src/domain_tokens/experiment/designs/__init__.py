"""Experiments whose conditions follow from a plan."""
