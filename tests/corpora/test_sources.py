"""Data from files: every kind, every damage, and test sets that no stage that trains may open."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain_tokens.corpora.documents import neutralize
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.held_out import refuse_test_data
from domain_tokens.corpora.sources import read_documents, read_rows, without_annotations
from domain_tokens.recipe import RecipeError, Source, load_recipe

ROWS = [{"question": f"Q{i}?", "answer": f"6*9 = <<6*9=54>>54\n#### {i}"} for i in range(20)]


def write(path: Path, rows: list[dict]) -> Source:
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Source(name="mine", kind="file", path=str(path))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_examples_from_files(suffix: str, tmp_path: Path) -> None:
    examples = read_examples(write(tmp_path / f"data{suffix}", ROWS), 0, "train")
    assert [example.question for example in examples] == [row["question"] for row in ROWS]
    assert examples[3].answer == "6*9 = 54\n#### 3"


def test_other_columns_and_kept_annotations(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", [{"problem": "P", "solution": "<<1+1=2>>2"}])
    source.question_key, source.answer_key, source.annotations = "problem", "solution", "keep"
    assert [example.texts for example in read_examples(source, 0, "train")] == [("P", "<<1+1=2>>2")]


def test_a_folder_a_pattern_and_a_limit(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", [{"question": name, "answer": "x"}] * 3)
    for path in (tmp_path, tmp_path / "*.jsonl"):
        source = Source(name="s", kind="file", path=str(path), max_items=4)
        assert [example.question for example in read_examples(source, 0, "test")] == ["a", "a", "a", "b"]


def test_a_seed_draws_the_examples_that_train_and_none_of_a_test_set(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", [{"question": f"{i:02}", "answer": "x"} for i in range(60)])
    source.max_items = 20

    def asked(seed: int, split: str) -> list[str]:
        return [example.question for example in read_examples(source, seed, split)]

    one, other = asked(0, "train"), asked(1, "train")
    assert one == sorted(one) == asked(0, "train")
    assert len(set(one)) == len(set(other)) == 20
    assert one != other
    assert one != [f"{i:02}" for i in range(20)] == asked(0, "test") == asked(1, "test")
    source.max_items = 100
    assert asked(0, "train") == asked(1, "train") == [f"{i:02}" for i in range(60)]


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ([{"question": "q"}], "no column 'answer'"),
        ([{"question": "q", "answer": "  "}], "is empty"),
        ([{"question": "q", "answer": 5}], "expected text, got int"),
        ([{"question": "q", "answer": None}], "expected text, got NoneType"),
        ([], "no rows"),
    ],
)
def test_bad_rows_are_named(rows: list[dict], part: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=part) as caught:
        read_examples(write(tmp_path / "data.jsonl", rows), 0, "train")
    assert "mine" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("data.jsonl", b'{"text": "a"}\n{"text": "q', "line 2: not readable as json"),
        ("data.parquet", b"PAR1 nothing", "not readable as parquet"),
        ("data.csv", b"a,b", "expected a file of kind"),
        ("data.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_damaged_files_are_named(name: str, content: bytes, part: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    source = Source(name="mine", kind="file", path=str(tmp_path / name))
    with pytest.raises(RecipeError, match=part) as caught:
        list(read_documents(source, 0, 0.5, 0, 1))
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.jsonl"):
        read_examples(Source(name="mine", kind="file", path=str(tmp_path / "nowhere.jsonl")), 0, "train")


def test_text_files_become_paragraphs_or_articles(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("= One =\n\nfirst\n\n= Two =\n\nsecond\n")
    source = Source(name="text", kind="file", path=str(path))
    assert [text for _, text, _ in read_documents(source, 0, 0.1, 0, 1)] == ["= One =", "first", "= Two =", "second"]
    source.document_separator = "^= "
    assert [text for _, text, _ in read_documents(source, 0, 0.1, 0, 1)] == ["= One =\n\nfirst", "= Two =\n\nsecond"]


@pytest.mark.parametrize("kind", ["file", "synthetic"])
def test_every_document_is_read_once_however_many_tasks(kind: str, tmp_path: Path) -> None:
    rows = [{"text": f"document {i}"} for i in range(101)]
    source = write(tmp_path / "d.jsonl", rows)
    if kind == "synthetic":
        source = Source(name="synthetic", kind="synthetic", max_items=101)
    alone = list(read_documents(source, 0, 0.2, 0, 1))
    together = [document for rank in range(4) for document in read_documents(source, 0, 0.2, rank, 4)]
    assert sorted(alone) == sorted(together)
    assert len(alone) == 101
    assert 5 < sum(held_out for *_, held_out in alone) < 40


def test_a_duplicate_stands_on_one_side(tmp_path: Path) -> None:
    source = write(tmp_path / "d.jsonl", [{"text": f"document {i % 50}"} for i in range(200)])
    documents = list(read_documents(source, 0, 0.3, 0, 1))
    held, kept = ({text for _, text, held_out in documents if held_out is side} for side in (True, False))
    assert held
    assert kept
    assert not held & kept


@pytest.mark.parametrize(
    ("text", "expected", "number"),
    [
        ("a <|endoftext|> b", "a < |endoftext|> b", 1),
        ("<MUL_6_9_54><MUL_6_9_54>", "< MUL_6_9_54>< MUL_6_9_54>", 2),
        ("<MUL_x> <|end|>", "<MUL_x> <|end|>", 0),
    ],
)
def test_markers_in_data_are_broken_up(text: str, expected: str, number: int, tokenizers) -> None:
    assert neutralize(text) == (expected, number)
    for tokenizer in tokenizers.values():
        assert all(i < 50256 for i in tokenizer.encode(neutralize(text)[0]))


def test_annotations_are_stripped() -> None:
    assert without_annotations("48/2 = <<48/2=24>>24, 5*4=<<5*4=20>>20", "strip") == "48/2 = 24, 5*4=20"


def test_no_stage_that_trains_opens_a_test_set(root: Path, tmp_path: Path, gsm8k_test: Path) -> None:
    recipe = load_recipe([str(root / "recipes/mul_tokens.yaml"), str(root / "recipes/scales/demo.yaml")])
    renamed = tmp_path / "harmless.jsonl"
    shutil.copy(gsm8k_test, renamed)
    train = Source(name="t", kind="file", path=str(gsm8k_test.with_name("train.jsonl")))
    refuse_test_data(recipe, [train], "sft")
    for source in (
        Source(name="t", kind="file", path=str(renamed)),
        Source(name="t", kind="file", path=str(gsm8k_test.parent)),
        Source(name="t", kind="hub", path="openai/gsm8k", config="main", split="test"),
        Source(name="t", kind="hub", path="openai/gsm8k", config="main", split="test[:10]"),
        Source(name="t", kind="hub", path="openai/gsm8k", config="main", split="train+test"),
    ):
        with pytest.raises(RecipeError, match="must not read"):
            refuse_test_data(recipe, [source], "sft")


def test_what_the_evaluation_reads_is_refused_too(root: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "held_out.jsonl", ROWS)
    evaluation = f"evaluation.data.gsm8k={{name: mine, kind: file, path: {tmp_path}/held_out.jsonl}}"
    recipe = load_recipe([str(root / "recipes/mul_tokens.yaml"), str(root / "recipes/scales/demo.yaml"), evaluation])
    held_out = recipe.evaluation.data["gsm8k"]
    held_out.path = [held_out.path]  # several files are as good as one
    with pytest.raises(RecipeError, match=r"held_out\.jsonl is a test set"):
        refuse_test_data(recipe, [source], "grpo_prompts")


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_half_of_a_surrogate_pair_is_refused_in_every_column(suffix: str, tmp_path: Path) -> None:
    source = write(tmp_path / f"data{suffix}", [{"question": "Q \U0001f600?", "answer": "#### 1"}])
    assert read_examples(source, 0, "train")[0].question == "Q \U0001f600?"
    for row in ({"question": "Q", "answer": "\ud800 #### 1"}, {"question": "\udc00 Q", "answer": "#### 1"}):
        write(tmp_path / f"data{suffix}", [{"question": "Q", "answer": "A"}, row])
        with pytest.raises(RecipeError, match=rf"source mine: \w+: .*data\{suffix}, (line|row) 2: .* surrogate"):
            read_examples(source, 0, "train")


def test_a_value_that_is_no_text_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    rows = [{"text": f"{number} " + 2000 * "x", "unread": None} for number in range(5300)]
    source = write(tmp_path / "large.jsonl", [*rows, {"text": 7, "unread": "text"}])
    texts = []
    with pytest.raises(RecipeError, match=r"source mine: text_key: .*large\.jsonl, line 5301: .* got int"):
        texts.extend(text for _, text, _ in read_documents(source, 0, 0.5, 0, 1))
    write(tmp_path / "large.jsonl", [*rows, {"text": "last", "unread": "text"}])
    assert [text for _, text, _ in read_documents(source, 0, 0.5, 0, 1)] == [row["text"] for row in rows] + ["last"]


def test_quotes_stay_where_another_row_is_a_number(tmp_path: Path) -> None:
    source = Source(name="mine", kind="file", path=str(tmp_path))
    (tmp_path / "data.json").write_text(json.dumps([{"text": 'a\nb "q"'}, {"text": 3}]))
    documents = read_documents(source, 0, 0.5, 0, 1)
    assert next(documents)[1] == 'a\nb "q"'
    with pytest.raises(RecipeError, match=r"data\.json, row 2: column 'text': expected text, got int"):
        next(documents)


def test_a_drawn_row_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    source = write(tmp_path / "data.jsonl", [*ROWS, {"question": 5, "answer": "A"}])
    source.max_items = 6
    lines = set()
    for seed in range(12):
        if (drawn := [row.place.rpartition(" ")[2] for row in read_rows(source, seed, "train")])[-1] == "21":
            with pytest.raises(RecipeError, match=r"data\.jsonl, line 21: column 'question'"):
                read_examples(source, seed, "train")
        lines |= set(drawn)
    assert "21" in lines


def test_names_with_brackets_are_read_as_they_are_called(tmp_path: Path) -> None:
    for name in ("train[1].jsonl", "train1.jsonl", "[v1]/x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, [{"question": name, "answer": "x"}])
    read = read_examples(Source(name="s", kind="file", path=str(tmp_path)), 0, "test")
    assert sorted(example.question for example in read) == ["[v1]/x.jsonl", "train1.jsonl", "train[1].jsonl"]
    one = Source(name="s", kind="file", path=str(tmp_path / "train[1].jsonl"))
    assert [example.question for example in read_examples(one, 0, "test")] == ["train[1].jsonl"]


def test_empty_shards_are_passed_over(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([("question", pyarrow.string()), ("answer", pyarrow.string())])
    parquet.write_table(schema.empty_table(), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl").touch()
    source = Source(name="mine", kind="file", path=str(tmp_path))
    with pytest.raises(RecipeError, match="no rows"):
        read_examples(source, 0, "train")
    write(tmp_path / "c.parquet", ROWS)
    assert len(read_examples(source, 0, "train")) == len(ROWS)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_damage_behind_the_first_file_is_one_message(name: str, tmp_path: Path) -> None:
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / name, [{"text": f"{folder} {number}"} for number in range(50)])
    path = tmp_path / "2" / name
    path.write_bytes(path.read_bytes()[:-3])
    source = Source(name="mine", kind="file", path=str(tmp_path))
    texts: list[str] = []
    with pytest.raises(RecipeError, match=rf"source mine: .*2/{name}.*: not readable as") as caught:
        texts.extend(text for _, text, _ in read_documents(source, 0, 0.5, 0, 1))
    assert len(texts) >= 50
    assert "\n" not in str(caught.value)


def test_a_copy_of_a_data_set_of_the_hub_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    write(tmp_path / "train[1].jsonl", ROWS)
    source = Source(name="mine", kind="hub", path=str(tmp_path))
    for read in (lambda: read_examples(source, 0, "train"), lambda: list(read_documents(source, 0, 0.5, 0, 1))):
        with pytest.raises(RecipeError, match=r"source mine: path: .* is a folder on this machine; .*kind: file"):
            read()
    source.kind = "file"
    assert len(read_examples(source, 0, "train")) == len(ROWS)


def test_what_the_network_raises_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    class Broken(datasets.IterableDataset):
        num_shards = 1

        def __init__(self) -> None:
            pass

        def shard(self, num_shards: int, index: int) -> "Broken":
            return self

        def __iter__(self) -> Iterator[dict[str, str]]:
            yield {"text": "first"}
            raise ValueError("the server\nanswers nonsense")

    monkeypatch.setattr("domain_tokens.corpora.sources.open_hub", lambda source: Broken())
    source, texts = Source(name="mine", kind="hub", path="owner/name"), []
    with pytest.raises(RecipeError, match="source mine: .*'owner/name'.* after row 1: the server answers nonsense"):
        texts.extend(text for _, text, _ in read_documents(source, 0, 0.5, 0, 1))
    assert texts == ["first"]


def test_chat_content_in_parts_is_rendered(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "How "}, {"type": "text", "text": "many?"}]
    source = write(tmp_path / "data.jsonl", [{"question": parts, "answer": "#### 1"}])
    assert [example.texts for example in read_examples(source, 0, "train")] == [("How many?", "#### 1")]
    write(tmp_path / "data.jsonl", [{"question": [{"type": "image", "url": "x"}], "answer": "#### 1"}])
    with pytest.raises(RecipeError, match=r"source mine: question_key: .*data\.jsonl, line 1: .*part 1 is of type"):
        read_examples(source, 0, "train")
