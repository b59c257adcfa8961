"""The inputs of each training stage, as far as the recipe and the previous folders determine them."""

from domain_tokens.recipe import Recipe
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import INPUTS, MANIFEST, StagePaths, stage_paths
from domain_tokens.runs.records import Fields
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.training.inputs import stage_inputs


def training_stage(recipe: Recipe, name: str) -> StageFolder:
    """Return the folder of a training stage together with its inputs.

    Which examples fit is known only after a stage has read its data; that part is copied from the recorded inputs.

    Args:
        recipe (`Recipe`): the run.
        name (`str`): a name from `stage_paths`.

    Raises:
        RecipeError: if an input is missing, or the corpus was made with another tokenizer.
    """
    paths = stage_paths(recipe)[name]
    examples = {} if name == "pretrain" else _recorded_examples(paths)
    return StageFolder(name.partition("_")[0], paths.final, stage_inputs(recipe, name, examples))


def _recorded_examples(paths: StagePaths) -> Fields:
    for recorded in (paths.final / MANIFEST, paths.work / INPUTS):
        if recorded.is_file():
            found = read_json(recorded)
            return found.get("inputs", found)["examples"]
    return {}
