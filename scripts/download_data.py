"""List the data sets that a recipe reads, with size, licence and place, and copy those on the Hub.

    python scripts/download_data.py recipes/mul_tokens.yaml --dry-run
    python scripts/download_data.py recipes/mul_tokens.yaml --only gsm8k-train gsm8k-test

The experiment streams from the Hub and needs no copy. With one it runs offline, as the lines printed at the end say.
"""

from domain_tokens.cli.download_data import main

if __name__ == "__main__":
    main(__doc__)
