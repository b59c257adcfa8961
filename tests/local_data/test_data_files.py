"""Which files a path names: a name before a pattern, no hidden file, and whatever cannot be read in one message."""

import hashlib
import os
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from tiny import ROOT

from domain_tokens.local_data.files import find_files
from domain_tokens.local_data.splits import check_splits
from domain_tokens.recipe import RecipeError


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"text": "{len(name)} {path}"}}\n')


def found(folder: Path, *paths: str) -> list[str]:
    return [str(file.relative_to(folder)) for file in find_files([str(folder / path) for path in paths])]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("train[0].jsonl", "train0.jsonl"),
        ("train?.jsonl", "train0.jsonl"),
        ("*.jsonl", "a.jsonl"),
        ("set [v1]/a.jsonl", "set v/a.jsonl"),
        ("**/a.jsonl", "x/a.jsonl"),
    ],
)
def test_a_name_that_exists_is_no_pattern(name: str, other: str, tmp_path: Path) -> None:
    make(tmp_path, other)
    matched = len(found(tmp_path, name)) if name != "set [v1]/a.jsonl" else 0
    make(tmp_path, name)
    assert matched in (0, 1)
    assert found(tmp_path, name) == [name]


@pytest.mark.parametrize(
    ("pattern", "expected"), [("data[1]/*.jsonl", "data[1]/a.jsonl"), ("s [v1]/*", "s [v1]/b.jsonl")]
)
def test_the_folder_of_a_pattern_is_a_name_where_it_exists(pattern: str, expected: str, tmp_path: Path) -> None:
    make(tmp_path, "data1/other.jsonl", "s v/other.jsonl")
    make(tmp_path, expected)
    assert found(tmp_path, pattern) == [expected]


def test_a_folder_with_names_like_patterns_is_listed_once(tmp_path: Path) -> None:
    names = ["train1.jsonl", "train[1].jsonl", "[v1] x/a*.parquet"]
    make(tmp_path, *names)
    assert sorted(found(tmp_path, ".")) == sorted(names)


def test_a_pattern_matches_where_nothing_has_its_name(tmp_path: Path) -> None:
    make(tmp_path, "b.jsonl", "a.jsonl", ".hidden.jsonl", "c/d.jsonl", ".git/e.jsonl")
    assert found(tmp_path, "*.jsonl") == ["a.jsonl", "b.jsonl"]
    assert found(tmp_path, "**/*.jsonl") == ["a.jsonl", "b.jsonl", "c/d.jsonl"]
    assert found(tmp_path, "[b].jsonl") == ["b.jsonl"]


def test_hidden_files_are_passed_over_unless_named(tmp_path: Path) -> None:
    hidden = [
        "._a.jsonl", ".ipynb_checkpoints/a-checkpoint.jsonl", ".cache/a.jsonl", "__MACOSX/a.jsonl", "a.jsonl~",
        "deep/.hidden/a.json", ".gitattributes",
    ]  # fmt: skip
    make(tmp_path, "a.jsonl", "deep/b.JSONL", "README.md", "LICENSE", "deep/Thumbs.db", *hidden)
    assert found(tmp_path, ".") == ["a.jsonl", "deep/b.JSONL"]
    assert found(tmp_path, ".cache", "._a.jsonl") == [".cache/a.jsonl", "._a.jsonl"]


@pytest.mark.parametrize("path", [".", "*"])
def test_files_that_are_not_read_are_named_together(path: str, tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl", "b.csv", "c.jsonl.gz", "d.arrow")
    with pytest.raises(RecipeError, match="expected a file of kind") as caught:
        found(tmp_path, path)
    assert all(f"{tmp_path}/{name}" in str(caught.value) for name in ("b.csv", "c.jsonl.gz", "d.arrow"))
    assert "a.jsonl," not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("data-00000-of-00001.arrow", "write it with to_parquet of datasets"),
        ("b.csv", "convert it, .*orient='records', lines=True"),
        ("a.jsonl.gz", "unpack it"),
        ("a.txt.ZST", "unpack it"),
        ("a.ndjson", r"rename it to \.jsonl"),
        ("a.jsonlines", r"rename it to \.jsonl"),
        ("a.JL", r"rename it to \.jsonl"),
        ("a.odt", "convert it,"),
    ],
)
def test_how_a_file_can_be_read_is_said(name: str, todo: str, tmp_path: Path) -> None:
    make(tmp_path, "dataset_info.json", name)
    for path in (".", name):
        with pytest.raises(RecipeError, match=f"{name}: expected a file of kind .*; {todo}"):
            found(tmp_path, path)


def test_of_many_files_that_are_not_read_a_few_are_named(tmp_path: Path) -> None:
    make(tmp_path, *(f"{number:02}.csv" for number in range(30)))
    with pytest.raises(RecipeError, match=r"04\.csv and 25 more: expected"):
        found(tmp_path, ".")


def test_links_are_followed_once_and_broken_ones_named(tmp_path: Path) -> None:
    make(tmp_path, "data/a.jsonl", "elsewhere/b.jsonl")
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "data")
    assert found(tmp_path, "data") == ["data/a.jsonl", "data/linked/b.jsonl"]
    (tmp_path / "data/c.jsonl").symlink_to(tmp_path / "gone.jsonl")
    for path in ("data", "data/c.jsonl"):
        with pytest.raises(RecipeError, match=r"data/c\.jsonl: no file, or a link"):
            found(tmp_path, path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl")
    (tmp_path / os.fsdecode(b"caf\xe9.jsonl")).write_text("{}\n")
    assert found(tmp_path, "a*.jsonl") == ["a.jsonl"]
    for path in (".", "*", os.fsdecode(b"caf\xe9.jsonl")):
        with pytest.raises(RecipeError, match=r"caf\\udce9\.jsonl': its name is not UTF-8, and could not be recorded"):
            found(tmp_path, path)


def test_files_without_permission_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.jsonl", "b.jsonl", "c.jsonl")
    monkeypatch.setattr(os, "access", lambda path, mode: path.name == "b.jsonl")  # root may read all
    with pytest.raises(RecipeError, match=r"/a\.jsonl, .*/c\.jsonl: not readable by this user"):
        found(tmp_path, ".")


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl/part.parquet")
    assert found(tmp_path, ".") == found(tmp_path, "a.jsonl") == ["a.jsonl/part.parquet"]


@pytest.mark.parametrize("paths", [("a.jsonl", "a.jsonl"), (".", "a.jsonl"), ("*.jsonl", "?.jsonl")])
def test_a_file_that_is_named_twice_is_refused(paths: tuple[str, str], tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl")
    assert found(tmp_path, paths[0]) == found(tmp_path, paths[1]) == ["a.jsonl"]
    with pytest.raises(RecipeError, match=r"a\.jsonl: named twice"):
        found(tmp_path, *paths)


@pytest.mark.parametrize("path", ["n/**", "n*", "n/*", "n/**/*", "**", "n"])
def test_a_file_that_one_path_reaches_in_several_ways_is_listed_once(path: str, tmp_path: Path) -> None:
    make(tmp_path, "n/a.jsonl", "n/m/b.jsonl", "n/z.jsonl")
    (tmp_path / "n/latest.jsonl").symlink_to("z.jsonl")
    (tmp_path / "n/linked").symlink_to("m")
    assert {file.resolve() for file in (tmp_path / "n").rglob("*.jsonl")} >= {tmp_path / "n/m/b.jsonl"}
    read = found(tmp_path, path)
    assert len(read) == 3
    assert {(tmp_path / file).resolve().name for file in read} == {"a.jsonl", "b.jsonl", "z.jsonl"}


def test_the_first_way_to_a_file_is_its_place(tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl", "b.jsonl", "c.jsonl")
    (tmp_path / "0.jsonl").symlink_to("c.jsonl")
    assert found(tmp_path, "*.jsonl") == ["0.jsonl", "a.jsonl", "b.jsonl"]


@pytest.mark.parametrize("path", ["**", "*", "n/**", "."])
def test_a_pattern_passes_over_what_a_folder_does(path: str, tmp_path: Path) -> None:
    make(tmp_path, "n/a.jsonl", "n/__MACOSX/a.jsonl", "n/README.md", "n/dataset_infos.json", "n/LICENSE.txt")
    assert found(tmp_path, path) == ["n/a.jsonl"]
    assert found(tmp_path, "n/__MACOSX/*", "n/dataset_infos.json") == ["n/__MACOSX/a.jsonl", "n/dataset_infos.json"]
    assert found(tmp_path, "*/__MACOSX/*.jsonl") == ["n/__MACOSX/a.jsonl"]


@pytest.mark.parametrize("path", ["nothing.jsonl", "*.jsonl", "[0].jsonl", "empty"])
def test_a_path_that_names_nothing_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="no (data )?file"):
        found(tmp_path, path)


def test_what_only_describes_the_data_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "README.txt", "sub/LICENSE.txt", "lost+found/b.txt", "readme_first.txt")
    assert found(tmp_path, ".") == ["a.txt", "readme_first.txt"]
    assert found(tmp_path, "README.txt") == ["README.txt"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl.txt", "a.jsonl"), ("a.json.TXT", "a.json"), ("a.csv.txt", "a.csv"), ("a.parquet.txt", "a.parquet"),
        ("a.jsonl.txt.txt", "a.jsonl"), ("v1.0.ndjson.txt", "v1.0.ndjson"),
    ],
)  # fmt: skip
def test_data_that_is_called_a_text_is_refused(name: str, data: str, tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "v1.0.txt", "c.txt.txt")
    assert len(found(tmp_path, ".")) == 3
    make(tmp_path, name)
    for path in (".", name):
        with pytest.raises(RecipeError, match=rf"{name}: the kind of the file .*; rename it to {data}$"):
            found(tmp_path, path)


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE-CC.txt", "README_zh.txt", "readme.zh.txt", "SHA256SUMS.txt", "checksum.txt", "robots.txt",
        "LICENSE-CC-BY-4.0.txt", "state.json", "metadata.json", "~$train.jsonl", "THUMBS.DB", "Desktop.ini",
        "a.jsonl.bak", "a.tmp",
    ],
)  # fmt: skip
def test_what_is_never_data_is_passed_over(name: str, tmp_path: Path) -> None:
    make(tmp_path, "a.jsonl", "license to kill.txt", "notice of sale.txt", "robots and men.txt", name)
    assert len(list(tmp_path.iterdir())) == 5
    assert found(tmp_path, ".") == ["a.jsonl", "license to kill.txt", "notice of sale.txt", "robots and men.txt"]


@pytest.mark.parametrize("name", ["train (1).jsonl", "train - Copy.jsonl", "old/train.jsonl"])
@pytest.mark.parametrize("linked", [False, True])
def test_copies_are_named_together(name: str, linked: bool, tmp_path: Path) -> None:
    make(tmp_path, "train.jsonl", name)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text((tmp_path / "train.jsonl").read_text().swapcase())
    assert len(found(tmp_path, ".")) == 2  # of one size
    (tmp_path / name).unlink()
    if linked:
        (tmp_path / name).hardlink_to(tmp_path / "train.jsonl")
    else:
        (tmp_path / name).write_bytes((tmp_path / "train.jsonl").read_bytes())
    with pytest.raises(RecipeError, match=r"train.*\.jsonl and .*\.jsonl: the same content, byte for byte") as caught:
        found(tmp_path, ".")
    assert all(f"{tmp_path / one}" in str(caught.value) for one in ("train.jsonl", name))


def test_files_without_rows_are_no_copies(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.txt"):
        (tmp_path / name).write_text("")
    for name in ("d.txt", "e.txt"):
        (tmp_path / name).write_text(" \n")
    for name in ("0.parquet", "1.parquet"):
        parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / name)
    assert len(found(tmp_path, ".")) == 7


def test_a_file_is_read_to_its_end_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: hashed.append(file.name) or digest(file, kind))
    for name, end in (("a.txt", "1"), ("b.txt", "2"), ("c.txt", "long")):
        (tmp_path / name).write_text("x" * 100_000 + end)
    for _ in range(2):
        assert len(found(tmp_path, ".")) == 3
    assert hashed == [tmp_path / "a.txt", tmp_path / "b.txt"] or hashed == [f"{tmp_path}/a.txt", f"{tmp_path}/b.txt"]


@pytest.mark.parametrize(
    "names",
    [
        ("train.jsonl", "test.jsonl"), ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("train.jsonl", "validation.jsonl"), ("gsm8k_train_v2.jsonl", "gsm8k_dev.jsonl"),
        ("Train/a.jsonl", "test/a.jsonl"),
        ("test-0.jsonl", "test-1.jsonl"), ("train (1).json", "test (1).json"),
        ("other.json", "x.train.json", "eval.json"),
    ],
)  # fmt: skip
def test_a_folder_with_several_splits_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    make(tmp_path, *names)
    for path in (tmp_path, tmp_path / "**/*"):
        assert len(find_files([str(path)])) == len(names)
        with pytest.raises(RecipeError, match="; name the file of the split that trains"):
            check_splits([str(path)])
    for name in names:
        check_splits([str(tmp_path / name)])


@pytest.mark.parametrize(
    "names",
    [
        ("train-0.jsonl", "train-1.jsonl"), ("a.jsonl", "train.jsonl"), ("latest.jsonl", "contest.jsonl"),
        ("driving test.txt", "how to train.txt"), ("validation.jsonl",), ("test.jsonl", "mine.jsonl"),
    ],
)  # fmt: skip
def test_a_folder_of_one_split_may_train(names: tuple[str, ...], tmp_path: Path) -> None:
    make(tmp_path, *names)
    check_splits([str(tmp_path)])


def test_what_a_pattern_spells_out_is_the_persons_word(tmp_path: Path) -> None:
    make(tmp_path, "test-0.jsonl", "test-1.jsonl", "train-0.jsonl")
    check_splits([str(tmp_path / "test-*.jsonl")])
    check_splits([str(tmp_path / "train*")])


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("data/gsm8k_renumbered/renumbered_train.jsonl", "renumber_gsm8k.py writes gsm8k_renumbered,"),
        ("data/gsm8k_renumbered_few/renumbered_train.jsonl", "renumber_gsm8k.py writes gsm8k_renumbered_few,"),
        ("data/tinygsm_prose", "convert_tinygsm.py writes tinygsm_prose,"),
    ],
)
def test_what_a_script_makes_is_said_with_the_script(path: str, script: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"no file .*{path}; expected a file.*; scripts/{script}"):
        find_files([str(tmp_path / path)])
    assert (ROOT / "scripts" / script.split()[0]).is_file()
    with pytest.raises(RecipeError, match="or a pattern$"):
        find_files([str(tmp_path / "data/other")])
