"""The analysis of self-adaptation as tables, figures and a page."""
