"""What things are called in a report, and what its words mean."""
