"""Checks the whole recipe of every condition before the first stage of the first one.

What a stage would refuse and does not depend on an earlier stage is tried here. The libraries read their sections,
optimizers and schedules take a step with a tiny model, the model is built without weights, interventions are read, and
the conditions are compared as the preflight of the second one would compare them.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from accelerate.utils import DynamoBackend
from transformers import GenerationConfig, TrainingArguments
from transformers.utils import is_liger_kernel_available
from trl import GRPOConfig

from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.placebo.savings import load_matched
from domain_tokens.corpora.sources import local_files
from domain_tokens.corpora.synthetic import PROMPTS
from domain_tokens.evaluation.models.devices import check_compiler, check_device, choose_device
from domain_tokens.planning.example_lengths import ExampleLengths
from domain_tokens.planning.launcher import Launch
from domain_tokens.recipe import (
    Recipe,
    RecipeError,
    Source,
    Trainers,
    accumulations,
    check_fit,
    check_num_prompts,
    check_save_steps,
    first_line,
    flatten,
    parse_trainers,
)
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.checks import check_among, check_seed
from domain_tokens.recipe.micro_batch import is_auto, section_of, with_numbers
from domain_tokens.recipe.values.effective import effective_section
from domain_tokens.runs.launcher import check_launcher
from domain_tokens.runs.layout import stage_paths
from domain_tokens.runs.micro_batches import found_micro_batches
from domain_tokens.runs.progress import begin
from domain_tokens.tokenization.facts import IdRanges
from domain_tokens.tokenization.intervention import load_canonical_table, load_intervention
from domain_tokens.training.callbacks.trackers import check_trackers
from domain_tokens.training.model import new_model
from domain_tokens.training.optimizers import check_optimizer
from domain_tokens.training.post_training.chat_data import answer_check, check_share, check_training_data
from domain_tokens.training.stage import requested, trainer_settings

_MAX_IDS = 2**16  # shards hold ids of 16 bits
_MAX_BYTES_READ = 200_000_000
_SAMPLE = 200  # of generated examples, whose lengths are much alike


@dataclass(frozen=True)
class Checked:
    """A recipe whose parts are known to fit.

    Attributes:
        recipe: the recipe.
        trainers: its parsed trainer sections.
        vocabulary_size: the number of ids of its tokenizer.
    """

    recipe: Recipe
    trainers: Trainers
    vocabulary_size: int

    def stages(self) -> dict[str, tuple[str, TrainingArguments]]:
        """Return the key of the trainer section of each stage, and its parsed arguments."""
        fine_tuning = {f"sft {name}": (f"sft_stages.{name}.args", one) for name, one in self.trainers.sft.items()}
        grpo = {} if self.trainers.grpo is None else {"grpo": ("grpo", self.trainers.grpo)}
        return {"pretrain": ("pretrain", self.trainers.pretrain), **fine_tuning, **grpo}


@dataclass(frozen=True)
class Limits:
    """What is asked of a source's examples.

    Attributes:
        max_length: the most tokens that one may take.
        is_counted: whether all are encoded, to know how many fit: 30,000 take seconds, on a busy machine a minute.
    """

    max_length: int
    is_counted: bool


def check_recipes(recipes: Sequence[Recipe], launch: Launch, trains_here: bool) -> None:
    """Check recipes, each by itself and those of one experiment together.

    Args:
        recipes (`Sequence[Recipe]`): one per condition, of one experiment or several.
        launch (`Launch`): how training stages are started.
        trains_here (`bool`): whether training follows on this machine, which must then have a GPU for 16 bits.

    Raises:
        RecipeError: naming the condition, the key and what was expected.
    """
    _check_auto_in_all(recipes)
    checked = []
    for recipe in recipes:
        begin(f"checking the settings of {recipe.condition}")
        try:
            checked.append(check_recipe(recipe, launch, trains_here))
        except RecipeError as error:
            if len(recipes) == 1:
                raise
            raise RecipeError(f"{recipe.condition}: {error}") from error
    check_training_data(*recipes)
    _read_training_files(checked)
    for first, second in itertools.combinations(checked, 2):
        if first.recipe.experiment_dir == second.recipe.experiment_dir:
            _check_comparable(first, second)


def _check_auto_in_all(recipes: Sequence[Recipe]) -> None:
    """Check that the micro batch is found for all conditions of an experiment, or given in all of them."""
    first = {recipe.experiment_dir: recipe for recipe in reversed(recipes)}
    for recipe in recipes:
        other = first[recipe.experiment_dir]
        for stage in stage_paths(recipe).keys() & stage_paths(other).keys():
            ours, theirs = section_of(recipe, stage), section_of(other, stage)
            if is_auto(ours) != is_auto(theirs):
                raise RecipeError(
                    f"{stage}: {MICRO_BATCH}: {theirs.get(MICRO_BATCH)} in {other.condition} and "
                    f"{ours.get(MICRO_BATCH)} in {recipe.condition}; expected auto in all conditions of an "
                    "experiment, or one number"
                )


def check_recipe(recipe: Recipe, launch: Launch, trains_here: bool) -> Checked:
    """Check one recipe; arguments and errors as for `check_recipes`."""
    vocabulary_size = _vocabulary_size(recipe)
    recipe = with_numbers(recipe, found_micro_batches(recipe), launch.num_processes)
    trainers = parse_trainers(recipe)
    check_fit(recipe, trainers)
    _build_model(recipe, vocabulary_size)
    checked = Checked(recipe, trainers, vocabulary_size)
    last = recipe.seed_of["sampling"] + launch.num_processes - 1  # TRL seeds each process with the next
    which = "seed + seed_offset" if recipe.seeds.sampling is None else "seeds.sampling"
    check_seed(f"{which} + the processes of the launcher", last)
    steps = accumulations(recipe, launch.num_processes)
    for stage, (section, arguments) in checked.stages().items():
        values = _values(recipe, stage)
        if trains_here:
            check_device(choose_device("training", launch.num_processes), section, values)
        check_launcher(launch.launcher, requested(section, arguments, steps[stage], values))
        check_optimizer(section, arguments)
        check_trackers(section, arguments)
        _try_extras(section, arguments)
    if trainers.grpo is not None:
        own = "steps_per_generation" in recipe.grpo
        check_save_steps(trainers.grpo, steps["grpo"] if own else accumulations(recipe, 1)["grpo"])
        _try_generation(trainers.grpo)
        _check_prompts(recipe, trainers.grpo, launch.num_processes)
    return checked


def _values(recipe: Recipe, stage: str) -> dict[str, object]:
    args = next((one.args for one in recipe.sft_stages if stage == f"sft {one.name}"), None)
    if args is not None:
        return {**recipe.sft, **args}
    return {**(recipe.pretrain if stage == "pretrain" else recipe.grpo)}


def _check_prompts(recipe: Recipe, grpo: GRPOConfig, num_processes: int) -> None:
    sizes = [source.max_items for source in recipe.grpo_prompts]
    completions = recipe.budget.grpo_completions_per_step
    if "generation_batch_size" in recipe.grpo:
        completions = int(grpo.generation_batch_size)
    elif "steps_per_generation" in recipe.grpo:
        completions = grpo.per_device_train_batch_size * grpo.steps_per_generation * num_processes
    if None not in sizes:
        check_num_prompts(recipe, sum(size for size in sizes if size is not None), completions)


def _vocabulary_size(recipe: Recipe) -> int:
    """Read all interventions that a recipe names, and return the number of ids of its tokenizer."""
    intervention = load_intervention(Path(recipe.tokenizer))
    load_matched(recipe)
    load_canonical_table(recipe)
    size = IdRanges(recipe.base_vocabulary.num_ids).total(intervention.num_ids)
    if size > _MAX_IDS:
        raise RecipeError(
            f"{recipe.tokenizer}: num_ids: with base_vocabulary.num_ids={recipe.base_vocabulary.num_ids} the "
            f"tokenizer would have {size} ids; expected at most {_MAX_IDS}, which 16 bits can hold"
        )
    return size


def _build_model(recipe: Recipe, vocabulary_size: int) -> None:
    """Build the model without its weights."""
    try:
        with torch.device("meta"):
            new_model(recipe, vocabulary_size)
    except RecipeError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RecipeError(f"model: transformers cannot build it: {first_line(error)}") from error


def _try_extras(section: str, arguments: TrainingArguments) -> None:
    """Check what only an installed library, or only a running trainer, knows."""
    if arguments.save_strategy == "best":
        raise RecipeError(f"{section}.save_strategy: a stage is judged by its last step; expected steps, epoch or no")
    if arguments.use_liger_kernel and not is_liger_kernel_available():
        raise RecipeError(f"{section}.use_liger_kernel: liger-kernel is not installed; install it, or remove the key")
    if arguments.torch_compile:
        known = [backend.lower() for backend in DynamoBackend.list()]
        check_among(f"{section}.torch_compile_backend", str(arguments.torch_compile_backend).lower(), known)
        check_compiler(section, arguments.to_dict(), compiles_here=False)


def _try_generation(grpo: GRPOConfig) -> None:
    """Build the configuration with which GRPO samples its answers."""
    more = dict(grpo.generation_kwargs or {})
    sampling = {
        key: getattr(grpo, key)
        for key in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "cache_implementation")
    }
    try:
        GenerationConfig(max_new_tokens=grpo.max_completion_length, do_sample=True, **{**sampling, **more})
    except (TypeError, ValueError) as error:
        raise RecipeError(f"grpo: {first_line(error)}") from error


def _read_training_files(checked: Sequence[Checked]) -> None:
    """Read the local examples of fine-tuning and GRPO, so that a bad row is not found after pretraining.

    Of generated examples, a sample is made. A source of more than `_MAX_BYTES_READ` is left to its stage.
    """
    read: dict[str, int] = {}  # examples by what was read
    for one in checked:
        recipe, lengths = one.recipe, ExampleLengths(one.recipe)
        for stage in recipe.sft_stages:
            where = f"sft_stages.{stage.name}"
            max_length = one.trainers.sft[stage.name].max_length or 0
            limits = Limits(max_length, is_counted=stage.validation_items > 0)
            for source in stage.portions:
                _read(source, recipe, where, limits, lengths, read)
            if not limits.is_counted:
                continue
            counts = [read.get(_key(source, limits)) for source in stage.portions if source.kind == "file"]
            total = sum(number for number in counts if number is not None)
            if None not in counts and len(counts) == len(stage.portions) and stage.validation_items >= total:
                raise RecipeError(
                    f"{where}.validation_items: expected fewer than the {total} examples, got {stage.validation_items}"
                )
        longest_answer = 0 if one.trainers.grpo is None else one.trainers.grpo.max_completion_length or 0
        most = int(recipe.model.get("n_positions", 1024)) - longest_answer
        for source in recipe.grpo_prompts:
            _read(source, recipe, "grpo_prompts", Limits(most, is_counted=False), lengths, read)


def _read(
    source: Source, recipe: Recipe, stage: str, limits: Limits, lengths: ExampleLengths, read: dict[str, int]
) -> None:
    """Read a source that is not on the Hub, if it has not been read, and check that one of its examples fits."""
    key = _key(source, limits)
    if source.kind == "hub" or key in read:
        return
    if source.kind == "file" and sum(path.stat().st_size for path in local_files(source)) > _MAX_BYTES_READ:
        return
    # All rows of a file, because every seed draws others; of generated examples, some.
    limit = None if source.kind == "file" else min(source.max_items or 1, _SAMPLE)
    prompts_alone = stage == "grpo_prompts"
    split, check = PROMPTS if prompts_alone else "train", answer_check(source, prompts_alone)
    where, unusable = f"{stage}.{source.name}", Counter[str]()
    begin(f"reading the examples of {source.name}")
    examples = read_examples(replace(source, max_items=limit), recipe.data_seed, split, where, check, unusable)
    if source.kind == "file":
        check_share(where, source, len(examples) + unusable.total())
    lengths.check(f"{stage}: source {source.name}", examples, limits.max_length, prompts_alone)
    number = source.max_items or len(examples)
    # With a limit, the seed decides which are drawn, and how many of them fit.
    if limits.is_counted and source.kind == "file" and source.max_items is None:
        number = lengths.num_fitting(examples, limits.max_length)
    read[key] = min(len(examples), number)


def _key(source: Source, limits: Limits) -> str:
    return f"{limits} {source}"


def _check_comparable(first: Checked, second: Checked) -> None:
    """Check that two conditions agree in what the preflight of the later one will compare.

    Conditions with vocabularies of different sizes are not compared, nor are settings that a run declares.
    """
    if first.vocabulary_size != second.vocabulary_size:
        return
    ours, theirs = (dict(_shared(one)) for one in (first, second))
    for key in dict.fromkeys((*ours, *theirs)):
        if ours.get(key) != theirs.get(key):
            names = first.recipe.condition, second.recipe.condition
            raise RecipeError(
                f"{key}: {ours.get(key)!r} in {names[0]} and {theirs.get(key)!r} in {names[1]}; conditions of one "
                "experiment differ in their tokenizers and in what they declare, so the preflight would refuse the "
                "second; use the same value, or another experiment name"
            )


def _shared(checked: Checked) -> Iterator[tuple[str, object]]:
    """Yield what conditions share, by key."""
    recipe = checked.recipe
    for stage, (_, arguments) in checked.stages().items():
        yield from flatten(trainer_settings(arguments), stage.replace(" ", ".")).items()
    yield from effective_section(recipe.model, "model").items()
    yield from flatten(asdict(recipe.variant), "variant").items()
    corpus = {**asdict(recipe.corpus), "num_workers": None, "encoder": None, "sources": None}
    values: dict[str, object] = {
        "base_vocabulary": asdict(recipe.base_vocabulary),
        "corpus": {**corpus, "sources": _sources(recipe.corpus.sources)},
        "budget": {**asdict(recipe.budget), "equal_to": None},
        "sft_stages": [
            {"name": one.name, "sources": _sources(one.portions), "validation_items": one.validation_items}
            for one in recipe.sft_stages
        ],
        "grpo_prompts": _sources(recipe.grpo_prompts),
        "rewards": asdict(recipe.rewards),
        "canonical_table": load_canonical_table(recipe).as_json(),
    }
    yield from flatten(values).items()


def _sources(sources: Sequence[Source]) -> list[dict[str, object]]:
    """Return sources without the paths of files, whose content is compared when it is read."""
    return [{**asdict(one), "path": None if one.kind == "file" else one.path} for one in sources]
