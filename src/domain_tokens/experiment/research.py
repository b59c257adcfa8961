"""The experiments whose tables are in the research notes: run again, and the tables written again, by one command."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from domain_tokens.analysis.report.markdown import excerpt
from domain_tokens.experiment.run import Experiment, Options, run_experiment
from domain_tokens.experiment.tasks import Display
from domain_tokens.recipe import RecipeError, load_recipe
from domain_tokens.recipe.loading import load_section
from domain_tokens.recipe.values.types import EXPANDED
from domain_tokens.runs.files import write_text


@dataclass
class ResearchExperiment:
    """One experiment, as `scripts/run_experiment.py` takes it.

    Attributes:
        recipes: one per condition, the reference first.
        overlays: applied to every recipe.
        overrides: dotted overrides for every recipe; the experiment's name among them.
        seeds: the seeds of the runs.
        config_file: the accelerate configuration.
    """

    recipes: list[str] = field(default_factory=list, metadata=EXPANDED)
    overlays: list[str] = field(default_factory=list, metadata=EXPANDED)
    overrides: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    config_file: str | None = field(default=None, metadata=EXPANDED)

    def experiment(self) -> Experiment:
        """Return what the runner takes."""
        return Experiment(list(map(Path, self.recipes)), list(map(Path, self.overlays)), self.seeds, self.overrides)


@dataclass
class Research:
    """A page of notes and its experiments.

    Attributes:
        page: the Markdown file. The table of an experiment stands between `<!-- experiment NAME -->` and
            `<!-- end of NAME -->`.
        experiments: by name.
    """

    page: str = field(default=MISSING, metadata=EXPANDED)
    experiments: dict[str, ResearchExperiment] = field(default_factory=dict)


def load_research(path: Path, names: list[str]) -> Research:
    """Read the experiments of a page and check that the page has a place for each.

    Args:
        path (`Path`): for example `recipes/research.yaml`.
        names (`list[str]`): only these; all if empty.

    Raises:
        RecipeError: if an experiment is unknown, or the page does not exist or has no place for one.
    """
    research = load_section(Research, path)
    if unknown := sorted(set(names) - set(research.experiments)):
        raise RecipeError(f"{path}: no experiment {unknown[0]!r}; expected one of {', '.join(research.experiments)}")
    if not Path(research.page).is_file():
        raise RecipeError(f"{path}: page: {research.page}: no such file")
    text = Path(research.page).read_text(encoding="utf-8")
    for name in names or research.experiments:
        replace_table(text, name, "", research.page)
    if names:
        research.experiments = {name: research.experiments[name] for name in names}
    return research


def update_tables(research: Research, jobs: int | None, display: Display | None) -> list[Path]:
    """Run the experiments, as far as they are not complete, and write their tables into the page.

    Args:
        research (`Research`): what to run.
        jobs (`int`, *optional*): how many runs to do at a time.
        display (`Display`, *optional*): shows progress; if not given, nothing is run and existing results are read.

    Returns:
        The experiments' folders.

    Raises:
        RecipeError: if a recipe is invalid or an experiment has no results.
        TaskFailed: if a stage fails.
    """
    folders = []
    for name, one in research.experiments.items():
        experiment = one.experiment()
        if display is None:
            folder = load_recipe(experiment.arguments()[0]).experiment_dir
        else:
            config_file = None if one.config_file is None else Path(one.config_file)
            folder = run_experiment(experiment, Options(config_file, jobs=jobs), display)
        page = Path(research.page)
        write_text(page, replace_table(page.read_text(encoding="utf-8"), name, excerpt(folder), research.page))
        folders.append(folder)
    return folders


def replace_table(text: str, name: str, table: str, where: str) -> str:
    """Return a page with the table of one experiment replaced.

    Raises:
        RecipeError: if the page does not have exactly one place for it.
    """
    begin, end = f"<!-- experiment {name} -->", f"<!-- end of {name} -->"
    block = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(block.findall(text)) != 1:
        raise RecipeError(f"{where}: expected the lines {begin!r} and {end!r} once, with the table between them")
    return block.sub(lambda _: f"{begin}\n\n{table}\n\n{end}", text)
