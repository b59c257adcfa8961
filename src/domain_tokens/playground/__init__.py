"""Try models by hand: one question to several of them, and what each token of their answers was drawn from.

`models` loads them, `vocabulary` shows tokens, `writing` writes an answer token by token, `reading` marks its
equations, and `difference` finds where two answers part. None of these knows of a browser. `server` and the page's
files show them in one, `scripts/chat.py` in a terminal.
"""
