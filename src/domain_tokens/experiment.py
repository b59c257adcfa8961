"""The whole experiment: every stage of every condition and seed, each in a process of its own, then the comparison."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.corpora.sources import describe
from domain_tokens.evaluation.modes import check_tasks, tasks_sha256
from domain_tokens.recipe import Recipe, RecipeError, Source, load_recipe, to_yaml
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import MANIFEST, RUN_CONFIG
from domain_tokens.tokenization.intervention import load_intervention

logger = logging.getLogger(__name__)

STAGE_MODULES = (
    "domain_tokens.corpora.prepare",
    "domain_tokens.training.pretrain",
    "domain_tokens.training.sft",
    "domain_tokens.training.grpo",
    "domain_tokens.evaluation.evaluate",
    "domain_tokens.evaluation.checkpoints",
    "domain_tokens.evaluation.models.lighteval_adapter",
)
"""What the stages import, themselves and by way of their libraries: all that is slow about starting one."""

_SCRIPTS = Path(__file__).parents[2] / "scripts"

# Blocks of logits come and go in every step. glibc hands such blocks back to the kernel each time and gets them anew,
# page by page; kept instead, two CPU cores train 1.6 times (pretraining) to 3 times (SFT) as fast.
_KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30)}


_EVALUATE = ("run_eval.py", "eval_checkpoints.py")  # the scripts that run the recipe's tasks


@dataclass(frozen=True)
class Step:
    """One stage of one run: the script that does it, the folder that it leaves, and the data sets that it reads."""

    script: str
    recipe: Recipe
    arguments: tuple[str, ...]
    distributed: bool
    folder: Path
    sources: tuple[Source, ...]

    def is_complete(self) -> bool:
        """Return whether the folder was finished from this recipe, intervention, weights, and files of data and tasks.

        Anything else is left to the stage itself, which skips, goes on, or refuses and says why.
        """
        tokenizer = self.recipe.tokenizer_dir / MANIFEST
        intervention = load_intervention(Path(self.recipe.tokenizer)).as_json()
        if not tokenizer.is_file() or read_json(tokenizer)["inputs"] != {"intervention": intervention}:
            return False
        folder = self.folder
        if not (folder / MANIFEST).is_file() or (folder / RUN_CONFIG).read_text(encoding="utf-8") != to_yaml(
            self.recipe
        ):
            return False
        inputs = read_json(folder / MANIFEST)["inputs"]
        weights = {name: _weights(self.recipe.run_dir / name) for name in inputs.get("weights", {})}
        sources = [describe(source) for source in self.sources]
        tasks = tasks_sha256(self.recipe) if self.script in _EVALUATE else {}
        recorded = (inputs.get("weights", {}), inputs.get("sources", []), inputs.get("tasks", {}))
        return recorded == (weights, sources, tasks)


def run_experiment(
    recipes: list[Path], overlays: list[Path], seeds: list[int], overrides: list[str], config_file: Path | None
) -> None:
    """Run all stages, then compare each condition with the first.

    Args:
        recipes (`list[Path]`): one recipe a condition, the reference first.
        overlays (`list[Path]`): overlays of every recipe.
        seeds (`list[int]`): the seeds of the runs.
        overrides (`list[str]`): dotted overrides of every recipe.
        config_file (`Path`, *optional*): accelerate's configuration.

    Raises:
        RecipeError: if a recipe or the set of recipes is wrong.
        SystemExit: if a stage fails, with its exit code.
    """
    if config_file is not None and not config_file.is_file():
        raise RecipeError(f"{config_file}: no such file; expected one of accelerate_configs/")
    shared = [*map(str, overlays), *overrides]
    loaded = [load_recipe([str(recipe), *shared]) for recipe in recipes]
    conditions = [recipe.condition for recipe in loaded]
    if len(set(conditions)) < len(conditions):
        raise RecipeError(
            f"the recipes name a condition twice: {', '.join(conditions)}; expected one recipe a condition"
        )
    if len({recipe.experiment_dir for recipe in loaded}) > 1:
        raise RecipeError("the recipes name different experiments or output folders; the conditions of one share both")
    for recipe in loaded:
        check_tasks(recipe)
    started = time.monotonic()
    steps = [step for seed in seeds for recipe in recipes for step in _steps([str(recipe), *shared, f"seed={seed}"])]
    for number, step in enumerate(steps, start=1):
        name = step.script.removesuffix(".py")
        title = f"[{number}/{len(steps)}] {name}: {step.recipe.condition}, seed {step.recipe.seed}"
        if step.is_complete():
            logger.info("%s: complete, skipped", title)
            continue
        logger.info(title)
        _launch(step, config_file)
    if len(loaded) > 1:
        compare = [sys.executable, str(_SCRIPTS / "compare.py"), *(str(recipe.condition_dir) for recipe in loaded)]
        _run([*compare, *(["--prereg", loaded[0].prereg] if loaded[0].prereg else [])])
    logger.info("%d stages in %.1f minutes", len(steps), (time.monotonic() - started) / 60)


def _steps(arguments: list[str]) -> Iterator[Step]:
    recipe = load_recipe(arguments)
    given, run = tuple(arguments), recipe.run_dir
    sft_sources = [source for stage in recipe.sft_stages for source in stage.sources]
    evaluated = tuple(recipe.evaluation.data.values())
    yield Step("prepare_data.py", recipe, given, False, recipe.corpus_dir, tuple(recipe.corpus.sources))
    yield Step("run_pretrain.py", recipe, given, True, run / "pretrain_final", ())
    yield Step("run_sft.py", recipe, given, True, run / "sft_final", tuple(sft_sources))
    yield Step("run_grpo.py", recipe, given, True, run / "grpo_final", tuple(recipe.grpo_prompts))
    yield Step("run_eval.py", recipe, given, False, run / "eval", evaluated)
    yield Step("eval_checkpoints.py", recipe, given, False, run / "eval" / "checkpoints", evaluated)


def _weights(folder: Path) -> str | None:
    return read_json(folder / MANIFEST)["reported"]["weights_sha256"] if (folder / MANIFEST).is_file() else None


def _launch(step: Step, config_file: Path | None) -> None:
    command = [sys.executable]
    if step.distributed:
        command += ["-m", "accelerate.commands.launch", "--quiet"]
        command += ["--config_file", str(config_file)] if config_file else []
    _run([*command, str(_SCRIPTS / step.script), *step.arguments])


def _run(command: list[str]) -> None:
    environment = os.environ | {key: os.environ.get(key, value) for key, value in _KEEP_MEMORY.items()}
    environment.setdefault("TOKENIZERS_PARALLELISM", "false")
    # A session of its own: an interrupt reaches this process alone, which then ends the stage and all that it started.
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            _end(process)
    if code != 0:
        sys.stderr.write(
            f"failed with exit code {code}: {' '.join(command)}\nWhat is complete stays; run again to go on.\n"
        )
        sys.exit(code if 0 < code < 126 else 1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    # What a stage has completed stays, and its checkpoints are written so that a cut in between does no harm.
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
