"""Parts of every trainer: callbacks for progress, metrics and accounting, and whole checkpoints."""
