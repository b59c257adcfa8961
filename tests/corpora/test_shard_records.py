"""The shards of a corpus: what is recorded of each, and that training refuses any other."""

import gzip
import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tiny import CONDITIONS, ROOT, tiny_arguments

from domain_tokens.corpora.preparation.checking import check_shards
from domain_tokens.corpora.preparation.records import DOCUMENT_IDS, SHARDS, ShardsRecord
from domain_tokens.corpora.preparation.text import text_file
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.shards import SPLITS, Shards
from domain_tokens.recipe import GENERATOR_VERSION, Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import read_json, sha256_file, sha256_json
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import inject
from domain_tokens.training.inputs import require_corpus
from domain_tokens.training.pretrain import Pretraining

FILE, EXCHANGED = "train/000_train.ds", "validation/000_validation.ds"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recipe]:
    """Two sources, of which one's name begins with the other's, in both conditions."""
    folder = tmp_path_factory.mktemp("shards")
    rows = [{"text": f"Document {n}: 6*9 = 54, and 6 × 9 is {54 + n}."} for n in range(60)]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = (
        f"corpus.sources=[{{name: web, kind: file, path: '{folder}/mine.jsonl', licence: CC0}}, "
        "{name: web/made, kind: synthetic, what: text, max_items: 40}]"
    )
    recipes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for condition in CONDITIONS:
            overrides = (sources, "corpus.num_shards=2", "corpus.validation_fraction=0.2", "pretrain.max_steps=1")
            recipes[condition] = load_recipe(tiny_arguments(folder / "out", condition, *overrides))
            prepare_data(recipes[condition])
    return recipes


@pytest.fixture
def copied(prepared: dict[str, Recipe], tmp_path: Path) -> tuple[Path, Manifest]:
    folder = tmp_path / "corpus"
    shutil.copytree(prepared["mul_tokens"].corpus_dir, folder)
    return folder, read_record(folder / "manifest.json", Manifest)


def test_a_record_says_what_its_shard_holds(prepared: dict[str, Recipe]) -> None:
    for condition, recipe in prepared.items():
        folder = recipe.corpus_dir
        record = read_record(folder / SHARDS, ShardsRecord)
        assert [shard.file for shard in record.shards] == [FILE, EXCHANGED]
        certificate = read_json(recipe.tokenizer_dir / "certificate.json")
        assert record.certificate_sha256 == certificate["certificate_sha256"]
        web, made = record.sources
        assert (web.licence, web.path, web.sha256) == (
            "CC0",
            ("mine.jsonl",),
            (sha256_file(folder.parents[3] / "mine.jsonl"),),
        )
        assert (made.licence, made.revision) == (None, f"generator {GENERATOR_VERSION}")
        by_source: dict[str, int] = {}
        for shard, split in zip(record.shards, SPLITS, strict=True):
            shards, statistics = Shards(folder / split), read_json(folder / f"{split}_stats.json")
            assert shard.sha256 == sha256_file(folder / shard.file)
            assert shard.bytes == (folder / shard.file).stat().st_size == 2 * shard.tokens
            assert (shard.tokens, shard.documents) == (shards.num_tokens, len(shards.document_ends))
            assert list(shard.facts_by_id.values()) == list(statistics["facts"].values())
            for source, number in shard.documents_by_source.items():
                by_source[source] = by_source.get(source, 0) + number
        assert by_source == {"web": 60, "web/made": 40}
        facts = record.shards[0].facts_by_id
        assert list(facts) == ([] if condition == "baseline" else list(range(50304, 50349)))
        assert sum(facts.values()) > 20 or condition == "baseline"


def test_both_conditions_hold_the_same_documents_in_the_same_order(prepared: dict[str, Recipe]) -> None:
    for split in SPLITS:
        lists = {}
        for condition, recipe in prepared.items():
            ids = gzip.decompress((recipe.corpus_dir / split / DOCUMENT_IDS).read_bytes()).decode().splitlines()
            reported = read_json(recipe.corpus_dir / "manifest.json")["reported"]
            assert sha256_json(ids) == reported[split]["document_order_sha256"]
            rows = [
                json.loads(line)
                for file in sorted((recipe.documents_dir / split).glob("*.jsonl"))
                for line in file.read_text().splitlines()
            ]
            texts = {row["id"]: row["text"] for row in rows}
            assert ids != [row["id"] for row in rows]  # shuffled
            # The shards hold what the list says, and not only as many documents.
            intervention = load_intervention(Path(recipe.tokenizer))
            shards, tokenizer = Shards(recipe.corpus_dir / split), load_tokenizer(recipe.tokenizer_dir)
            for document, (start, stop) in zip(ids, pairwise([0, *shards.document_ends.tolist()]), strict=True):
                expected = inject(texts[document], intervention) + "<|endoftext|>"
                assert tokenizer.decode(shards.read(start, stop).tolist()) == expected
            lists[condition] = ids
        assert len(lists["baseline"]) > 10
        assert lists["baseline"] == lists["mul_tokens"]


def test_the_text_of_a_condition_is_what_its_shards_say(
    prepared: dict[str, Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    written = {}
    for condition, recipe in prepared.items():
        prepare_data(recipe, with_text=True)
        tokenizer = load_tokenizer(recipe.tokenizer_dir)
        for split in SPLITS:
            path = text_file(recipe, split)
            assert str(path).endswith(f"exp_{condition}/text_0/{split}_{condition}.txt")
            written[condition, split] = path.read_text()
            shards = Shards(recipe.corpus_dir / split)
            ends = pairwise([0, *shards.document_ends.tolist()])
            decoded = [tokenizer.decode(shards.read(*place).tolist()) for place in ends]
            ended = written[condition, split].split("<|endoftext|>\n")
            assert sorted(decoded) == sorted(f"{text}<|endoftext|>" for text in ended[:-1])
            assert ended[-1] == ""
    assert "<MUL_6_9_54>" in written["mul_tokens", "train"]
    assert "<MUL_" not in written["baseline", "train"]


def flip(folder: Path) -> None:
    data = bytearray((folder / FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / FILE).write_bytes(data)


def flip_index(folder: Path) -> None:
    data = bytearray((folder / f"{FILE}.index").read_bytes())
    data[0] ^= 1
    (folder / f"{FILE}.index").write_bytes(data)


def cut(folder: Path) -> None:
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-2])


def lose(folder: Path) -> None:
    (folder / FILE).unlink()


def add(folder: Path) -> None:
    shutil.copy(folder / FILE, folder / "train" / "001_train.ds")


def exchange(folder: Path) -> None:
    (folder / FILE).rename(folder / "kept")
    (folder / EXCHANGED).rename(folder / FILE)
    (folder / "kept").rename(folder / EXCHANGED)


def edit(folder: Path) -> None:
    (folder / SHARDS).write_text((folder / SHARDS).read_text().replace("CC0", "MIT"))


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        (flip, FILE, "damaged or changed"),
        (flip_index, f"{FILE}.index", "damaged or changed"),
        (cut, FILE, "damaged or changed"),
        (lose, FILE, "missing; the manifest lists it"),
        (add, "train/001_train.ds", "not one of this corpus's files"),
        (exchange, FILE, f"holds what belongs into {EXCHANGED}"),
        (edit, SHARDS, "damaged or changed"),
    ],
)
def test_any_other_shard_is_refused(
    change: Callable[[Path], None], name: str, message: str, copied: tuple[Path, Manifest]
) -> None:
    folder, manifest = copied
    check_shards(folder, manifest)
    change(folder)
    with pytest.raises(RecipeError) as caught:
        check_shards(folder, manifest)
    assert str(caught.value).startswith(f"{folder / name}: {message}")
    assert "run scripts/prepare_data.py again" in str(caught.value)


def test_pretraining_compares_the_shards_and_the_tokenizer(prepared: dict[str, Recipe], tmp_path: Path) -> None:
    recipe = load_recipe(tiny_arguments(tmp_path, "mul_tokens"))
    made = prepared["mul_tokens"]
    shutil.copytree(made.tokenizer_dir, recipe.tokenizer_dir)
    shutil.copytree(made.corpus_dir, recipe.corpus_dir)
    assert Pretraining(recipe).corpus.stage == "corpus"
    flip(recipe.corpus_dir)
    with pytest.raises(RecipeError, match="damaged or changed"):
        _ = Pretraining(recipe).corpus
    shutil.rmtree(recipe.corpus_dir)
    shutil.copytree(prepared["baseline"].corpus_dir, recipe.corpus_dir)
    with pytest.raises(RecipeError, match="the shards were made with another tokenizer"):
        require_corpus(recipe)
