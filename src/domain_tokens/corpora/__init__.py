"""The training data: reads sources once into documents and encodes them into token shards with each tokenizer."""
