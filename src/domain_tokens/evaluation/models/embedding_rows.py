"""Are the added rows of a model alive? Norms of its embedding rows, and the probability that they get.

Three kinds of rows: the ordinary ones are GPT-2's own ids (0..50256), the reserved ones (50257..50303) are produced
by no text, and the facts' ids follow from 50304 on. A condition whose tokenizer writes no token has the same ids,
reserved like those before them, and they are measured in the same way.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from domain_tokens.evaluation.models.token_scores import TokenScores
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization.facts import FIRST_FACT_ID, GPT2_VOCAB_SIZE
from domain_tokens.tokenization.intervention import Intervention

_EMBEDDING = "wte.weight"
_INDEX = "model.safetensors.index.json"


def row_norms(folder: Path, intervention: Intervention) -> dict[str, Any]:
    """Return the L2 norms of a saved model's embedding rows, which are those of its tied head.

    Reads the one tensor and builds no model.

    Args:
        folder (`Path`): a model folder or checkpoint.
        intervention (`Intervention`): the one of the model's tokenizer.

    Returns:
        `{"facts": .., "reserved": .., "ordinary": ..}`, each with `rows`, `mean`, `sd` (of the rows, not of an
        estimate), `min` and `max`; `facts` also with `by_id`: for each id its token's name, `None` where the id is
        reserved, and its norm. Numbers are `None` where there are no rows.

    Raises:
        RecipeError: if the folder holds no embedding, or one of another size than the tokenizer.
    """
    norms = _embedding(folder).float().norm(dim=1).double().numpy()
    if len(norms) != intervention.vocabulary_size:
        raise RecipeError(
            f"{folder}: {len(norms)} embedding rows, the tokenizer has {intervention.vocabulary_size} ids; expected a "
            "model of this experiment"
        )
    names = intervention.token_names()
    facts = norms[FIRST_FACT_ID:]
    by_id = [
        {"id": FIRST_FACT_ID + place, "token": names[place] if place < len(names) else None, "norm": float(norm)}
        for place, norm in enumerate(facts)
    ]
    return {
        "facts": _spread(facts) | {"by_id": by_id},
        "reserved": _spread(norms[GPT2_VOCAB_SIZE:FIRST_FACT_ID]),
        "ordinary": _spread(norms[:GPT2_VOCAB_SIZE]),
    }


def probabilities(ids: list[np.ndarray], scores: list[TokenScores]) -> dict[str, Any]:
    """Return how much probability a model gives to the facts' ids and to the reserved ones.

    Args:
        ids (`list[np.ndarray]`): the token ids of each document, `PinnedText.ids`.
        scores (`list[TokenScores]`): what `score_tokens` returned for them.

    Returns:
        `positions`, and over all of them the mean of the summed probability of the facts' ids (`fact_mass`) and of
        the reserved ids (`reserved_mass`); the same over the positions where a fact comes next (`at_facts`), with the
        mean probability of the very fact that comes (`true_fact`) and its mean bits (`bits`). `None` where there are
        no such positions.
    """
    facts = np.concatenate([np.append(one >= FIRST_FACT_ID, False) for one in ids])  # a document's end is no fact
    bits, fact_mass, reserved_mass = (
        np.concatenate([getattr(score, name) for score in scores]).astype(np.float64)
        for name in ("bits", "fact_mass", "reserved_mass")
    )
    return {
        "positions": len(facts),
        "fact_mass": _mean(fact_mass),
        "reserved_mass": _mean(reserved_mass),
        "at_facts": {
            "positions": int(facts.sum()),
            "fact_mass": _mean(fact_mass[facts]),
            "reserved_mass": _mean(reserved_mass[facts]),
            "true_fact": _mean(2.0 ** -bits[facts]),
            "bits": _mean(bits[facts]),
        },
    }


def _embedding(folder: Path) -> torch.Tensor:
    files = [folder / "model.safetensors"]
    if (folder / _INDEX).is_file():
        places = read_json(folder / _INDEX)["weight_map"]
        files = [folder / file for name, file in places.items() if name.endswith(_EMBEDDING)]
    for file in filter(Path.is_file, files):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - no mapping, it cannot be iterated over
                if name.endswith(_EMBEDDING):
                    return weights.get_tensor(name)
    raise RecipeError(f"{folder}: no safetensors file with an embedding ({_EMBEDDING}); expected a saved GPT-2")


def _spread(norms: np.ndarray) -> dict[str, Any]:
    if not len(norms):
        return {"rows": 0, "mean": None, "sd": None, "min": None, "max": None}
    values = {"mean": norms.mean(), "sd": norms.std(), "min": norms.min(), "max": norms.max()}
    return {"rows": len(norms)} | {name: float(value) for name, value in values.items()}


def _mean(values: np.ndarray) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None
