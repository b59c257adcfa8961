"""Scaling fits: reads a table of runs, fits power laws, and says how much compute a condition is worth."""
