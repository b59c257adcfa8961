"""What supervised fine-tuning and GRPO share: their base class, their examples, packing and adapters."""
