"""The specification curve: one contrast under many settings, and how many of them agree with the headline."""
