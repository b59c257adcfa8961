"""The files that a run leaves on disk: their names, types, readers and writers."""
