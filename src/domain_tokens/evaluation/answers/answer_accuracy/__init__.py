"""The scorers as a module of Hugging Face `evaluate`."""
