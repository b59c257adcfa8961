r"""Convert a data set of questions with Python programs, such as TinyGSM, to worked solutions in prose.

    python scripts/convert_tinygsm.py --hub TinyGSM/TinyGSM --output data/tinygsm_prose --dry-run
    python scripts/convert_tinygsm.py --hub TinyGSM/TinyGSM --output data/tinygsm_prose --rows 100000
    python scripts/convert_tinygsm.py --hub TinyGSM/TinyGSM --output data/tinygsm_prose --rows 1000000
    python scripts/convert_tinygsm.py programs.jsonl --question-key user --program-key assistant --output data/prose

With --route api a model behind an OpenAI-compatible endpoint writes the solutions (docs/DATA.md, extra `[api]`):

    python scripts/convert_tinygsm.py programs.jsonl --output data/prose --route api --model NAME \
        --base-url http://localhost:8000/v1 --dry-run --price-prompt 0.4 --price-completion 1.6
    OPENAI_API_KEY=... python scripts/convert_tinygsm.py programs.jsonl --output data/prose --route api --model NAME \
        --base-url http://localhost:8000/v1 --token-cap 5000000

A run goes on where another ended: shards that are complete are kept, so 100,000 rows can become a million. Programs
are parsed and executed in a jail (docs/SECURITY.md). recipes/stages/tinygsm_100k.yaml trains on what comes out.
"""

from domain_tokens.cli.convert_tinygsm import main

if __name__ == "__main__":
    main(__doc__)
