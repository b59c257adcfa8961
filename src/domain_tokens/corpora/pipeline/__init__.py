"""Runs datatrove: its executor, and the documents that it writes once for all conditions."""
