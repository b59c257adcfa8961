"""Studies: pretraining at many points of a grid, in several conditions and seeds, and one table of what came out."""
