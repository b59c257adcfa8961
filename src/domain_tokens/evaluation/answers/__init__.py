"""Answers: read, scored by the one definition of a right answer and by published ones."""
