"""Parts of every trainer that the library calls: progress, metrics, accounting, stopping."""
