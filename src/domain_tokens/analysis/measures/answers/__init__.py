"""What is in the answers: equations, mistakes, numbers that belong to other questions, and a few answers to read."""
