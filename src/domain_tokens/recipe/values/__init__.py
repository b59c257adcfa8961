"""What the values of a recipe mean: overrides of a command line, interpolations, and the libraries' defaults."""
