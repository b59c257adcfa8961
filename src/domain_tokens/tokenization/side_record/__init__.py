"""What rewriting drops from a text: the record of it, and how many bits the record takes."""
