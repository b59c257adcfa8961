"""Evaluation: what counts as right, the tasks, and how a trained model is run through them.

`answers` is the only definition of a right answer and imports nothing heavy. `tasks` holds one file a task. `harness`
runs a task through lighteval, and `evaluate` runs all tasks of a recipe on all its models and writes the results.
"""
