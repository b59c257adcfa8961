"""`python -m domain_tokens COMMAND ...` is `domain-tokens COMMAND ...`; for launchers, which start modules."""

from domain_tokens.cli.commands import main

if __name__ == "__main__":
    main()
