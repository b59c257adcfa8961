"""One reader for each harness: a file becomes a `table.TaskLog`."""
