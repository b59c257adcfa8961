"""Show what the generator writes: documents and questions of each kind, to be read.

python scripts/show_generated.py                                  the names of all kinds
python scripts/show_generated.py lessons/problems --num 20 --seed 1
python scripts/show_generated.py --update-page                    the examples in docs/GENERATED.md
"""

from domain_tokens.cli.show_generated import main

if __name__ == "__main__":
    main(__doc__)
