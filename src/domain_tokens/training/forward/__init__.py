"""What a step computes from a batch: the forward pass of full sequences, the loss of numbers, sampling."""
