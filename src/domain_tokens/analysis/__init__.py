"""Compares conditions by their result files: results.json, results.md, report.html and plots.

This package reads result files and never a model. The first of two conditions is the reference; swapping the two only
changes the sign of a difference.
"""
