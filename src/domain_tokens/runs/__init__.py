"""What a run leaves on disk: names, types, and the readers and writers of each file."""
