"""Tables, plots and pages of a comparison."""
