"""The placebo: chooses phrases that save as many tokens as facts do, and checks on every corpus that they do."""
