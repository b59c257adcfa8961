"""The names of everything that a run leaves on disk: folders, models, evaluation modes and files.

`outputs/<experiment>/exp_<condition>/seed_<n>/` holds

- `pretrain_final`, `sft_<name>`, `sft_final`, `grpo_final`: a finished stage, with weights, tokenizer and the files
  named below;
- `checkpoints/<stage>/checkpoint-<step>`: unfinished work; `weights-<step>`: a model of it that is kept for good;
- `eval/<model>/<task>_results.json` and `<task>_items.jsonl`, `<task>.<mode>_...` for modes other than `plain`;
- `eval/checkpoints/<stage>-<step>.json` and `<stage>-<step>/`, `eval/learning_curves.csv`;
- `verifier_final`: the verifier of the run's solutions; `verifier/<part>_samples/`: what was sampled for it, of the
  training problems and of each task; `verifier/<task>_results.json` and `<task>_items.jsonl`: what it chose;
- `sampling/<model>/<task>_at_<temperature>_samples/`: answers to a task at a temperature, for curves.

`outputs/<experiment>/micro_batches.json` has the micro batches that were found for it (`runs.micro_batches`).
`outputs/<experiment>/preregistration.json` and `looks.json` say what was frozen and who looked at results when
(`runs.preregistration`). `runs.records` defines the types of the other JSON files.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from domain_tokens.recipe import Recipe

MODELS = ("pretrain_final", "sft_final", "grpo_final")
"""The last models of the three kinds of training, in training order.

A run may lack some, and fine-tuning stages before the last end in `sft_<name>` (`Recipe.model_folders`).
"""

DIFFERENT_VOCABULARIES = "--different-vocabularies"
"""The option of `scripts/compare.py` with which conditions of different base vocabularies are compared."""

VERIFIER = "verifier"  # of a run: the stage, and the folder of what was sampled for it and chosen by it
VERIFIER_FINAL = f"{VERIFIER}_final"
SAMPLES = "samples.jsonl"  # in a folder of samples: a question with its solutions a line; in pretraining's: drawn text
VERIFIERS = "verifiers"  # of an experiment: the beginning of the names of the comparison's files
SAMPLING = "sampling"  # of a run: answers at several temperatures; of an experiment: in its files' names

MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.yaml"
METRICS = "metrics.jsonl"
EXAMPLES = "examples.jsonl"  # which examples a stage of fine-tuning or GRPO used
LOCK = ".lock"  # held by the process that writes to a folder
INPUTS = "inputs.json"  # in a folder of checkpoints: the inputs of the stage
RUNNING = "running.json"  # in a folder of checkpoints: what else the result depends on, as it was when the stage began
CHANGES = "changes.json"  # in a folder of checkpoints: what was changed since, by --allow-change
PLAN = "plan.json"  # in a folder of checkpoints: what the finished stage will record under `matched`
VERIFIED = "verified.json"  # the last file written into a checkpoint: its files and their hashes
EXTRA = "extra.json"  # in a checkpoint that was written because the run was interrupted
ADAPTER_CONFIG = "adapter_config.json"  # in a checkpoint that holds adapters alone
ADAPTER_WEIGHTS = "adapter_model.safetensors"
COUNTS = "counts.json"  # what a stage had consumed at a checkpoint
PASS_RATES = "pass_rates.json"  # of GRPO: how often the fine-tuned model solved which prompts before training
COMPLETIONS = "completions.jsonl"  # of GRPO: completions that were kept, with their rewards
README = "README.md"  # of a repository on the Hub
PUSHED = "pushed.json"  # in a folder of checkpoints: where the finished stage was published
TRACE = "trace.json.gz"  # in a folder of checkpoints: ten steps, if --profile asked for it
COMMITS = "hub_commits.json"  # in a folder of unfinished documents: the commit of each source on the Hub
DECLARED = "declared.json"  # in a folder of unfinished work: the declaration when the stage began
LEARNING_RATES = "learning_rates.json"  # in an experiment's folder: tuned learning rates
MICRO_BATCHES = "micro_batches.json"  # in an experiment's folder: the micro batches that were found for `auto`
MICRO_BATCHES_LOCK = ".micro_batches.lock"  # held while they are looked for
SEARCHES = "learning_rate"  # in an experiment's folder: the runs of searches for a learning rate
TOKENIZER = "tokenizer"  # of a condition
PLOTS = "plots"  # of a comparison, or of one condition
FITS = "fits.json"  # of a table of runs: the scaling fits
FITS_YAML = "fits.yaml"  # the same for people
FITS_PAGE = "fits.md"
LOGS = "logs"  # the logs of the runner and of the stages
TRAINER_STATE = "trainer_state.json"  # named by the Trainer

PREREGISTRATION = "preregistration.json"  # of an experiment: what was frozen before the first step
PREREGISTRATION_LOCK = ".preregistration.lock"  # held while one of these two files is written
LOOKS = "looks.json"  # of an experiment: what was run, evaluated and compared, in order
CONTAMINATION = "contamination.jsonl"  # beside data that trains: what was removed because it held a test question
SITES = "train_sites.csv"  # in a corpus: a sample of the sites in its training documents, to be checked by hand

EVALUATION = "eval"
CHECKPOINT_RESULTS = f"{EVALUATION}/checkpoints"
LEARNING_CURVES = f"{EVALUATION}/learning_curves.csv"
SIDE_CODE = "side_code.json"  # in a corpus: what the code of the side record learned from the training split
DOCUMENT_BITS = "documents.jsonl"  # for a checkpoint: the bits of each validation document
RESULTS = "_results.json"
ITEMS = "_items.jsonl"
EXCLUDED_ITEMS = "_items_with_products.jsonl"


class Mode(StrEnum):
    """How a task is run. The range of fact ids is the same in every condition: from 50304 up with GPT-2's base.

    If the intervention does not use these ids, neither ablation changes an answer.
    """

    PLAIN = "plain"
    """Greedy answers without an ablation. Accuracies are computed in this mode."""

    FORBIDDEN = "facts_forbidden"
    """The ids are never generated. The loss in accuracy shows how much the model relies on generating them."""

    EXCHANGED = "facts_exchanged"
    """Each id that the model has written is read by it as the next one. This misleads a model that works with what its
    tokens mean. The question is read as it is."""

    PLAIN_QUESTION = "question_plain"
    """Questions are encoded without the intervention's rules: what the model knows without its tokenizer's help."""

    REWRITTEN_QUESTION = "question_rewritten"
    """Facts of the canonical table in a question are written with their results, in digits: `6 * 9` as `6*9=54`. In
    every condition: what a tokenizer's reading of the question gives away to any model."""

    SAMPLED = "sampled"
    """Several answers per question, sampled at a temperature."""


def task_file(folder: Path, name: str, ending: str) -> Path:
    """Return the path of one of a task's files.

    Args:
        folder (`Path`): `eval/<model>`, or a folder in `eval/checkpoints`.
        name (`str`): the task, or task and mode: `gsm8k`, `gsm8k.facts_forbidden`.
        ending (`str`): `RESULTS`, `ITEMS` or `EXCLUDED_ITEMS`.
    """
    return folder / f"{name}{ending}"


@dataclass(frozen=True)
class StagePaths:
    """The two folders of a training stage of one run.

    Attributes:
        work: its checkpoints and its metrics while it runs.
        final: its result, which exists only once the stage is complete.
    """

    work: Path
    final: Path


def stage_paths(recipe: Recipe) -> dict[str, StagePaths]:
    """Return the folders of a run's own training stages by name, in training order, as `Recipe.model_folders`."""
    run = recipe.run_dir
    return {name: StagePaths(run / "checkpoints" / name, run / final) for name, final in recipe.model_folders.items()}


def start_folder(recipe: Recipe) -> Path | None:
    """Return the folder of another condition's model with which a run starts; `None` if it starts with its own."""
    start = recipe.start_from
    return None if start is None else recipe.run_dir_of(start.condition) / start.model


def made_by(model: str) -> str:
    """Return the script that makes a model's folder: `scripts/run_sft.py` for `sft_final`."""
    return f"scripts/run_{model.partition('_')[0]}.py"


def verifier_paths(recipe: Recipe) -> StagePaths:
    """Return the folders of a run's verifier, which is no stage of the run: no other one follows it."""
    return StagePaths(recipe.run_dir / "checkpoints" / VERIFIER, recipe.run_dir / VERIFIER_FINAL)


def sample_paths(recipe: Recipe, part: str, room: str = VERIFIER) -> StagePaths:
    """Return the folders of sampled solutions: unfinished, and complete.

    Args:
        recipe (`Recipe`): the run.
        part (`str`): `problems` for the training problems, or a task.
        room (`str`, *optional*): the folder of the run in which they lie, by default the verifier's.
    """
    folder = recipe.run_dir / room / f"{part}_samples"
    return StagePaths(folder.with_name(f"{folder.name}.work"), folder)


def checkpoint_folder(work: Path, step: int) -> Path:
    """Return the folder of the checkpoint that the Trainer writes after an optimizer step."""
    return work / f"checkpoint-{step}"


def weights_folder(work: Path, step: int) -> Path:
    """Return the folder of the model after an optimizer step that is kept when its checkpoint is removed."""
    return work / f"weights-{step}"


def shown_name(folder: Path) -> str:
    """Return condition and seed of a folder to be shown, such as `baseline, seed 0`; its path if it has neither."""
    parts = [part for part in folder.resolve().parts if part.startswith(("exp_", "seed_"))]
    return ", ".join(part.removeprefix("exp_").replace("seed_", "seed ") for part in parts) or str(folder)
