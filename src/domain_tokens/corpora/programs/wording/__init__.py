"""The words of a program and of its question: `phrases` says what a variable is called in a sentence."""
