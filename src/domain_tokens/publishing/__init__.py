"""Publishes models and results on the Hugging Face Hub, and lays what was published out as runs again."""
