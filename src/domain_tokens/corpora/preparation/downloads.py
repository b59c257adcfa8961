"""What data a recipe needs, and copies of what is on the Hub."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from domain_tokens.corpora.hub import commit_of, files_on_hub, licence_on_hub
from domain_tokens.corpora.sources import local_files
from domain_tokens.recipe import Recipe, RecipeError, Source


@dataclass(frozen=True)
class Need:
    """A data set that a recipe reads.

    Attributes:
        source: the source, as the recipe has it.
        keys: where in the recipe it is, such as `corpus.sources.0`; several read the same data.
    """

    source: Source
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Offer:
    """What is to be had of a data set.

    Attributes:
        files: their sizes, by path.
        licence: the recipe's, or the one on the data set's card.
        place: the folder of the copy; `None` for what is on this machine already.
    """

    files: dict[str, int]
    licence: str | None
    place: Path | None

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(self.files.values())


def needs(recipe: Recipe) -> list[Need]:
    """Return the data sets that a recipe reads, each once, in this order; generated data is none."""
    found: dict[tuple[str, ...], Need] = {}
    for key, source in _sources(recipe):
        if source.kind != "synthetic":
            what = tuple(map(str, (source.kind, source.path, source.config, source.split, source.revision)))
            found.setdefault(what, Need(source)).keys.append(key)
    return list(found.values())


def offer(source: Source, folder: Path) -> Offer:
    """Return what is to be had of a data set, and where its copy belongs in a folder of data.

    Raises:
        RecipeError: if files are missing here, or the Hub does not have them or does not answer.
    """
    if source.kind == "file":
        return Offer({str(path): path.stat().st_size for path in local_files(source)}, source.licence, None)
    place = folder / str(source.path) / commit_of(source)[:12]
    return Offer(files_on_hub(source), source.licence or licence_on_hub(source), place)


def download(source: Source, found: Offer) -> None:
    """Copy the files of a data set on the Hub; those that are there already are left, and a part is continued.

    Raises:
        RecipeError: if one cannot be copied.
    """
    from huggingface_hub import hf_hub_download

    for name in found.files:
        try:
            hf_hub_download(
                str(source.path), name, repo_type="dataset", revision=commit_of(source), local_dir=found.place
            )
        except Exception as error:  # the network's libraries each raise kinds of their own
            why = " ".join(str(error).split())[:300]
            raise RecipeError(f"source {source.name}: {name}: {why}; run the same command again to go on") from error


def _sources(recipe: Recipe) -> Iterator[tuple[str, Source]]:
    for number, source in enumerate(recipe.corpus.sources):
        yield f"corpus.sources.{number}", source
    for place, stage in enumerate(recipe.sft_stages):
        for number, source in enumerate(stage.sources):
            yield f"sft_stages.{place}.sources.{number}", source
    for number, source in enumerate(recipe.grpo_prompts):
        yield f"grpo_prompts.{number}", source
    for name, source in recipe.evaluation.data.items():
        yield f"evaluation.data.{name}", source
