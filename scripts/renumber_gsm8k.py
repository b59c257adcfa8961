"""Write GSM8K's training problems with other numbers, and two sets of problems for evaluation.

python scripts/renumber_gsm8k.py --output data/gsm8k_renumbered
python scripts/renumber_gsm8k.py --file data/gsm8k/train.jsonl --held-out data/gsm8k/test.jsonl --variants 50
python scripts/renumber_gsm8k.py --file data/gsm8k/train.jsonl --dry-run

Any file of questions and worked solutions with annotations, `48/2 = <<48/2=24>>24`, can be read. An interrupted run
goes on when the same command is given again. The folder holds renumbered_train.jsonl, renumbered_numbers.jsonl (the
same problems with other numbers, for evaluation), renumbered_pairs.jsonl (other problems, for evaluation),
rejected.jsonl (problems that did not become templates, and why) and renumbered.json, which records settings, hashes,
and how many of each there are.
"""

from domain_tokens.cli.renumber_gsm8k import main

if __name__ == "__main__":
    main(__doc__)
