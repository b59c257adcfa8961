"""What a point of a study takes: parameters, tokens and FLOPs of one run, and the time of all its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from domain_tokens.planning.cost import stage_costs, unweighted_model
from domain_tokens.recipe import RecipeError, parse_trainers
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.studies.declaration import Study
from domain_tokens.studies.points import Point
from domain_tokens.training.model import non_embedding_parameters


@dataclass(frozen=True)
class Size:
    """What one run of a point has.

    Attributes:
        parameters: of the model, a tied head counted once.
        non_embedding: the same without the embeddings of tokens and positions, and without a head of its own: what
            grows with a model's depth and width alone, and what scaling laws call N (Kaplan et al. 2020).
        tokens: that pretraining reads.
        flops: of pretraining.
    """

    parameters: int
    non_embedding: int
    tokens: float
    flops: float


def size_of(point: Point) -> Size:
    """Return the size of a point, which is the same in every condition.

    Raises:
        RecipeError: if its recipe has no model or no trainer of that kind.
    """
    recipe = point.recipes[0]
    parameters, (pretraining, *_) = stage_costs(recipe, parse_trainers(recipe))
    if pretraining.tokens is None or pretraining.tokens <= 0:
        raise RecipeError(
            f"pretrain.max_steps: expected a number of steps above 0, got {recipe.pretrain.get('max_steps')}"
        )
    non_embedding = non_embedding_parameters(unweighted_model(recipe))
    return Size(parameters, non_embedding, pretraining.tokens, pretraining.flops)


def measured_speed(study: Study, points: Sequence[Point]) -> float | None:
    """Return the median FLOP/s of the study's finished runs, or `None` if none is finished."""
    found = []
    for point in points:
        folder = study.folder / point.name
        for path in sorted(folder.glob(f"exp_*/seed_*/pretrain_final/{MANIFEST}")):
            entry = read_record(path, Manifest).ledger[-1]
            if entry.wall_time_s > 0:
                found.append(entry.flops / entry.wall_time_s)
    return median(found) if found else None
