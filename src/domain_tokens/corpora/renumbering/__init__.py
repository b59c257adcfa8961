"""Templates of worked word problems: the numbers are drawn anew, every step is computed again, the words stay."""
