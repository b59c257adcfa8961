"""Trainers: the library's own, with cheaper steps, whole checkpoints and a stop where a number is not finite."""
