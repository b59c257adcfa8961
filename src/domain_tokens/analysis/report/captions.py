"""The names of the plots, and their captions."""

from domain_tokens.analysis.report.formats import percent
from domain_tokens.analysis.results_model import Results

NAMES = (
    "training_loss", "validation_loss", "accuracy", "effects", "learning_curves", "fact_rows", "grpo", "fact_use",
    "conditions",
)  # fmt: skip
"""All plots; which of them are drawn depends on what was logged and evaluated."""


def caption(name: str, results: Results) -> str:
    """Return what a plot shows, in words: its caption, and its text for readers who cannot see it."""
    num_seeds = len(results.seeds)
    seeds = "one seed" if num_seeds == 1 else f"the mean of {num_seeds} seeds, with a thin line for each seed"
    primary = results.primary
    return {
        "training_loss": f"Training loss by step, {seeds}.",
        "validation_loss": (
            f"Validation loss by step, {seeds}. A loss per token cannot be compared between two tokenizers: the same "
            "text is cut into different tokens. Each curve can only be read by itself."
        ),
        "accuracy": (
            "Accuracy by task, model and group of items, with 95% intervals. The primary endpoint is "
            f"{primary.task} {primary.metric} of {primary.model}: "
            f"{percent(primary.reference.accuracy)} and {percent(primary.other.accuracy)}."
        ),
        "effects": (
            "The difference between the conditions in every task and model, with 95% intervals: the primary endpoint "
            "in colour, other declared endpoints in black, exploratory ones in grey."
        ),
        "learning_curves": f"The evaluated checkpoints in the order of training, {seeds}.",
        "fact_rows": (
            "The added embedding rows during training: their norms beside those of ordinary and reserved rows, the "
            f"probability that the model gives them on validation text, and facts per response, {seeds}."
        ),
        "grpo": f"GRPO by step, {seeds}.",
        "fact_use": "Fact tokens per response, means over all items and seeds.",
    }[name]


def overview_caption(name: str) -> str:
    """Return what a plot of several conditions shows, in words."""
    return {
        "conditions": (
            "Differences of the primary endpoint with their 95% intervals: each condition against the reference, then "
            "the declared contrasts."
        ),
    }[name]
