"""Command lines: one module per command, plus shared helpers. Only `cli` parses arguments and draws tables."""
