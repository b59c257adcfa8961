"""Evaluation: what counts as right, the tasks, and how a trained model is run through them.

`answers` is the only definition of a right answer and imports nothing heavy. `tasks` has one file per task; `modes`
lists the tasks and modes that a recipe requests. `models` runs a model through a task and over the validation text,
and measures its embedding rows. `evaluate` runs the tasks on a run's final models, `checkpoints` on every saved model.
"""
