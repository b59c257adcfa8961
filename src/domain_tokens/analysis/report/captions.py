"""The names of the plots, and their captions."""

from domain_tokens.analysis.report.formats import percent
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import Overview, Results

NAMES = (
    "training_loss", "validation_loss", "accuracy", "effects", "learning_curves", "fact_rows", "grpo", "fact_use",
    "conditions", "facts_needed", "mistakes", "lengths",
)  # fmt: skip
"""All plots; which of them are drawn depends on what was logged and evaluated."""


def caption(name: str, results: Results) -> str:
    """Return what a plot shows, in words: its caption, and its text for readers who cannot see it."""
    num_seeds = len(results.seeds)
    seeds = "one seed" if num_seeds == 1 else f"{num_seeds} seeds"
    primary = results.primary
    return {
        "training_loss": f"Training loss by step, {seeds}: means, with a band from the lowest to the highest seed.",
        "validation_loss": (
            f"Validation loss by step, {seeds}. A loss per token cannot be compared between two tokenizers: the same "
            "text is cut into different tokens. Each curve can only be read by itself."
        ),
        "accuracy": (
            "Accuracy by task, model and group of items, with 95% intervals. The primary endpoint is "
            f"{metric_of(primary.task, primary.metric, primary.source, first=True)} of {primary.model}: "
            f"{percent(primary.reference.accuracy)} and {percent(primary.other.accuracy)}."
        ),
        "effects": (
            "The difference between the conditions in every task and model, with 95% intervals: the primary endpoint "
            "in colour, other declared endpoints in black, exploratory ones in grey."
        ),
        "fact_rows": (
            "The added embedding rows during training: their norms beside those of ordinary and reserved rows, the "
            f"probability that the model gives them on validation text, {seeds}."
        ),
        "grpo": f"GRPO by step, {seeds}.",
        **_shared(seeds),
    }[name]


def overview_caption(name: str, overview: Overview) -> str:
    """Return what a plot of several conditions shows, in words."""
    return {
        "conditions": (
            "Differences of the primary endpoint with their 95% intervals: the declared contrasts, and above them the "
            "conditions of which none is declared against the reference."
        ),
    }.get(name) or _shared(overview.label)[name]


def _shared(seeds: str) -> dict[str, str]:
    """Return the captions of the plots that show any number of conditions."""
    return {
        "learning_curves": (
            f"The evaluated checkpoints in the order of training, {seeds}. Lines are means, bands reach from the "
            "lowest to the highest seed."
        ),
        "facts_needed": (
            "Accuracy by the number of products of the table that a solution needs, and the difference from the "
            "reference with its 95% interval."
        ),
        "mistakes": "What the answers are: right, or wrong in one of five ways. Each bar adds up to 100%.",
        "fact_use": f"Fact tokens per answer, through training where checkpoints were evaluated, {seeds}.",
        "lengths": "Tokens per answer, means over all items and seeds.",
    }
