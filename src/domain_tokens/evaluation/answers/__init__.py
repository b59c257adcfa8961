"""Reads answers and scores them, by the project's own definition of a right answer and by published scorers."""
