"""A scaling analysis as a page and as figures."""
