"""What GRPO looks at beside its training: the model before the first step, and completions on the way."""
