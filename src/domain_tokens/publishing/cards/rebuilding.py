"""The commands that train a published model again, and what else they need."""

import shlex
from collections.abc import Iterator

from domain_tokens.publishing.cards.data import training_sources
from domain_tokens.publishing.cards.markup import Markdown, code
from domain_tokens.publishing.cards.run import TrainedModel
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG, made_by

AGAIN = "outputs_again"
"""Where a rebuilt run is written, apart from one that may be there."""

_RECIPE = f"rebuilt/{RUN_CONFIG}"
_PREPARATION, _EVALUATION = "scripts/prepare_data.py", "scripts/run_eval.py"


def rebuild(model: TrainedModel, repo_id: str) -> list[str]:
    """Return the commands that train a model again from the recipe in its repository."""
    environment, matched = model.environment, model.last.manifest.matched
    own = [stage.folder.name for stage in model.stages if stage.folder.parent == model.run]
    scripts = list(dict.fromkeys(made_by(name) for name in own))
    processes = matched.get("num_processes")
    several = isinstance(processes, int) and processes > 1
    start = f"accelerate launch --num_processes {processes}" if several else "python"
    lines = ["# in a clone of this project"]
    if environment.git_commit is not None:
        lines.append(f"git checkout {shlex.quote(environment.git_commit)}")
    lines += [
        "make install && . .venv/bin/activate",
        f"hf download {shlex.quote(repo_id)} {RUN_CONFIG} --local-dir rebuilt",
    ]
    if environment.threads is not None and not several:
        lines.append(f"export OMP_NUM_THREADS={environment.threads}")
    commands = [f"python {_PREPARATION}", *(f"{start} {script}" for script in scripts)]
    lines += [f"{command} {_RECIPE} output_dir={AGAIN}" for command in commands]
    if model.evaluations and model.step is None:
        chosen = shlex.quote(f"evaluation.models=[{model.name}]")
        lines.append(f"python {_EVALUATION} {_RECIPE} output_dir={AGAIN} {chosen}")
    return lines


def rebuild_notes(model: TrainedModel) -> list[Markdown]:
    """Return in words what else a rebuild needs, and what it gives."""
    return [*_needs(model), _gives(model)]


def _needs(model: TrainedModel) -> Iterator[Markdown]:
    recipe = model.last.recipe
    if model.start is not None:
        yield Markdown(
            f"Rebuild {code(model.start.model)} of condition {code(model.start.condition)}, seed {model.seed}, into "
            "the same folder first: this run begins with it."
        )
    if recipe.budget.equal_to is not None:
        names = sorted(
            {recipe.budget.equal_to[key] for key in ("reference", "measured_on") if key in recipe.budget.equal_to}
        )
        shown = " and ".join(code(name) for name in names)
        yield Markdown(f"Rebuild {shown} with this seed into the same folder first: they decide the number of steps.")
    if recipe.learning_rates is not None:
        yield Markdown("The recipe takes learning rates from a file of `scripts/tune_learning_rate.py`.")
    local = [source.name for source in training_sources(model) if source.kind == "file"]
    if local:
        shown = ", ".join(code(name) for name in local)
        yield Markdown(f"The files of {shown} are needed where `{RUN_CONFIG}` names them; their hashes are above.")


def _gives(model: TrainedModel) -> Markdown:
    weights = model.last.manifest.weights_sha256
    if weights is None or model.step is not None:
        return Markdown("On one machine, with the same number of threads, the same seed gives the same weights.")
    folder = f"{AGAIN}/{model.experiment.name}/{model.run.parent.name}/{model.run.name}/{model.last.folder.name}"
    return Markdown(
        f"{code(f'{folder}/{MANIFEST}')} then has the hash of the weights, {code('reported.weights_sha256')}. On the "
        f"same machine with the same number of threads it is {code(weights)}; elsewhere rounding differs, and small "
        "differences grow."
    )
