"""The live view as a page that stands by itself."""
