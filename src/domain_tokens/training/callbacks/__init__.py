"""What watches a training run step by step: progress, metrics, accounting, checkpoints."""
