"""A person's data files: which ones a path names, and what their rows say."""
