"""Documents and shards are made whatever the folder is called and whatever its file system can do."""

import errno
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from tiny import tiny_arguments

from domain_tokens.corpora.pipeline.folders import LocalFolder
from domain_tokens.corpora.pipeline.texts import work_of
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.shards import Shards
from domain_tokens.recipe import Recipe, RecipeError, load_recipe


def recipe_of(folder: Path, data: Path, *overrides: str) -> Recipe:
    source = f"corpus.sources=[{{name: mine, kind: file, path: '{data}'}}]"
    return load_recipe(
        tiny_arguments(
            folder, "mul_tokens", source, "corpus.num_shards=2", "corpus.validation_fraction=0.2",
            "pretrain.max_steps=1", "base_vocabulary={kind: trained, num_ids: 1467}", *overrides,
        )
    )  # fmt: skip


def write(path: Path, number: int) -> None:
    path.write_text("".join(json.dumps({"text": f"document {n}: 6*9 = 54"}) + "\n" for n in range(number)))


@pytest.fixture
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


@pytest.mark.usefixtures("in_root")
def test_a_folder_with_signs_in_its_name_on_a_file_system_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Path] = []

    def link(source: Path, target: Path) -> None:
        refused.append(source)
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    write(tmp_path / "data [1].jsonl", 60)
    recipe = recipe_of(tmp_path / "set [v1] * a::b", tmp_path / "data [1].jsonl")
    prepare_data(recipe)
    assert len(refused) == 4  # two shards of each split
    texts = [
        json.loads(line)["text"]
        for file in recipe.documents_dir.glob("*/*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert sorted(texts) == sorted(f"document {n}: 6*9 = 54" for n in range(60))
    shards = [Shards(recipe.corpus_dir / split) for split in ("train", "validation")]
    assert sum(len(shard.document_ends) for shard in shards) == 60
    assert all(start < stop for shard in shards for start, stop in pairwise([0, *shard.document_ends.tolist()]))
    assert not work_of(recipe.documents_dir).exists()


@pytest.mark.usefixtures("in_root")
def test_damage_far_down_is_one_message(tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", 60)
    with (tmp_path / "data.jsonl").open("a") as file:
        file.write('{"text": "cut')
    recipe = recipe_of(tmp_path / "out", tmp_path / "data.jsonl")
    with pytest.raises(RecipeError, match=r"source mine: .*data\.jsonl, line 61: not readable as json"):
        prepare_data(recipe)
    assert not recipe.documents_dir.exists()


def test_files_of_a_folder_are_found_by_pattern_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "set [v1]"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.ds", "a.ds", "a.ds.index", "deep/c.ds"):
        (folder / name).touch()
    assert LocalFolder(folder).list_files(glob_pattern="*.ds") == ["a.ds", "b.ds", "deep/c.ds"]
    assert LocalFolder(folder).list_files(glob_pattern="*.ds.index") == ["a.ds.index"]
    assert LocalFolder(folder).list_files(recursive=False) == ["a.ds", "a.ds.index", "b.ds"]
