"""Where a run starts that does not begin with its own pretraining."""
