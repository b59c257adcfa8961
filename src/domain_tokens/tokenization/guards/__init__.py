"""The conditions under which a text states a fact, each with the reason that is given when it fails."""
