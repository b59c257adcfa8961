"""A mixture in both conditions: the same documents, the budget used up, what is recorded, no other shard accepted."""

import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mixtures import BUDGET, SMALL_BASE, recipe_of
from tiny import CONDITIONS, ROOT, tiny_arguments

from domain_tokens.corpora.preparation.checking import check_shards
from domain_tokens.corpora.preparation.records import DATA_REPORT, DOCUMENT_IDS, SHARDS, DataReport, ShardsRecord
from domain_tokens.corpora.preparation.text import text_file
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.shards import SPLITS, PackedSequences, Shards
from domain_tokens.corpora.sizes import training_documents
from domain_tokens.corpora.sources import AGAIN
from domain_tokens.recipe import GENERATOR_VERSION, Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import read_json, sha256_file, sha256_json
from domain_tokens.runs.records import Manifest, read_record
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.rewriter import inject
from domain_tokens.training.inputs import require_corpus
from domain_tokens.training.pretrain import Pretraining, documents_read, source_bytes

FILE, EXCHANGED = "train/000_train.ds", "validation/000_validation.ds"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recipe]:
    folder, recipes = tmp_path_factory.mktemp("mixture"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for condition in CONDITIONS:
            recipes[condition] = recipe_of(folder, condition)
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
        web, _, made = record.sources
        assert (web.licence, web.path) == ("CC0", ("web.jsonl",))
        assert web.sha256 == (sha256_file(folder.parents[3] / "web.jsonl"),)
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
        rows = [json.loads(line) for file in recipe.documents_dir.glob("*/*.jsonl") for line in file.open()]
        assert by_source == Counter(row["source"] for row in rows)
        assert min(by_source.values()) > 10
        facts = record.shards[0].facts_by_id
        assert list(facts) == ([] if condition == "baseline" else list(range(1536, 1581)))
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
        assert len(lists["baseline"]) > 5
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


def test_weights_become_shares_of_bytes_and_the_report_says_which(prepared: dict[str, Recipe]) -> None:
    reports = {name: read_record(one.corpus_dir / DATA_REPORT, DataReport) for name, one in prepared.items()}
    for name, report in reports.items():
        assert report.condition == name
        shares = report.train.sources
        assert [share.weight for share in shares.values()] == [0.6, 0.2, 0.2]
        assert [share.share_of_bytes for share in shares.values()] == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
        assert sum(share.share_of_tokens for share in shares.values()) == pytest.approx(1)
        assert (shares["web"].epochs, shares["web/made"].epochs) == (1, 1)
        assert 3 < shares["book"].epochs < 20
        assert 0.99 < report.train.characters / report.train.source_bytes < 1  # some signs of two bytes
    base, mul = (reports[name].train for name in CONDITIONS)
    assert [one.source_bytes for one in base.sources.values()] == [one.source_bytes for one in mul.sources.values()]
    assert base.tokens > mul.tokens


def test_every_condition_reads_the_budget_and_not_one_token_more(prepared: dict[str, Recipe]) -> None:
    took = {}
    for condition, recipe in prepared.items():
        shards, drawn = Shards(recipe.corpus_dir / "train"), training_documents(recipe)
        assert drawn.num_tokens == BUDGET < shards.num_tokens
        assert len(PackedSequences(drawn, 8)) == BUDGET // 8
        budget = read_record(recipe.corpus_dir / DATA_REPORT, DataReport).train.budget
        ends = shards.document_ends
        assert (budget.tokens, budget.documents) == (BUDGET, int(np.sum(ends < BUDGET)) + 1)
        number = len(ends)
        assert (budget.documents_unread, budget.share_unread) == (
            number - budget.documents,
            pytest.approx(1 - budget.documents / number),
        )
        sizes = np.load(recipe.corpus_dir / "train" / "bytes.npy")
        assert sizes[: budget.documents - 1].sum() < budget.source_bytes <= sizes[: budget.documents].sum()
        # What this run's seed reads: 7 steps of 256 tokens.
        tokens, epoch = 7 * 256, len(PackedSequences(drawn, 64, 4)) * 64
        assert epoch == tokens
        read = documents_read(drawn, tokens, epoch)
        assert drawn.document_ends[read - 2] < tokens <= drawn.document_ends[read - 1]
        took[condition] = (budget.documents, budget.source_bytes, read, source_bytes(recipe, drawn, tokens, epoch))
    assert all(base < mul for base, mul in zip(took["baseline"], took["mul_tokens"], strict=True))


def test_a_document_is_held_out_once_and_its_copies_train_together(prepared: dict[str, Recipe]) -> None:
    recipe = prepared["baseline"]
    texts: dict[str, list[str]] = {}
    for split in ("train", "validation"):
        for file in (recipe.documents_dir / split).glob("*.jsonl"):
            for row in map(json.loads, file.read_text().splitlines()):
                texts.setdefault(row["text"], []).append(f"{split} {row['id']}")
    copies = [ids for ids in texts.values() if len(ids) > 1 and "/" in ids[0] and " book/" in ids[0]]
    assert copies
    for ids in copies:
        assert {one.split()[0] for one in ids} == {"train"}
        assert [one.partition(AGAIN)[2] for one in sorted(ids, key=len)][:2] == ["", "2"]


def test_a_budget_above_the_documents_is_refused(prepared: dict[str, Recipe]) -> None:
    recipe = recipe_of(prepared["baseline"].documents_dir.parents[2], "baseline", "corpus.num_tokens=1e6")
    with pytest.raises(RecipeError, match=r"corpus\.num_tokens: 1,000,000, and the documents have [\d,]+ in baseline"):
        training_documents(recipe)


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
    recipe = load_recipe(tiny_arguments(tmp_path, "mul_tokens", SMALL_BASE))
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
