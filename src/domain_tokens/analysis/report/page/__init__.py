"""What the HTML pages consist of beside tables: the first screen, marked answers, folded sections, images."""
