"""How models are run: lighteval's adapter, generation, log-likelihoods, bits per byte, embedding rows."""
