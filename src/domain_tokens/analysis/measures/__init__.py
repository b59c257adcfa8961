"""What a comparison measures, one module for each part of `results.json`."""
