"""Word problems of one to four steps: their templates, and how one is filled with names, objects and numbers."""
