"""Pretraining, supervised fine-tuning and GRPO; `stage.py` owns the order that they share."""
