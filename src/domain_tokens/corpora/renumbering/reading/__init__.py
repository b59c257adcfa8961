"""What the text of a problem says: its numbers, of what they are numbers, and the equations of its solution."""
