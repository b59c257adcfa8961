"""A trained model with the stages that led to it, as its run left them on disk."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.files import read_file
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import CHECKPOINT_RESULTS, EVALUATION, MANIFEST, MODELS, RUN_CONFIG, Mode
from domain_tokens.runs.records import Environment, LedgerEntry, Manifest, Record, SourceRecord, StartRecord
from domain_tokens.runs.results import EvaluatedTask, SeedRun, load_evaluations, load_trained
from domain_tokens.tokenization.intervention import Intervention

_TOKENIZER_CONFIG = "tokenizer_config.json"  # as transformers names it
_CHECKPOINT = re.compile(r"checkpoints/([^/]+)/(?:checkpoint|weights)-(\d+)")


class DeclaredSource(SourceRecord):
    """A source as a resolved recipe has it."""

    licence: str | None = None
    what: str = "text"


class _Corpus(Record):
    seed: int = 0
    sources: tuple[DeclaredSource, ...] = ()


class _SFTStage(Record):
    name: str
    sources: tuple[DeclaredSource, ...] = ()


class _Evaluation(Record):
    data: Mapping[str, DeclaredSource] = {}
    max_new_tokens: int = 48


class _Budget(Record):
    equal_to: Mapping[str, str] | None = None


class ResolvedRecipe(Record):
    """What a card reads of `run_config.yaml`."""

    experiment: str
    corpus: _Corpus = _Corpus()
    sft_stages: tuple[_SFTStage, ...] = ()
    grpo_prompts: tuple[DeclaredSource, ...] = ()
    evaluation: _Evaluation = _Evaluation()
    budget: _Budget = _Budget()
    learning_rates: str | None = None

    def sources_of(self, stage: str) -> Sequence[DeclaredSource]:
        """Return the sources of a stage, by its name in the ledger: `pretrain`, `sft/<name>` or `grpo`."""
        kind, _, name = stage.partition("/")
        if kind == "sft":
            return next((one.sources for one in self.sft_stages if one.name == name), ())
        return self.corpus.sources if kind == "pretrain" else self.grpo_prompts


@dataclass(frozen=True)
class Stage:
    """One stage that led to a model.

    Attributes:
        folder: its final folder, which lies in another condition's run if the run started there; a later stage's if
            its own was removed.
        manifest: of that folder.
        entry: the stage's own entry of the ledger.
        recipe: the resolved recipe beside the manifest.
    """

    folder: Path
    manifest: Manifest
    entry: LedgerEntry
    recipe: ResolvedRecipe


@dataclass(frozen=True)
class TrainedModel:
    """A model of a run.

    Attributes:
        run: `outputs/<experiment>/exp_<condition>/seed_<n>`.
        name: the model's folder in the run: `grpo_final`, or `checkpoints/grpo/checkpoint-5`.
        stages: the stages that led to it, in the order of training; the last one ended in it, or in a later model if
            it is a checkpoint.
        step: after which step of the last stage it was saved; `None` if it is no checkpoint.
        intervention: what its tokenizer does.
        start: with which other condition's model the run started, if it did.
        evaluations: its evaluations in plain mode, of these very weights.
        num_stale: how many other evaluations were made of weights that this folder no longer has.
    """

    run: Path
    name: str
    stages: Sequence[Stage]
    step: int | None
    intervention: Intervention
    start: StartRecord | None
    evaluations: Sequence[EvaluatedTask]
    num_stale: int

    @property
    def folder(self) -> Path:
        """The model's folder."""
        return self.run / self.name

    @property
    def last(self) -> Stage:
        """The stage that ended in the model, or during which it was saved."""
        return self.stages[-1]

    @property
    def condition(self) -> str:
        """The run's condition."""
        return self.last.manifest.condition

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.last.manifest.seed

    @property
    def experiment(self) -> Path:
        """`outputs/<experiment>`."""
        return self.run.parent.parent

    @property
    def environment(self) -> Environment:
        """With what the last stage was run."""
        return self.last.manifest.environment


def load_model(run: Path, name: str) -> TrainedModel:
    """Read what a run recorded of a model.

    Args:
        run (`Path`): `outputs/<experiment>/exp_<condition>/seed_<n>`.
        name (`str`): the model's folder: `grpo_final`, `sft_<name>`, or that of a checkpoint.

    Raises:
        RecipeError: if the model is missing or unfinished, or a file is damaged; the message names it.
    """
    number, checkpoint = run.name.removeprefix("seed_"), _CHECKPOINT.fullmatch(name)
    folder = run / (name if checkpoint is None else _final(run, checkpoint[1]))
    if not number.isdigit() or not (folder / MANIFEST).is_file() or not (run / name).is_dir():
        raise RecipeError(
            f"{run / name}: expected a model of a finished stage, such as outputs/demo/exp_baseline/seed_20/"
            "grpo_final; train it first"
        )
    trained = load_trained(run.resolve(), int(number))
    stages = _stages(trained, folder.resolve())
    results = run / EVALUATION / name
    if checkpoint is not None:
        results = run / CHECKPOINT_RESULTS / f"{checkpoint[1]}-{int(checkpoint[2]):07d}"
    evaluated = [one for one in load_evaluations(results).values() if one.mode == Mode.PLAIN]
    weights = stages[-1].manifest.weights_sha256
    current = [one for one in evaluated if checkpoint is not None or one.result.weights_sha256 == weights]
    return TrainedModel(
        run=run.resolve(),
        name=name,
        stages=stages,
        step=None if checkpoint is None else int(checkpoint[2]),
        intervention=_intervention(run / name / _TOKENIZER_CONFIG),
        start=trained.start,
        evaluations=current,
        num_stale=len(evaluated) - len(current),
    )


def base_folder(model: TrainedModel) -> str:
    """Return the folder, relative to the experiment's, of the model with which the last stage began."""
    before = [stage.folder for stage in model.stages if stage.folder != model.last.folder]
    return before[-1].relative_to(model.experiment).as_posix() if before else ""


def _final(run: Path, stage: str) -> str:
    """Return the final folder of a stage, `sft_final` for the last one of fine-tuning."""
    if stage in ("pretrain", "grpo"):
        return f"{stage}_final"
    return stage if (run / stage).is_dir() else "sft_final"


def _stages(trained: SeedRun, folder: Path) -> list[Stage]:
    """Return the stages that led to a model's folder, that one included, in the order of training.

    A stage of fine-tuning whose own folder was removed is known from the ledger of a later one.
    """
    found = {**trained.stages, **trained.earlier}
    names = [name for name in (MODELS[0], *trained.earlier, *MODELS[1:]) if name in found]
    stages: dict[str, Stage] = {}
    for name in names[: names.index(folder.name) + 1]:
        manifest, path = found[name].manifest, found[name].folder / RUN_CONFIG
        if not manifest.ledger:
            raise RecipeError(f"{found[name].folder / MANIFEST}: ledger is empty; run the stage again")
        recipe = ResolvedRecipe.parse(read_file(path), path)
        for entry in manifest.ledger:
            stages.setdefault(entry.stage, Stage(found[name].folder, manifest, entry, recipe))
    return list(stages.values())


def _intervention(path: Path) -> Intervention:
    """Return what a saved tokenizer carries of its intervention."""
    try:
        return Intervention.from_json(read_json(path)["intervention"])
    except (OSError, TypeError, KeyError, AttributeError) as error:
        raise RecipeError(f"{path}: has no valid intervention ({error!r}); copy the condition's tokenizer") from error
