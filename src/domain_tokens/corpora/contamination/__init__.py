"""The contamination gate: finds questions of evaluation sets in the text that a stage trains on."""
