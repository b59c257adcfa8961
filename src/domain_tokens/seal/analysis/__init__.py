"""What self-adaptation came to: reads the result files of `seal/` alone, and loads no model.

Questions, in order: could the edits be read; did the trained policy's edits help test passages more than the controls;
is the gain of the best edit there again on other questions; can an edit's reward be repeated; what was chosen; and
what was forgotten.
"""
