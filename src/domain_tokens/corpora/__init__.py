"""From sources to token shards: what both conditions are trained on, read once and encoded by each tokenizer."""
