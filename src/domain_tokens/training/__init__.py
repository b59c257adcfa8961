"""Pretraining, supervised fine-tuning and GRPO; `stage.py` defines the steps that they share."""
