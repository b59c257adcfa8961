"""What a run leaves on disk, by name: its folders, its models and its files.

`outputs/<experiment>/exp_<condition>/seed_<n>/` holds

- `pretrain_final`, `sft_final`, `grpo_final`: a finished stage, with weights, tokenizer and the files named below;
- `checkpoints/<stage>/checkpoint-<step>`: unfinished work;
- `eval/<model>/<task>_results.json` and `<task>_items.jsonl`.
"""

MODELS = ("pretrain_final", "sft_final", "grpo_final")
"""The folders of a run's models, in the order in which they are trained."""

MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.yaml"
METRICS = "metrics.jsonl"
INPUTS = "inputs.json"  # what a folder of checkpoints was begun with
VERIFIED = "verified.json"  # the last file that training writes into a checkpoint: its files and their hashes
COUNTS = "counts.json"  # what a stage had consumed at a checkpoint
