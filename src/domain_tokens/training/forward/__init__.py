"""What a step computes from a batch: the forward pass of full sequences, the head, the loss of numbers."""
