"""Train a base vocabulary, and write a tokenizer on it: a folder that `AutoTokenizer.from_pretrained` loads.

    python scripts/train_tokenizer.py --texts my_texts --kind unigram --num-ids 4096 tokenizers/mine
    python scripts/train_tokenizer.py recipes/mul_tokens.yaml recipes/scales/demo.yaml tokenizers/demo

A recipe's documents are those of its pretraining: the base is the one that its experiment trains. Of texts, 5% are
held out. Documents lose what holds a question of GSM8K's test set or of the recipe's evaluation sets. The base itself
is in OUT_DIR/base_vocabulary; scripts/build_tokenizer.py --base builds other tokenizers on it. A recipe takes no such
folder: it says `base_vocabulary: {kind: unigram, num_ids: 4096}`, and its experiment trains the base on its documents.
"""

from domain_tokens.cli.train_tokenizer import main

if __name__ == "__main__":
    main(__doc__)
