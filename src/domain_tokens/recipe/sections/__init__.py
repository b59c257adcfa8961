"""The sections of a recipe that are the project's own, each a strict dataclass that checks itself."""
