"""Finds the micro batch of a stage that says `auto`: by trying on this machine what fits and what is fast."""
