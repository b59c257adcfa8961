"""The card of an experiment's results: what was found, the models that were published, and what each file is."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.formats import DASH, printable
from domain_tokens.analysis.report.tables.transplant import enters
from domain_tokens.analysis.results_model import Results
from domain_tokens.publishing.cards.comparisons import OVERVIEW, RESULTS, read_overview, read_results
from domain_tokens.publishing.cards.data import is_hub_id
from domain_tokens.publishing.cards.markup import Markdown, code, data_link, fenced, model_link, prose, render, table
from domain_tokens.publishing.cards.rebuilding import AGAIN
from domain_tokens.publishing.cards.words import PROJECT, QUESTION, verdict
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.layout import (
    EVALUATION,
    LEARNING_CURVES,
    LEARNING_RATES,
    LOOKS,
    MANIFEST,
    MICRO_BATCHES,
    MODELS,
    PLOTS,
    PREREGISTRATION,
    RUN_CONFIG,
    SAMPLING,
    TOKENIZER,
    VERIFIER,
    VERIFIERS,
)

REPORT = "report.html"  # of a comparison
_MODEL = re.compile(r"exp_([^/]+)/seed_(\d+)/([^/]+)")
_RUN = f"exp_*/seed_*/{EVALUATION}"
_FILES = {
    REPORT: "The report as one page. Download it and open it in a browser.",
    "overview.md": "The verdicts and the main tables of all conditions against one, as text.",
    OVERVIEW: "The same with every number.",
    "results.md": "The verdict and the main tables of the two conditions, as text.",
    RESULTS: "Every number of the comparison: verdict, intervals, tests, departures, hashes.",
    f"*/{RESULTS}": (
        f"A folder for each pair of conditions, with the pair's own `{RESULTS}`, `results.md`, `{REPORT}` and plots."
    ),
    f"{PLOTS}/*": "The figures of the report.",
    PREREGISTRATION: "What was declared and frozen before the first step, with its amendments.",
    LOOKS: "Who ran, evaluated and compared what, and when.",
    "comparison.json": "Hashes of all that the comparison read and wrote.",
    LEARNING_RATES: "The search for learning rates.",
    MICRO_BATCHES: "The micro batches that were found, with every try.",
    f"{VERIFIERS}*": "What verifiers of the runs' own solutions chose.",
    f"{SAMPLING}*": "Answers at several temperatures: pass@n and maj@n.",
    f"exp_*/{TOKENIZER}/*": "The tokenizer of each condition, which holds the whole intervention.",
    f"exp_*/corpus_*/{MANIFEST}": "What each condition's corpus is made of, in documents, tokens and facts.",
    f"{_RUN}/*/*_results.json": "The results of one model on one task, of one seed.",
    f"{_RUN}/*/*_items.jsonl": "Every question with the model's answer, and how it was scored.",
    f"exp_*/seed_*/{LEARNING_CURVES}": "The learning curves of a run: what its checkpoints reached.",
    f"{_RUN}/checkpoints/*.json": "The results of one checkpoint.",
    f"{_RUN}/{MANIFEST}": f"What was evaluated, with hashes; `{RUN_CONFIG}` beside it is the whole recipe.",
    f"exp_*/seed_*/{VERIFIER}/*_results.json": "What a run's verifier chose on one task.",
    "base_vocabulary/*": "The small base vocabulary that the experiment trained, shared by all conditions.",
}
"""What each file of an experiment is, by its pattern; those that an experiment lacks are left out."""


def collection_card(experiment: Path, repos: Mapping[str, str], dataset_repo: str) -> str:
    """Return the README of the data set repository with an experiment's results: metadata in YAML, then Markdown.

    Args:
        experiment (`Path`): `outputs/<experiment>`.
        repos (`Mapping[str, str]`): the repositories of its published models, by the model's folder relative to the
            experiment's: `exp_baseline/seed_20/grpo_final`.
        dataset_repo (`str`): the repository of the results, `owner/name`.

    Raises:
        RecipeError: if a file is damaged, or a repository's name is none.
        ValueError: if a key of `repos` is no folder of a model.
    """
    for one in (*repos.values(), dataset_repo):
        if not is_hub_id(one):
            raise RecipeError(f"{one!r}: expected a repository's name on the Hub, owner/name")
    found, name = read_results(experiment), experiment.resolve().name
    body = render(
        "collection.md.jinja",
        title=name,
        question=QUESTION,
        project=PROJECT,
        overall=_overall(experiment, found),
        verdicts=[verdict(results) for results in found],
        declared=_declared(found),
        report=_report(experiment, dataset_repo),
        conditions=_conditions(found),
        models=_model_table(repos),
        files=_file_table(experiment),
        download=fenced([f"hf download {shlex.quote(dataset_repo)} --repo-type dataset --local-dir results"], "bash"),
        compare=_compare(found, name),
    )
    data = DatasetCardData(
        pretty_name=f"{PROJECT}: results of {printable(name)}", tags=[PROJECT, "tokenizer"], viewer=False
    )
    return str(DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{body}"))


def _overall(experiment: Path, found: list[Results]) -> str | None:
    if not found:
        return None
    overview = read_overview(experiment)
    if overview is None:
        return findings.headline(found[0])
    crossed = [] if overview.transplant is None else [enters(overview.transplant)]
    return " ".join([findings.overall(found), *crossed])


def _report(experiment: Path, dataset_repo: str) -> Markdown | None:
    if not (experiment / REPORT).is_file():
        return None
    return Markdown(f"[{REPORT}]({data_link(dataset_repo)}/blob/main/{REPORT})")


def _declared(found: list[Results]) -> str | None:
    """Return in words what was fixed before the runs; `None` without a comparison."""
    if not found:
        return None
    declared = found[0].preregistration
    if not declared.is_declared:
        return "Nothing was declared before the runs, so every comparison here is exploratory."
    if declared.frozen is None:
        return "Tests were declared; no record shows that they were frozen before the first step."
    amended = declared.frozen.num_amendments
    later = f", and amended {amended} times since" if amended > 1 else ", and amended once since" if amended else ""
    departs = any(results.preregistration.departures for results in found)
    but = " The runs depart from it, as is said below, so their verdicts are exploratory." if departs else ""
    return f"The tests were declared and frozen at {declared.frozen.time_utc}{later} ({PREREGISTRATION}).{but}"


def _conditions(found: list[Results]) -> list[Markdown]:
    about: dict[str, str | None] = {}
    for results in found:
        for name in (results.reference, results.other):
            about.setdefault(name, results.about.get(name))
    return [
        Markdown(f"{code(name)}: {prose(text) if text else 'the records do not describe it.'}")
        for name, text in about.items()
    ]


def _model_table(repos: Mapping[str, str]) -> Markdown | None:
    """Return the published models, a run a row and a stage a column; `None` if there are none."""
    runs: dict[tuple[str, int], dict[str, str]] = {}
    for key, repo_id in repos.items():
        match = _MODEL.fullmatch(key)
        if match is None:
            raise ValueError(f"{key!r}: expected a model's folder, exp_<condition>/seed_<n>/<model>")
        runs.setdefault((match[1], int(match[2])), {})[match[3]] = repo_id
    if not runs:
        return None
    names = dict.fromkeys(name for models in runs.values() for name in models)
    first, *last = MODELS
    columns = [name for name in (first, *(name for name in names if name not in MODELS), *last) if name in names]
    rows = [
        [
            code(condition),
            str(seed),
            *(Markdown(f"[model]({model_link(models[name])})") if name in models else DASH for name in columns),
        ]
        for (condition, seed), models in runs.items()
    ]
    return table(["condition", "seed", *columns], rows, labels=len(columns) + 2)


def _file_table(experiment: Path) -> Markdown:
    rows = [
        [code(pattern), Markdown(meaning)]
        for pattern, meaning in _FILES.items()
        if next(experiment.glob(pattern), None) is not None
    ]
    return table(["file", "what it is"], rows, labels=2)


def _compare(found: list[Results], experiment: str) -> Markdown | None:
    """Return the command that compares rebuilt runs again; `None` without a comparison."""
    if not found:
        return None
    names = dict.fromkeys(name for results in found for name in (results.reference, results.other))
    folders = (shlex.quote(f"{AGAIN}/{experiment}/exp_{name}") for name in names)
    return fenced([f"python scripts/compare.py {' '.join(folders)}"], "bash")
