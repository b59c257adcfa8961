"""Plain cards."""

from collections.abc import Mapping
from pathlib import Path


def model_card(
    run: Path, model: str, repo_id: str, *, base_repo: str | None = None, results_repo: str | None = None
) -> str:
    """Return the README of a model's repository."""
    return f"---\nlibrary_name: transformers\n---\n\n# {repo_id}\n\n{run.name} {model} {base_repo} {results_repo}\n"


def collection_card(experiment: Path, repos: Mapping[str, str], dataset_repo: str) -> str:
    """Return the README of the data set of results."""
    return f"---\ntags: [results]\n---\n\n# {dataset_repo}\n\n" + "".join(f"- {k}: {v}\n" for k, v in repos.items())
