"""Self-adaptation (SEAL): a model that chooses its own training edits and is rewarded for what they do.

An option: nothing else of the project imports it, and it does nothing without `seal.enabled` in a recipe.
"""
