"""Tests, intervals and power; no files, no conditions by name."""
