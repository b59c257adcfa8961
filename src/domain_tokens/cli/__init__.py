"""The command lines: one file for each command, and what they share. Only `cli` parses arguments and draws tables."""
