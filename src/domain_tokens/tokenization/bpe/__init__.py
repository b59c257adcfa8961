"""What a text becomes without rules: the base vocabulary with its merges, and how numbers are cut."""
