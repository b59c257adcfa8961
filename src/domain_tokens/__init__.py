"""A laboratory that asks whether changing only the tokenizer changes what a language model can do."""
