"""Trainer callbacks: progress, metrics, accounting and checkpoints."""
