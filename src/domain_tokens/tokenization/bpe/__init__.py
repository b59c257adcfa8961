"""What a text becomes without rules: the base vocabulary, with merges or scores, and how numbers are cut."""
