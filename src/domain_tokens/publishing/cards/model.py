"""The card of a model: the README of its repository, made from the files of its run and of its comparisons."""

from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from domain_tokens.publishing.cards.comparisons import comparisons_of
from domain_tokens.publishing.cards.data import (
    evaluation_commits,
    evaluation_sources,
    is_hub_id,
    training_sources,
)
from domain_tokens.publishing.cards.loading import expansions, has_adapters_alone, snippet
from domain_tokens.publishing.cards.markup import fenced, render
from domain_tokens.publishing.cards.rebuilding import rebuild, rebuild_notes
from domain_tokens.publishing.cards.run import TrainedModel, base_folder, load_model
from domain_tokens.publishing.cards.scores import Score, evaluation_results, scores_of
from domain_tokens.publishing.cards.tables import (
    identity_table,
    ledger_table,
    score_table,
    settings_table,
    source_table,
)
from domain_tokens.publishing.cards.words import (
    PROJECT,
    QUESTION,
    adapters,
    caveats,
    contamination,
    differences,
    limits,
    summary,
    verdict,
)
from domain_tokens.recipe import RecipeError


def model_card(
    run: Path, model: str, repo_id: str, *, base_repo: str | None = None, results_repo: str | None = None
) -> str:
    """Return the README of a model's repository: metadata in YAML, then Markdown.

    Every number is from the run's manifests, results and comparisons; whatever these do not say is said to be missing.

    Args:
        run (`Path`): `outputs/<experiment>/exp_<condition>/seed_<n>`.
        model (`str`): the model's folder in it: `grpo_final`, `sft_<name>` or `checkpoints/grpo/checkpoint-5`.
        repo_id (`str`): the repository, `owner/name`.
        base_repo (`str`, *optional*): the repository of the model with which the last stage began, for the metadata.
        results_repo (`str`, *optional*): the data set repository with the results of the whole experiment.

    Raises:
        RecipeError: if the model is missing or unfinished, a file is damaged, or a repository's name is none.
    """
    for one in (repo_id, base_repo, results_repo):
        if one is not None and not is_hub_id(one):
            raise RecipeError(f"{one!r}: expected a repository's name on the Hub, owner/name")
    found = load_model(run, model)
    scores, compared = scores_of(found), comparisons_of(found)
    body = render(
        "model.md.jinja",
        title=repo_id.rpartition("/")[2],
        question=QUESTION,
        project=PROJECT,
        summary=summary(found),
        identity=identity_table(found),
        differences=differences(found, compared),
        snippet=fenced(snippet(found, repo_id, base_repo or base_folder(found)), "python"),
        has_tokens=bool(expansions(found.intervention)),
        adapters=adapters(found),
        is_pretrained=found.last.entry.kind == "pretrain",
        scores=score_table(found, scores, compared),
        verdicts=[verdict(results, found) for results in compared.current],
        caveats=caveats(found, scores, compared),
        training_data=source_table(training_sources(found)),
        evaluation_data=source_table(evaluation_sources(found)),
        contamination=contamination(found),
        ledger=ledger_table(found),
        settings=settings_table(found),
        rebuild=fenced(rebuild(found, repo_id), "bash"),
        rebuild_notes=rebuild_notes(found),
        results_repo=results_repo,
        limits=limits(found, scores, compared),
    )
    return str(ModelCard(f"---\n{_metadata(found, scores, repo_id, base_repo).to_yaml()}\n---\n\n{body}"))


def _metadata(model: TrainedModel, scores: list[Score], repo_id: str, base_repo: str | None) -> ModelCardData:
    sources = {one.name: one for one in model.last.recipe.evaluation.data.values()}
    is_adapter = has_adapters_alone(model)
    datasets = [one.hub_id for one in training_sources(model) if one.hub_id is not None]
    return ModelCardData(
        base_model=base_repo,
        base_model_relation=None if base_repo is None else "adapter" if is_adapter else "finetune",
        datasets=list(dict.fromkeys(datasets)) or None,
        eval_results=evaluation_results(scores, sources, evaluation_commits(model)) or None,
        library_name="peft" if is_adapter else "transformers",
        metrics=["accuracy"] if any(score.metric == "accuracy" for score in scores) else None,
        model_name=repo_id.rpartition("/")[2] if scores else None,
        pipeline_tag="text-generation",
        tags=[PROJECT, "tokenizer", "gpt2"] + ["lora"] * bool(adapters(model)),
    )
