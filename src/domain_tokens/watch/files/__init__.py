"""What can be read of an experiment while others write it."""
