"""One setting varied in size: how many rows a stage of fine-tuning reads, with the amount of training held equal.

With equal steps, every size takes as many updates, and a small set is read many times: what differs is how many
different rows there are, and with it how often each is seen. A set that does not divide into whole steps ends every
pass with a smaller one, so 100 rows in steps of 16 are 14.3 a step: sizes that are multiples of a step avoid it.

With equal epochs each row is seen as often at every size, and a hundredth of the rows takes a hundredth of the
updates: then the size of the set cannot be told from the amount of training. A declaration says which it holds equal.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omegaconf import MISSING

from domain_tokens.analysis.specification.curve import EQUAL_STEPS, RowsRead
from domain_tokens.experiment.sharing import changed_keys
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.micro_batch import is_packed
from domain_tokens.recipe.sections.stages import SFTStage
from domain_tokens.runs.results import Condition

EQUAL_EPOCHS = "epochs"
ALL_ROWS = "all"
_NUMBER = re.compile(r"\d{1,3}(,\d{3})+|\d+")
_ROWS = re.compile(r"sft_stages\.\d+\.(sources\.\d+\.)?max_items")


@dataclass
class VariedRows:
    """Which setting of a declaration is a number of rows.

    Attributes:
        setting: its name among the declaration's settings. Its values are numbers, such as `1,000`, or `all`.
        stage: the stage of fine-tuning that reads them.
        equal: what is equal at every size, `steps` or `epochs`.
    """

    setting: str = MISSING
    stage: str = MISSING
    equal: str = MISSING

    def check(self, where: str, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Check the values of the setting. Raises `RecipeError` naming the key.

        Args:
            where (`str`): the key of this section, with its file.
            settings (`Mapping[str, Mapping[str, str]]`): the settings of the headline and, by name, of each variation
                with those of the headline that it keeps; the headline first.
        """
        if self.equal not in (EQUAL_STEPS, EQUAL_EPOCHS):
            raise RecipeError(f"{where}.equal: expected {EQUAL_STEPS!r} or {EQUAL_EPOCHS!r}, got {self.equal!r}")
        headline, *_ = settings.values()
        if self.setting not in headline:
            raise RecipeError(
                f"{where}.setting: expected one of the headline's settings ({', '.join(headline)}), "
                f"got {self.setting!r}"
            )
        for name, values in settings.items():
            value = values[self.setting]
            if value != ALL_ROWS and not _NUMBER.fullmatch(value):
                raise RecipeError(
                    f"{where}.setting: {name} has {self.setting}: {value!r}; expected a number of rows, such as "
                    f"'1,000', or {ALL_ROWS!r}"
                )
        if len({values[self.setting] for values in settings.values()}) < 2:
            raise RecipeError(f"{where}.setting: no variation changes {self.setting!r}; expected two sizes or more")

    def check_recipes(self, name: str, value: str, recipes: Sequence[Recipe], headline: Sequence[Recipe]) -> None:
        """Check that recipes read the rows that their name says, and are trained as the headline is.

        Args:
            name (`str`): the variation.
            value (`str`): its value of the setting.
            recipes (`Sequence[Recipe]`): its conditions.
            headline (`Sequence[Recipe]`): the headline's.

        Raises:
            RecipeError: with the variation and the key.
        """
        made = {recipe.condition: recipe for recipe in headline}
        for recipe in recipes:
            where = f"{name}, {recipe.condition}: sft_stages.{self.stage}"
            stage = self._stage(recipe, name)
            self._check_number(where, value, stage)
            self._check_amount(where, recipe, stage)
            if recipe.condition in made:
                other = [key for key in changed_keys(made[recipe.condition], recipe) if not _ROWS.fullmatch(key)]
                if other:
                    raise RecipeError(
                        f"{name}, {recipe.condition}: {other[0]}: differs from the headline's too; expected that a "
                        f"variation of {self.setting!r} changes max_items of {self.stage!r} alone"
                    )

    def _stage(self, recipe: Recipe, name: str) -> SFTStage:
        stages = {one.name: one for one in recipe.sft_stages}
        if self.stage not in stages:
            raise RecipeError(
                f"{name}, {recipe.condition}: no stage of fine-tuning {self.stage!r}; expected rows.stage to be one "
                f"of {', '.join(stages) or 'none: the recipe has none'}"
            )
        return stages[self.stage]

    def _check_number(self, where: str, value: str, stage: SFTStage) -> None:
        rows = _rows(stage)
        if value != ALL_ROWS and rows != int(value.replace(",", "")):
            raise RecipeError(
                f"{where}: max_items: expected {value}, as {self.setting!r} says, got "
                f"{'none, so all rows are read' if rows is None else f'{rows:,}'}"
            )

    def _check_amount(self, where: str, recipe: Recipe, stage: SFTStage) -> None:
        arguments = recipe.sft | stage.args
        steps = int(arguments.get("max_steps", -1))
        if self.equal == EQUAL_EPOCHS:
            if steps > 0:
                raise RecipeError(f"{where}: max_steps: expected none with equal: {EQUAL_EPOCHS}, got {steps}")
            return
        if steps <= 0:
            raise RecipeError(f"{where}: max_steps: missing; with equal: {EQUAL_STEPS}, the headline says how many")
        if (rows := _rows(stage)) is None or is_packed(arguments):
            return
        if (read := steps * recipe.examples_per_step(stage)) < rows:
            raise RecipeError(
                f"{where}: max_steps: {steps:,} steps read {read:,} examples, fewer than the {rows:,} rows; expected "
                "enough that every row is read"
            )

    def read(self, condition: Condition) -> RowsRead:
        """Return what the stage read by the manifests of a condition's first run.

        Raises:
            RecipeError: if they do not say it.
        """
        run = next(iter(condition.seeds.values()))
        for one in (*run.earlier.values(), *run.stages.values()):
            entry = next((entry for entry in one.manifest.ledger if entry.stage == f"sft/{self.stage}"), None)
            rows = _examples(one.manifest.matched.get("stages"), self.stage)
            if entry is not None and rows is not None:
                return RowsRead(rows=rows, steps=entry.steps, examples=entry.examples)
        raise RecipeError(
            f"{run.folder}: no manifest says how many rows the stage {self.stage!r} read; run the stage again with "
            "this version"
        )


def _rows(stage: SFTStage) -> int | None:
    """Return how many rows a stage asks for; `None` if a source is read whole."""
    numbers = [source.max_items for source in stage.portions]
    return None if None in numbers else sum(number or 0 for number in numbers)


def _examples(stages: object, name: str) -> int | None:
    if isinstance(stages, list):
        for stage in stages:
            if isinstance(stage, dict) and stage.get("name") == name and isinstance(stage.get("examples"), int):
                return int(stage["examples"])
    return None
