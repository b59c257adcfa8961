"""The plots of a comparison, of several conditions and of one condition."""
