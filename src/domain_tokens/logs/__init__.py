"""Compares the per-item logs of lm-evaluation-harness, Inspect and lighteval by the project's own statistics.

A log becomes one plain table of questions (`table.py`); questions are matched by what was asked (`matching.py`); the
tests are those of `analysis.statistics`.
"""
