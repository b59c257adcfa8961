"""The command lines: one file for each command, and what they share. Only this room parses arguments and draws tables."""
