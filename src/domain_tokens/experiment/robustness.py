"""One contrast under declared variations: runs what is missing, and writes the specification curve.

The headline is an experiment of its own, with a declaration that names the variations. Each variation is an experiment
beside it, without a declaration. Stages that a variation does not change are those of the headline (`sharing`).
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import IO

from omegaconf import MISSING

from domain_tokens.analysis.measures.answers.exchanged import floors_at
from domain_tokens.analysis.measures.answers.facts_stated import facts_at
from domain_tokens.analysis.preregistration import Preregistration, read_preregistration
from domain_tokens.analysis.results_model import Results
from domain_tokens.analysis.specification.curve import (
    RowsAxis,
    Specification,
    SpecificationCurve,
    assemble_curve,
    judge,
    only_seeds,
)
from domain_tokens.experiment.designs.rows import VariedRows
from domain_tokens.experiment.lines import Lines
from domain_tokens.experiment.research import replace_table
from domain_tokens.experiment.run import (
    SEVERAL_EXPERIMENTS,
    Experiment,
    Options,
    check_together,
    run_experiment,
    running_stages,
    tasks_of,
)
from domain_tokens.experiment.sharing import (
    STAGES,
    first_own_stage,
    link_documents,
    link_stages,
    shares_documents,
)
from domain_tokens.experiment.steps import Step, steps_of
from domain_tokens.experiment.tasks import Display, Event, Noted, Task, run_tasks
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.recipe.arguments import MICRO_BATCH
from domain_tokens.recipe.checks import check_seeds
from domain_tokens.recipe.loading import load_section
from domain_tokens.recipe.micro_batch import auto_stages
from domain_tokens.recipe.values.overrides import layered
from domain_tokens.recipe.values.types import EXPANDED
from domain_tokens.runs.files import lock, write_json, write_text
from domain_tokens.runs.layout import LOCK, LOGS
from domain_tokens.runs.results import Pair, load_condition

HEADLINE = "headline"
BLOCK = "robustness"
"""The name of the curve's files, and of its place in a page if the declaration names no other."""
_BUDGETS = "budgets"
_USE = "use"

_RESULTS = "results.json"


@dataclass
class Variation:
    """What differs from the headline. The first and the last of its recipes are compared.

    Attributes:
        words: what differs, in words.
        settings: the names and values of what differs, for the rows of the curve's matrix.
        recipes: one per condition, the reference first; the headline's if not given.
        overlays, overrides: applied to every recipe, after the headline's.
    """

    words: str = MISSING
    settings: dict[str, str] = field(default_factory=dict)
    recipes: list[str] = field(default_factory=list, metadata=EXPANDED)
    overlays: list[str] = field(default_factory=list, metadata=EXPANDED)
    overrides: list[str] = field(default_factory=list)


@dataclass
class Robustness:
    """The contrast, its settings and its variations.

    Attributes:
        output_dir: holds an experiment for the headline and for each variation, and the curve.
        page: the Markdown file with a place for the curve (`research.replace_table`).
        figure: where the page's figure is written; that of the budget curves gets `_budgets` behind its name,
            and that of use by number of rows `_use`.
        block: the name of the curve's place in the page.
        recipes, overlays, overrides, seeds: of the headline, as `scripts/run_experiment.py` takes them.
        config_file: the accelerate configuration.
        settings: the headline's value of every setting that a variation changes.
        variations: by name, the most important first.
        rows: which setting is a number of rows of fine-tuning, if one is: accuracy and use of facts are drawn over it.
    """

    output_dir: str = field(default=MISSING, metadata=EXPANDED)
    page: str = field(default=MISSING, metadata=EXPANDED)
    figure: str = field(default=MISSING, metadata=EXPANDED)
    block: str = BLOCK
    recipes: list[str] = field(default_factory=list, metadata=EXPANDED)
    overlays: list[str] = field(default_factory=list, metadata=EXPANDED)
    overrides: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    config_file: str | None = field(default=None, metadata=EXPANDED)
    settings: dict[str, str] = field(default_factory=dict)
    variations: dict[str, Variation] = field(default_factory=dict)
    rows: VariedRows | None = None

    def experiment(self, name: str) -> Experiment:
        """Return the experiment of the headline or of a variation; that of a variation declares nothing."""
        own = [f"output_dir={self.output_dir}", f"experiment={name}"]
        one = Variation()
        if name != HEADLINE:
            one = self.variations[name]
            own.append("prereg=null")
        recipes, overlays = one.recipes or self.recipes, [*self.overlays, *one.overlays]
        overrides = layered(self.overrides, one.overrides, own)
        return Experiment(list(map(Path, recipes)), list(map(Path, overlays)), self.seeds, overrides)

    def check(self, where: str) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the file and the key."""
        if len(self.recipes) < 2:
            raise RecipeError(f"{where}: recipes: expected two conditions, the reference first, got {self.recipes}")
        check_seeds(f"{where}: seeds", self.seeds)
        for name, one in self.variations.items():
            if name == HEADLINE:
                raise RecipeError(f"{where}: variations.{name}: the headline's name; expected another")
            if unknown := sorted(one.settings.keys() - self.settings.keys()):
                raise RecipeError(
                    f"{where}: variations.{name}.settings: {unknown[0]!r} is not among the headline's settings "
                    f"({', '.join(self.settings)}); add it there"
                )
            if not one.settings or one.settings.items() <= self.settings.items():
                raise RecipeError(f"{where}: variations.{name}.settings: expected a value that is not the headline's")
        if self.rows is not None:
            self.rows.check(f"{where}: rows", {name: self.settings_of(name) for name in (HEADLINE, *self.variations)})

    def settings_of(self, name: str) -> dict[str, str]:
        """Return the value of every setting in the headline or in a variation."""
        return self.settings | (self.variations[name].settings if name in self.variations else {})


@dataclass(frozen=True)
class Planned:
    """A variation with its recipes, resolved.

    Attributes:
        name: of the variation; `HEADLINE` for the headline.
        arguments: the recipe arguments of each condition, without a seed.
        recipes: the conditions.
        first: for each condition, the index in `STAGES` of the first stage that it does not share with the headline.
    """

    name: str
    arguments: list[list[str]]
    recipes: list[Recipe]
    first: list[int]

    def runs(self, seeds: Sequence[int]) -> list[list[Step]]:
        """Return the stages of each run whose condition differs from the headline's. Learning curves are not read."""
        own = [one for one, first in zip(self.arguments, self.first, strict=True) if first < len(STAGES)]
        return [
            [step for step in steps_of([*one, f"seed={seed}"]) if step.stage in STAGES]
            for seed in seeds
            for one in own
        ]

    def describe(self, num_seeds: int) -> Iterator[str]:
        """Yield for each condition a line that says which stages it shares with the headline and which it runs."""
        for recipe, first in zip(self.recipes, self.first, strict=True):
            # A recipe without prompts for GRPO has no such stage.
            has = [stage != "grpo" or bool(recipe.grpo_prompts) for stage in STAGES]
            own = ", ".join(compress(STAGES[first:], has[first:]))
            shared = f"; shared: {', '.join(compress(STAGES[:first], has))}" if first else ""
            yield f"{recipe.condition}: {f'{own} of {num_seeds} seeds{shared}' if own else 'the runs of the headline'}"


def load_robustness(path: Path, seeds: Sequence[int] = ()) -> Robustness:
    """Read the declaration of the variations.

    Args:
        path (`Path`): for example `recipes/robustness.yaml`.
        seeds (`Sequence[int]`, *optional*): in place of the declared ones.

    Raises:
        RecipeError: with the file, the key and what was expected.
    """
    robustness = load_section(Robustness, path)
    robustness.seeds = list(seeds or robustness.seeds)
    robustness.check(str(path))
    return robustness


def plan(robustness: Robustness, names: Sequence[str]) -> list[Planned]:
    """Return the headline and the named variations, or all of them, with their recipes.

    Raises:
        RecipeError: if a name is unknown or a recipe is invalid.
    """
    if unknown := [name for name in names if name not in robustness.variations]:
        raise RecipeError(f"no variation {unknown[0]!r}; expected one of {', '.join(robustness.variations)}")
    headline = _planned(robustness, HEADLINE, {})
    made = {recipe.condition: recipe for recipe in headline.recipes}
    chosen = [name for name in robustness.variations if not names or name in names]
    planned = [headline, *(_planned(robustness, name, made) for name in chosen)]
    if (rows := robustness.rows) is not None:
        for one in planned:
            values = robustness.settings_of(one.name)
            if all(values[name] == value for name, value in robustness.settings.items() if name != rows.setting):
                rows.check_recipes(one.name, values[rows.setting], one.recipes, headline.recipes)
    return planned


def run_robustness(robustness: Robustness, plans: Sequence[Planned], options: Options, display: Display) -> None:
    """Run the headline, then every variation in order; what is complete is skipped.

    Args:
        robustness (`Robustness`): the declaration.
        plans (`Sequence[Planned]`): the headline first, as `plan` returns them.
        options (`Options`): how to run the stages.
        display: receives the events.

    Raises:
        RecipeError: if a recipe is invalid.
        TaskFailed: if a stage fails.
    """
    logs = Path(robustness.output_dir) / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    lock(logs / LOCK)
    run_experiment(robustness.experiment(HEADLINE), options, display)
    headline, *variations = plans
    for one in variations:
        _link(headline, one, robustness.seeds)
    missing = [one for one in variations if not _is_complete(one, robustness.seeds)]
    if not missing:
        return
    runs = {one.name: one.runs(robustness.seeds) for one in missing}
    with (logs / f"{BLOCK}.log").open("a", encoding="utf-8", buffering=1) as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(sys.argv)}\n")
        lines = Lines(lambda line: log.write(f"{time.strftime('%H:%M:%S')} {line}\n"))

        def show(event: Event) -> None:
            lines(event)
            display(event)

        _run_variations(robustness, headline, missing, runs, options, log, show)


def _run_variations(
    robustness: Robustness,
    headline: Planned,
    variations: Sequence[Planned],
    runs: dict[str, list[list[Step]]],
    options: Options,
    log: IO[str],
    show: Display,
) -> None:
    """Run variations one after the other in one warm process, each with as many jobs as the cores allow."""
    arguments = [one for variation in variations for one in variation.arguments]
    # The headline's runs come first: the number of threads is what its finished stages used.
    every = [*headline.runs(robustness.seeds), *(run for one in variations for run in runs[one.name])]
    total = sum(len(run) for one in variations for run in runs[one.name])
    with running_stages(arguments, every, options, log, show, total) as (starter, jobs):
        for number, one in enumerate(variations, start=1):
            words = robustness.variations[one.name].words
            show(Noted(f"variation {number} of {len(variations)}: {one.name} ({words})"))
            run_tasks(_tasks(one, runs[one.name]), starter, jobs, show)


def _tasks(one: Planned, runs: list[list[Step]]) -> list[Task]:
    logs = one.recipes[0].experiment_dir / LOGS
    logs.mkdir(parents=True, exist_ok=True)
    lock(logs / LOCK)
    return [replace(task, name=f"{one.name}: {task.name}") for task in tasks_of(runs, None, logs)]


def _planned(robustness: Robustness, name: str, made: Mapping[str, Recipe]) -> Planned:
    arguments = robustness.experiment(name).arguments()
    recipes = [load_recipe(one) for one in arguments]
    check_together(recipes)
    if stages := auto_stages(recipes[0]):
        raise RecipeError(f"{stages[0]}: {MICRO_BATCH}: auto: {SEVERAL_EXPERIMENTS}")
    return Planned(name, arguments, recipes, [first_own_stage(made.get(one.condition), one) for one in recipes])


def _link(headline: Planned, one: Planned, seeds: Sequence[int]) -> None:
    """Link what a variation shares with the headline, which must be complete."""
    made = {recipe.condition: recipe for recipe in headline.recipes}
    if all(shares_documents(headline.recipes[0], recipe) for recipe in one.recipes):
        link_documents(headline.recipes[0], one.recipes[0])
    for recipe, first in zip(one.recipes, one.first, strict=True):
        if recipe.condition in made:
            link_stages(made[recipe.condition], recipe, first, seeds)


def read_curve(robustness: Robustness, plans: Sequence[Planned]) -> SpecificationCurve:
    """Return the curve of everything that is complete.

    Args:
        robustness (`Robustness`): the declaration.
        plans (`Sequence[Planned]`): the headline and all variations.

    Raises:
        RecipeError: if the headline has no results.
    """
    headline, *variations = plans
    folder = headline.recipes[0].experiment_dir
    if len(headline.recipes) > 2:  # each pair has a folder then
        folder /= f"{headline.recipes[0].condition}_{headline.recipes[-1].condition}"
    report = folder / _RESULTS
    if not report.is_file():
        raise RecipeError(f"{report}: no such file; run the headline first: scripts/run_robustness.py")
    verdict = Results.model_validate_json(report.read_text(encoding="utf-8")).verdict.sentence
    declared = read_preregistration(_pairs(headline, robustness.seeds)[-1])
    found, not_run = [_specification(robustness, headline, declared)], []
    for one in variations:
        if _is_complete(one, robustness.seeds):
            found.append(_specification(robustness, one, declared))
        else:
            not_run.append(one.name)
    rows = robustness.rows
    axis = None if rows is None else RowsAxis(setting=rows.setting, stage=rows.stage, equal=rows.equal)
    return assemble_curve(found, HEADLINE, verdict, not_run).model_copy(update={"rows_axis": axis})


def write_curve(robustness: Robustness, curve: SpecificationCurve, with_page: bool) -> list[Path]:
    """Write the curve as JSON, Markdown and pictures, and into the page if asked to.

    Returns:
        The files.

    Raises:
        RecipeError: if the page has no place for it.
    """
    from domain_tokens.analysis.report.plots import render  # matplotlib takes half a second to import
    from domain_tokens.analysis.specification.budget_curves import draw_budgets
    from domain_tokens.analysis.specification.figure import draw_curve
    from domain_tokens.analysis.specification.page import curve_to_markdown
    from domain_tokens.analysis.specification.use_by_rows import draw_use

    folder = Path(robustness.output_dir)
    further = {_BUDGETS: draw_budgets(curve), _USE: draw_use(curve)}
    images = render(draw_curve(curve) | {name: figure for name, figure in further.items() if figure is not None})
    files = [folder / f"{BLOCK}.{ending}" for ending in ("json", "md")]
    images_named = [f"{name}.png" for name in (BLOCK, _BUDGETS, _USE)]
    write_json(files[0], curve.model_dump(mode="json"))
    write_text(files[1], f"# Robustness\n\n{curve_to_markdown(curve, *images_named)}\n")
    for name, image in images.items():
        files.append(folder / name)
        files[-1].write_bytes(image)
    if with_page:
        files += _write_page(robustness, curve, images)
    return files


def _write_page(robustness: Robustness, curve: SpecificationCurve, images: Mapping[str, bytes]) -> list[Path]:
    from domain_tokens.analysis.specification.page import curve_to_markdown

    page, figure = Path(robustness.page), Path(robustness.figure)
    figures = {BLOCK: figure} | {name: figure.with_stem(f"{figure.stem}_{name}") for name in (_BUDGETS, _USE)}
    block = curve_to_markdown(curve, *(os.path.relpath(one, page.parent) for one in figures.values()))
    text = replace_table(page.read_text(encoding="utf-8"), robustness.block, block, robustness.page)
    figure.parent.mkdir(parents=True, exist_ok=True)
    drawn = {path: images[f"{name}.png"] for name, path in figures.items() if f"{name}.png" in images}
    for path, image in drawn.items():
        path.write_bytes(image)
    write_text(page, text)
    return [page, *drawn]


def check_page(robustness: Robustness) -> None:
    """Check before any work that the page has a place for the curve. Raises `RecipeError` if not."""
    page = Path(robustness.page)
    if not page.is_file():
        raise RecipeError(f"page: {page}: no such file; expected a Markdown file with a place for the curve")
    replace_table(page.read_text(encoding="utf-8"), robustness.block, "", robustness.page)


def _is_complete(one: Planned, seeds: Sequence[int]) -> bool:
    """Return whether all conditions have been evaluated with this recipe."""
    for first, own, arguments in zip(one.first, one.recipes, one.arguments, strict=True):
        if first == len(STAGES):
            continue  # the headline's own
        for recipe in _of_seeds(own, arguments, seeds):
            if not Step("run_eval.py", recipe, (), False).is_complete():
                return False
    return True


def _of_seeds(recipe: Recipe, arguments: Sequence[str], seeds: Sequence[int]) -> list[Recipe]:
    """Return a recipe for each seed. If nothing but the seed differs in the last one, the others are not read."""
    if load_recipe([*arguments, f"seed={seeds[-1]}"]) == replace(recipe, seed=seeds[-1]):
        return [replace(recipe, seed=seed) for seed in seeds]
    return [load_recipe([*arguments, f"seed={seed}"]) for seed in seeds]


def _pairs(one: Planned, seeds: Sequence[int]) -> list[Pair]:
    """Return the reference with each other condition; the last is the one that is compared."""
    reference, *others = (only_seeds(load_condition(recipe.condition_dir), seeds) for recipe in one.recipes)
    return [Pair(reference, other) for other in others]


def _specification(robustness: Robustness, one: Planned, declared: Preregistration) -> Specification:
    pairs = _pairs(one, robustness.seeds)
    judged = {pair.other.name: judge(pair, declared) for pair in pairs}
    pair = pairs[-1]
    row, outcome = judged[pair.other.name]
    values = {pair.reference.name: tuple(seed.reference for seed in row.by_seed)}
    values |= {name: tuple(seed.other for seed in other.by_seed) for name, (other, _) in judged.items()}
    conditions = (pair.reference, *(other.other for other in pairs))
    floors = {one.name: found for one in conditions if (found := floors_at(one, row.endpoint)) is not None}
    facts = {one.name: use for one in conditions if (use := facts_at(one, row.endpoint)) is not None}
    accuracies = {pair.reference.name: row.reference} | {name: other.other for name, (other, _) in judged.items()}
    variation = robustness.variations.get(one.name, Variation(words="as declared"))
    return Specification(
        name=one.name,
        words=variation.words,
        settings=robustness.settings_of(one.name),
        reference=pair.reference.name,
        other=pair.other.name,
        outcome=outcome,
        row=row,
        values=values,
        floors=floors,
        accuracies=accuracies,
        facts=facts,
        rows_read=None if robustness.rows is None else robustness.rows.read(pair.reference),
    )
