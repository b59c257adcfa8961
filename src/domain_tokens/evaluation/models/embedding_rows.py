"""Are the added rows of a model alive? Norms of its embedding rows, and the probability that they get.

Three kinds of rows: the ordinary ones are the base vocabulary's ids (for GPT-2 0..50256), the reserved ones
(50257..50303) are produced by no text, and the facts' ids follow (from 50304 on). A condition whose tokenizer writes
no token has the same ids, reserved like those before them, and they are measured in the same way.
"""

import math
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from domain_tokens.evaluation.models.token_scores import TokenScores
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.runs.records import (
    FactNorm,
    FactProbabilities,
    FactProbabilitiesAtFacts,
    FactSpread,
    RowNorms,
    Spread,
)
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.intervention import Intervention

_EMBEDDING = "wte.weight"
_INDEX = "model.safetensors.index.json"


def row_norms(folder: Path, intervention: Intervention, ids: IdRanges) -> RowNorms:
    """Return the L2 norms of a saved model's embedding rows, which are those of its head too where that is tied.

    Reads the one tensor and builds no model.

    Args:
        folder (`Path`): a model folder or checkpoint.
        intervention (`Intervention`): the one of the model's tokenizer.
        ids (`IdRanges`): those of the model's tokenizer.

    Returns:
        `RowNorms`: the spread of each kind of rows, and the norm of every fact's row.

    Raises:
        RecipeError: if the folder holds no embedding, or one of another size than the tokenizer.
    """
    norms = _embedding(folder).float().norm(dim=1).double().numpy()
    num_ids = ids.total(intervention.num_ids)
    if len(norms) != num_ids:
        raise RecipeError(
            f"{folder}: {len(norms)} embedding rows, the tokenizer has {num_ids} ids; expected a model of this "
            "experiment"
        )
    names = intervention.token_names()
    facts = norms[ids.first_added :]
    by_id = [
        FactNorm(id=ids.first_added + index, token=names[index] if index < len(names) else None, norm=float(norm))
        for index, norm in enumerate(facts)
    ]
    return RowNorms(
        facts=FactSpread(**dict(_spread(facts)), by_id=tuple(by_id)),
        reserved=_spread(norms[ids.num_base : ids.first_added]),
        ordinary=_spread(norms[: ids.num_base]),
    )


def probabilities(texts: list[np.ndarray], scores: list[TokenScores], ids: IdRanges) -> FactProbabilities:
    """Return how much probability a model gives to the facts' ids and to the reserved ones.

    Args:
        texts (`list[np.ndarray]`): the token ids of each document, `EncodedText.ids`.
        scores (`list[TokenScores]`): what `score_tokens` returned for them.
        ids (`IdRanges`): those of the tokenizer.

    Returns:
        `FactProbabilities`: means over all positions, and over those where a fact comes next.
    """
    facts = np.concatenate([np.append(one >= ids.first_added, False) for one in texts])  # a document's end is no fact
    bits, fact_mass, reserved_mass = (
        np.concatenate([getattr(score, name) for score in scores]).astype(np.float64)
        for name in ("bits", "fact_mass", "reserved_mass")
    )
    at_facts = FactProbabilitiesAtFacts(
        positions=int(facts.sum()),
        fact_mass=_mean(fact_mass[facts]),
        reserved_mass=_mean(reserved_mass[facts]),
        true_fact=_mean(2.0 ** -bits[facts]),
        bits=_mean(bits[facts]),
    )
    return FactProbabilities(
        positions=len(facts), fact_mass=_mean(fact_mass), reserved_mass=_mean(reserved_mass), at_facts=at_facts
    )


def _embedding(folder: Path) -> torch.Tensor:
    files = [folder / "model.safetensors"]
    if (folder / _INDEX).is_file():
        file_of = read_json(folder / _INDEX)["weight_map"]
        files = [folder / file for name, file in file_of.items() if name.endswith(_EMBEDDING)]
    for file in filter(Path.is_file, files):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping, it cannot be iterated over
                if name.endswith(_EMBEDDING):
                    return weights.get_tensor(name)
    raise RecipeError(f"{folder}: no safetensors file with an embedding ({_EMBEDDING}); expected a saved GPT-2")


def _spread(norms: np.ndarray) -> Spread:
    if not len(norms):
        return Spread(rows=0, mean=None, sd=None, min=None, max=None)
    mean, sd, low, high = (float(value) for value in (norms.mean(), norms.std(), norms.min(), norms.max()))
    return Spread(rows=len(norms), mean=mean, sd=sd, min=low, max=high)


def _mean(values: np.ndarray) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None
