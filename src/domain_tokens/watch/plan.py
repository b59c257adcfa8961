"""Which runs an experiment has, and which stages a run: what its folder, its looks and its resolved recipe say."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.runs.layout import LOGS, LOOKS, PREREGISTRATION, RUN_CONFIG, TOKENIZER, VERIFIER
from domain_tokens.watch.files.reading import Reader, clean, folders, number, part_of

PREPARE, EVALUATE, CURVES = "prepare_data", "eval", "eval_checkpoints"
_CONDITION, _SEED = "exp_", "seed_"
_STUDY, STUDY_LOG = "study.yaml", "study.log"


@dataclass(frozen=True)
class Run:
    """One condition with one seed.

    Attributes:
        condition, seed: whose it is; the name is one that can be shown.
        folder: `exp_<condition>/seed_<n>`, which may not be there yet.
        models: the final folder of each training stage, by the stage's name, in order; empty if no recipe is there.
        max_steps: of the stages whose recipe says it.
        epochs: of the other stages of fine-tuning.
    """

    condition: str
    seed: int
    folder: Path
    models: Mapping[str, str]
    max_steps: Mapping[str, int]
    epochs: Mapping[str, float]

    @property
    def log_name(self) -> str:
        """The beginning of the names of its logs."""
        return f"{self.folder.parent.name.removeprefix(_CONDITION)}_seed{self.seed}"


def is_study(folder: Path) -> bool:
    """Return whether a folder is a study's: it declares one, or has the log of one."""
    return (folder / _STUDY).is_file() or (folder / LOGS / STUDY_LOG).is_file()


def seeds_of_study(study: Path, reader: Reader) -> list[int]:
    """Return the seeds that a study declares; none if its declaration cannot be read."""
    declared = reader.recipe(study / _STUDY) or {}
    return [seed for key, seed in declared.items() if key.startswith("seeds.") and isinstance(seed, int)]


def runs_of(experiment: Path, reader: Reader, declared: Sequence[int] = ()) -> list[Run]:
    """Return the runs of an experiment: those with a folder, and those with which it was last started.

    Args:
        experiment (`Path`): its folder.
        reader (`Reader`): reads files.
        declared (`Sequence[int]`, *optional*): the seeds of the study of which it is a point.
    """
    named = {
        (condition.name.removeprefix(_CONDITION), int(seed.name.removeprefix(_SEED)))
        for condition in folders(experiment, f"{_CONDITION}*")
        for seed in folders(condition, f"{_SEED}*")
        if seed.name.removeprefix(_SEED).isdecimal()
    }
    conditions, seeds = started(experiment, reader)
    conditions = conditions or [one.name.removeprefix(_CONDITION) for one in folders(experiment, f"{_CONDITION}*")]
    seeds = seeds or list(declared) or sorted({seed for _, seed in named})
    named |= {(condition, seed) for condition in conditions for seed in seeds}
    return [_run(experiment, *one, reader) for one in sorted(named, key=lambda one: (one[1], one[0]))]


def started(experiment: Path, reader: Reader) -> tuple[list[str], list[int]]:
    """Return the conditions and seeds with which the experiment was last started by a runner."""
    looks = part_of(reader.fields(experiment / LOOKS), "looks")
    for look in reversed(looks if isinstance(looks, list) else []):
        conditions, seeds = part_of(look, "conditions"), part_of(look, "seeds")
        if part_of(look, "what") == "run" and isinstance(conditions, list) and isinstance(seeds, list):
            return [str(one) for one in conditions], [one for one in seeds if isinstance(one, int)]
    return [], []


def _run(experiment: Path, condition: str, seed: int, reader: Reader) -> Run:
    folder = experiment / f"{_CONDITION}{condition}" / f"{_SEED}{seed}"
    recipes = (reader.recipe(path) for path in _configs(folder))
    recipe = next((one for one in recipes if one is not None), None) or _frozen(experiment, condition, reader)
    models = _on_disk(folder) if recipe is None else _model_folders(recipe)
    values = recipe or {}
    max_steps = {
        stage: int(steps)
        for stage in models
        if (steps := number(_setting(values, stage, "max_steps"))) is not None and steps > 0
    }
    epochs = {
        stage: found
        for stage in models
        if stage not in max_steps and (found := number(_setting(values, stage, "num_train_epochs"))) is not None
    }
    return Run(clean(condition), seed, folder, models, max_steps, epochs)


def _configs(run: Path) -> Iterator[Path]:
    """Yield where the resolved recipe of a run may be: with its stages or its condition's data.

    Before there are any, the stages are those of another condition, or of the documents that all conditions share.
    """
    condition, experiment = run.parent, run.parent.parent
    own = folders(run, "*_final"), folders(run, "sft_*"), folders(condition, "corpus_*"), [condition / TOKENIZER]
    others = folders(experiment, f"{_CONDITION}*/{TOKENIZER}"), folders(experiment, "documents_*")
    for folder in itertools.chain(*own, *others):
        yield folder / RUN_CONFIG


def _frozen(experiment: Path, condition: str, reader: Reader) -> Mapping[str, object] | None:
    """Return the recipe of a condition that was frozen before the first step, by dotted key; `None` without one."""
    frozen = reader.fields(experiment / PREREGISTRATION)
    recipe = part_of(frozen, "original", "content", "conditions", condition, "recipe")
    return recipe if isinstance(recipe, dict) and recipe else None


def _model_folders(recipe: Mapping[str, object]) -> dict[str, str]:
    """Return what `Recipe.model_folders` says, of a recipe whose files may be elsewhere."""
    names: list[str] = []
    while (name := recipe.get(f"sft_stages.{len(names)}.name")) is not None:
        names.append(f"sft_{name}")
    models = {"pretrain": "pretrain_final"} | {name: name for name in names}
    models |= {names[-1]: "sft_final"} if names else {}
    models |= {"grpo": "grpo_final"} if "grpo_prompts.0.name" in recipe else {}
    start = recipe.get("start_from.model")
    if start in models.values():
        stages = list(models)
        return {stage: models[stage] for stage in stages[list(models.values()).index(str(start)) + 1 :]}
    return models


def _on_disk(run: Path) -> dict[str, str]:
    """Return the training stages that a run has begun, where no recipe says which ones there are."""
    begun = [one.name for one in folders(run, "checkpoints/*") if one.name != VERIFIER]
    names = [name for name in begun if name.startswith("sft_")]
    models = {"pretrain": "pretrain_final"} if "pretrain" in begun else {}
    models |= {name: "sft_final" if name == names[-1] else name for name in names}
    return models | ({"grpo": "grpo_final"} if "grpo" in begun else {})


def _setting(recipe: Mapping[str, object], stage: str, key: str) -> object:
    """Return a trainer's argument of a stage, its own before that of all fine-tuning."""
    section, _, name = stage.partition("_")
    for index in range(len([one for one in recipe if one.startswith("sft_stages.") and one.endswith(".name")])):
        if name and recipe.get(f"sft_stages.{index}.name") == name:
            own = recipe.get(f"sft_stages.{index}.args.{key}")
            return recipe.get(f"{section}.{key}") if own is None else own
    return recipe.get(f"{section}.{key}")
