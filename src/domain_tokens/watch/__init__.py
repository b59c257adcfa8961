"""Shows where an experiment stands, from the files that it leaves: in a terminal, or on a page. Nothing is written."""
