"""What the steps of a worked solution state, judged: arithmetic in words, claims, and the way to the number."""
