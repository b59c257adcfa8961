"""The tables of a comparison as text: the terminal, results.md and report.html show the same cells."""
