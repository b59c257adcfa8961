"""The saved models of a run: how checkpoints are written, which are kept, and which of them are whole."""
