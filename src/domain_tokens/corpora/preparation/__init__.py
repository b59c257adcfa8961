"""How documents become token shards: the executors that run the work, the accounts of shards, and their check."""
