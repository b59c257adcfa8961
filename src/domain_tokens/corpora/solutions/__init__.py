"""A data set of programs as a data set of solutions in prose, shard by shard.

Begin with `shards`: it takes `problems`, hands them to a `route` and writes what comes back, with `records` beside it.
`rules` is the route that converts programs by rules.
"""
