"""What a step computes from a batch: the forward pass of full sequences, and the loss of numbers."""
