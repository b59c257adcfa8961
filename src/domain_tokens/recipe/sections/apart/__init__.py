"""The sections of a recipe that no stage of the experiment reads, but a command of its own."""
