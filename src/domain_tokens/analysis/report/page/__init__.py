"""The parts of the HTML pages that are no tables: the figure of the first screen, the example and the folded sections."""
