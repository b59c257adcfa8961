"""The output of `--dry-run`: tables in a terminal, plain text otherwise."""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from domain_tokens.corpora.sizes import BYTES_PER_ID, estimate_size, pretraining_tokens
from domain_tokens.planning.cost import is_own
from domain_tokens.planning.derived import STAGES as STAGES_OF_TRAINING
from domain_tokens.planning.derived import Derived, derive
from domain_tokens.planning.launcher import Launch
from domain_tokens.planning.preview import STAGES, StageName, Verdict, preview
from domain_tokens.planning.whole_recipe import check_recipes
from domain_tokens.recipe import Recipe, flatten, to_dict, to_yaml
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.runs.launcher import Launcher, launcher_of
from domain_tokens.runs.layout import MANIFEST, start_folder
from domain_tokens.runs.micro_batches import read_micro_batches
from domain_tokens.runs.progress import begin
from domain_tokens.runs.records import Manifest, read_record

_STYLES = {"run": "bold green", "resume": "bold cyan", "skip": "dim", "refuse": "bold red", "wait": "yellow"}

ASSUMPTIONS = """\
Assumptions: fine-tuning examples and GRPO answers have the maximum length, and GRPO questions are as long as answers.
Memory is for one process without sharding: 16 bytes per parameter plus activations and logits of a micro batch; on a
CPU the libraries add about 1 GB. Time covers training only, not data preparation or evaluation. For measured speed,
MFU and memory, see metrics.jsonl of a short run."""


def show_stage(recipe: Recipe, stage: StageName, executor: str = "local") -> int:
    """Print what one stage would do.

    Args:
        recipe (`Recipe`): the run.
        stage (`str`): the stage.
        executor (`str`, *optional*, defaults to `local`): who reads and tokenizes, of `prepare_data`.

    Returns:
        The exit code: 2 if the stage would refuse to run, else 0.
    """
    _quieten()
    launcher, num_processes = launcher_of(os.environ), _leave_launcher()
    # Only this stage has these processes; `derive` divides its steps among them.
    alone = Launch(1, Launcher(launcher.mixed_precision, launcher.compiler), None)
    check_recipes([recipe], alone, trains_here=False)
    code = _show([recipe], [stage], [], num_processes)
    if executor != "local":
        _show_jobs(recipe, executor)
    return code


def show_experiment(recipes: Sequence[Recipe], lines: Sequence[str], launch: Launch) -> int:
    """Print what a whole experiment would do.

    Args:
        recipes (`Sequence[Recipe]`): all runs, starting with the first run of the reference condition.
        lines (`Sequence[str]`): what it would say before its first step.
        launch (`Launch`): how training stages are started.

    Returns:
        The exit code: 2 if a stage would refuse to run, else 0.
    """
    _quieten()
    check_recipes(list({recipe.condition: recipe for recipe in recipes}.values()), launch, trains_here=False)
    return _show(recipes, STAGES, lines, launch.num_processes)


def _show(recipes: Sequence[Recipe], stages: Sequence[StageName], lines: Sequence[str], num_processes: int) -> int:
    begin("estimating what each stage takes, and looking at what is there")
    first, console = recipes[0], _console()
    if os.environ.pop("RANK", "0") != "0":
        console.quiet = True  # under a launcher, only one process prints
    console.print("# The resolved recipe", style="bold")
    console.print(to_yaml(first), markup=False)
    _print_differences(console, recipes)
    launched = [stage for stage in STAGES_OF_TRAINING if stage in stages] or STAGES_OF_TRAINING
    derived = derive(first, num_processes, launched)
    console.print(_derived_table(console, derived))
    for line in _micro_batches(first, launched):
        console.print(line, markup=False)
    console.print(_summary(recipes, derived), markup=False)
    console.print(f"{ASSUMPTIONS}\n", markup=False)
    for line in lines:
        console.print(line, markup=False)
    if lines:
        console.print()
    for line in _starts(recipes):
        console.print(line, markup=False)
    verdicts = preview(recipes, stages)
    console.print(_verdict_table(console, verdicts, len(recipes) > 1))
    console.print("Dry run: nothing was changed.", markup=False)
    refused = next((verdict for verdict in verdicts if verdict.action == "refuse"), None)
    if refused is None:
        return 0
    sys.stderr.write(f"error: {refused.reason}\n")
    return 2


def _show_jobs(recipe: Recipe, executor: str) -> None:
    """Print the jobs of the preparation on a cluster. Raises `RecipeError` if none could be submitted from here."""
    from domain_tokens.corpora.preparation.executors import check_cluster, cluster_jobs

    cluster, console = recipe.corpus.cluster, _console()
    table = _table(console, f"Jobs on {executor.capitalize()}; each is given its unfinished tasks")
    for heading in ("job", "tasks", "at a time", "cores a task", "memory a task", "time limit"):
        table.add_column(heading, justify="left" if heading == "job" else "right")
    for job in cluster_jobs(recipe.corpus):
        limit = cluster.time if executor == "slurm" else "none"
        table.add_row(job.name, f"{job.tasks:,}", f"{job.at_a_time:,}", "1", f"{cluster.mem_per_cpu_gb} GB", limit)
    console.print(table)
    if executor == "slurm":
        others = {"partition": cluster.partition, "qos": cluster.qos, **cluster.sbatch_args}
        options = " ".join(f"--{key}={value}" for key, value in others.items() if value)
        console.print(f"sbatch {options}; a small job for datatrove's statistics follows each", markup=False)
        check_cluster(cluster)


def _quieten() -> None:
    # The libraries warn about deprecated names when their argument classes are built.
    warnings.filterwarnings("ignore", category=FutureWarning)


def _leave_launcher() -> int:
    """Return the number of launched processes and clear the launcher's variables.

    With these variables set, the libraries' argument classes would connect the processes.
    """
    num_processes = int(os.environ.pop("WORLD_SIZE", "1"))
    for name in [name for name in os.environ if name.startswith(("ACCELERATE_", "MASTER_", "LOCAL_"))]:
        del os.environ[name]
    return num_processes


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 1000  # do not cut or wrap lines in a file
    return console


def _print_differences(console: Console, recipes: Sequence[Recipe]) -> None:
    flat = [flatten(to_dict(recipe)) for recipe in recipes]
    for other in flat[1:]:
        differing = [key for key in sorted(flat[0].keys() | other.keys()) if flat[0].get(key) != other.get(key)]
        shown = ", ".join(f"{key}={other.get(key)}" for key in differing)
        console.print(f"# The same except for {shown}", markup=False)
    if len(recipes) > 1:
        console.print()


def _starts(recipes: Sequence[Recipe]) -> Iterator[str]:
    """Yield a line for each run that starts with the model of another condition."""
    for recipe in recipes:
        if recipe.start_from is None or (folder := start_folder(recipe)) is None:
            continue
        weights = read_record(folder / MANIFEST, Manifest).weights_sha256 if (folder / MANIFEST).is_file() else None
        found = "not trained yet" if weights is None else f"weights {weights[:12]}"
        yield (
            f"{recipe.condition}, seed {recipe.seed}: {next(iter(recipe.model_folders)).replace('_', '/', 1)} starts "
            f"with {recipe.start_from.model} of {recipe.start_from.condition}: {folder} ({found})"
        )


def _derived_table(console: Console, derived: Derived) -> Table:
    table = _table(console, f"{derived.parameters:,} parameters, {derived.device.count} process(es)")
    for heading in (
        "stage",
        "steps",
        "per step",
        "micro batch",
        "accumulation",
        "tokens",
        "FLOPs",
        "memory",
        "disk",
        "time",
    ):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage in derived.stages:
        cost = stage.cost
        table.add_row(
            cost.stage,
            _whole(stage.steps),
            f"{stage.per_step:,} {stage.unit}",
            f"{stage.micro_batch:,}",
            f"{stage.accumulation:,}",
            _whole(cost.tokens),
            "unknown" if cost.tokens is None else f"{cost.flops + cost.sampling_flops:.2e}",
            _size(stage.memory_bytes),
            _size(stage.disk_bytes),
            _duration(stage.seconds),
        )
    return table


def _micro_batches(recipe: Recipe, kinds: Sequence[str]) -> Iterator[str]:
    """Yield a line for each stage whose micro batch the recipe leaves to the machine."""
    found = read_micro_batches(recipe).stages if auto_stages(recipe) else {}
    for stage in auto_stages(recipe):
        if stage.partition("_")[0] not in kinds:
            continue
        if stage in found:
            yield f"{stage}: micro batch auto: {found[stage].micro_batch} was found on {found[stage].device}"
        else:
            yield (
                f"{stage}: micro batch auto: tried on this machine when it starts; the table assumes the largest "
                "divisor of a step up to 8"
            )


def _summary(recipes: Sequence[Recipe], derived: Derived) -> str:
    recipe, num_runs, num_conditions = recipes[0], len(recipes), len({one.condition for one in recipes})
    own = [[stage for stage in derived.stages if is_own(one, stage.cost)] for one in recipes]
    size = estimate_size(recipe.corpus, recipe.base_vocabulary.kind)
    text, shards = (None, None) if size is None else (size.num_bytes, size.num_tokens * BYTES_PER_ID)
    known = [stage.disk_bytes for stage in derived.stages if stage.disk_bytes is not None]
    seconds = [stage.seconds for stage in derived.stages if stage.seconds is not None]
    complete = len(seconds) == len(derived.stages)
    of_all = sum(stage.seconds or 0.0 for stages in own for stage in stages)
    of_models = sum(stage.disk_bytes or 0.0 for stages in own for stage in stages)
    at_least = "" if complete else "at least "
    models, runs = f"models {_size(sum(known))} per run", f"all runs ({num_runs})"
    if text is not None and shards is not None:
        models += f"; {_size(text + num_conditions * shards + of_models)} for {runs}"
    total = f"{_duration(of_all)} for {runs}"
    device_hours = of_all * derived.device.count / 3600
    lines = [
        _seeds(recipes),
        f"Device: {derived.device.count} x {derived.device.name}",
        f"Disk: documents {_size(text)}, token shards {_size(shards)} per condition and none per seed, {models}",
        _epochs(recipe, None if size is None else size.num_tokens),
        f"Time: {at_least}{_duration(sum(seconds))} for one run, {total}",
    ]
    if not derived.device.name.startswith("CPU"):
        lines.append(
            f"Cost: {at_least}{device_hours:,.1f} device-hours for {runs}; scripts/estimate_cost.py adds "
            "the evaluation, and multiplies by --price"
        )
    if recipe.pretrain.get("bf16") and "assumed" in derived.device.name:
        lines.append("Note: this machine has no GPU, and bf16 requires one: training would not start here")
    return "\n".join(lines)


def _seeds(recipes: Sequence[Recipe]) -> str:
    """Return the seeds of initial weights, order and sampling, those of all runs."""
    found = [recipe.seed_of for recipe in recipes]
    values = {name: ", ".join(map(str, sorted({one[name] for one in found}))) for name in found[0]}
    return (
        f"Seeds: initial weights {values['weights']}; order of documents and examples {values['order']}; "
        f"sampling and dropout {values['sampling']}"
    )


def _epochs(recipe: Recipe, num_tokens: float | None) -> str:
    """Return how often pretraining would read the corpus, and whether the recipe allows it."""
    corpus, needed = recipe.corpus, pretraining_tokens(recipe)
    if num_tokens is None:
        plural = "s" * (corpus.epochs != 1)
        return f"Corpus: size unknown; pretraining reads {needed:,} tokens, at most {corpus.epochs:g} epoch{plural}"
    drawn = num_tokens * (1 - corpus.validation_fraction) * corpus.sample
    if corpus.num_tokens is not None:
        drawn = min(drawn, corpus.num_tokens)  # an epoch ends there
    found = f"Corpus: about {drawn:,.0f} training tokens per seed; pretraining reads {needed:,}: {needed / drawn:.2f}"
    if needed <= drawn * corpus.epochs:
        return f"{found} epochs, at most {corpus.epochs:g}"
    return f"{found} epochs, more than corpus.epochs ({corpus.epochs:g}): pretraining would be refused"


def _verdict_table(console: Console, verdicts: Sequence[Verdict], several: bool) -> Table:
    table = _table(console, "What would be done")
    for heading in (*(["run"] if several else []), "stage", "action", "folder", "why"):
        table.add_column(heading, overflow="fold")
    for verdict in verdicts:
        run = f"{verdict.recipe.condition}, seed {verdict.recipe.seed}"
        action = f"[{_STYLES[verdict.action]}]{verdict.action}[/]"
        table.add_row(*([run] if several else []), verdict.name, action, str(verdict.folder), verdict.reason)
    return table


def _table(console: Console, title: str) -> Table:
    style = box.ROUNDED if console.is_terminal else None
    return Table(title=title, title_justify="left", box=style, pad_edge=bool(style))


def _whole(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _size(num_bytes: float | None) -> str:
    if num_bytes is None:
        return "unknown"
    return f"{num_bytes / 1e9:,.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:,.1f} MB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"
