"""No question of an evaluation set is trained on, whatever the file is called and however it is written."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from datasets import IterableDataset
from hypothesis import given
from hypothesis import strategies as st
from real_data import Data, real_data

from domain_tokens.corpora import held_out, sources
from domain_tokens.corpora.held_out import (
    GSM8K_TEST,
    HeldOut,
    fingerprint,
    held_out_questions,
    keep_document,
    normalized,
    question_of,
    refuse_test_data,
)
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.sources import read_documents, read_rows
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Recipe, RecipeError, Source, load_recipe
from domain_tokens.recipe.schema import shipped_tasks

QUESTION = "Mara packs 7 crates with 8 lemons in each. How many lemons does she pack?"
SHORT = "What is 54 / 6?"
TEST = [{"question": QUESTION, "answer": "7*8=56\n#### 56"}, {"question": SHORT, "answer": "#### 9"}]
CLEAN = [
    {
        "question": f"Igor sells {number} maps for 2 dollars each. How much does he earn?",
        "answer": f"#### {2 * number}",
    }
    for number in range(3, 9)
]


@pytest.fixture(scope="module")
def demo(root: Path) -> Recipe:
    return load_recipe([str(root / "recipes/mul_tokens.yaml"), str(root / "recipes/scales/demo.yaml")])


@pytest.fixture
def recipe(demo: Recipe, tmp_path: Path) -> Recipe:
    """The demo with an evaluation set in a file."""
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TEST))
    copied = deepcopy(demo)
    copied.output_dir = str(tmp_path)
    copied.evaluation.data["gsm8k"] = Source(name="mine", kind="file", path=f"{tmp_path}/test.jsonl")
    return copied


def at(index: int) -> str:
    """Return a pattern of the place of a row: its number, or the line of a file."""
    return rf"\S*(?:row {index}|, row {index + 1}|, line \d+)"


def as_file(path: Path, rows: list[dict[str, Any]]) -> Source:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_bytes(text.replace("\n", "\r\n").encode())
    return Source(name="train", kind="file", path=str(path))


@pytest.mark.parametrize("name", ["crlf.jsonl", "table.parquet", "list.json"])
def test_a_test_set_in_another_kind_of_file_is_refused(name: str, recipe: Recipe, tmp_path: Path) -> None:
    refuse_test_data(recipe, [as_file(tmp_path / f"clean-{name}", CLEAN)], "sft")
    source = as_file(tmp_path / name, [*CLEAN[:2], *TEST])
    with pytest.raises(
        RecipeError, match=rf"sft: source train: {at(2)} .*gsm8k: source mine: {at(0)}; .*remove the row"
    ):
        refuse_test_data(recipe, [source], "sft")


@pytest.mark.parametrize(
    "row",
    [
        {"question": TEST[0]["answer"], "answer": QUESTION},
        {"answer": "#### 56", "question": QUESTION},
        {"problem": QUESTION, "solution": "56"},
        {"question": f"Answer in one word.\n\nQ: {QUESTION}", "answer": "56"},
        {"question": QUESTION.upper(), "answer": "56"},
        {"question": QUESTION.replace(" ", "\u00a0 ").replace("?", "？"), "answer": "56"},
        {"question": QUESTION.replace("7", "７").replace("M", "𝐌"), "answer": "56"},
        {"question": QUESTION.replace(". ", ".\r\n").replace("crates", "cra\u200btes").rstrip("?"), "answer": "56"},
        {"question": f"**{QUESTION}**".replace("lemons", "“lemons”"), "answer": "56"},
        {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "56"}]},
        {"text": [{"type": "text", "text": f"{QUESTION} 56"}]},
        {"Question": "How many lemons does she pack?", "Body": "Mara packs 7 crates with 8 lemons in each."},
        {"question": SHORT, "answer": "9"},
        {"question": "what is 54/6", "answer": "9"},
    ],
)
def test_a_question_is_found_however_it_is_written(row: dict[str, Any], recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"grpo_prompts: source train: {at(0)} is a question of the test set"):
        refuse_test_data(recipe, [as_file(tmp_path / "train.jsonl", [row])], "grpo_prompts")


@pytest.mark.parametrize(
    "text",
    [
        QUESTION.replace("7", "9"),
        QUESTION.replace("lemons", "melons"),
        QUESTION.partition(".")[0],
        "What is 54 * 6?",
        "What is 54 - 6?",
        "What is 546?",
        f"{SHORT} It is 9, and what is 6 * 9?",
        "56",
        "#### 56",
        "",
    ],
)
def test_another_question_is_not_refused(text: str) -> None:
    questions = HeldOut([("0", QUESTION), ("1", SHORT)])
    assert questions.find(QUESTION) == "0"
    assert questions.find(text) is None


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from([str.upper, str.lower, str.title, str.split]))
def test_a_question_is_found_within_any_text(before: str, after: str, change: Callable[[str], Any]) -> None:
    changed = change(QUESTION)
    written = changed if isinstance(changed, str) else "\n".join(changed)
    assert HeldOut([("0", QUESTION)]).find(f"{before} {written}\n{after}") == "0"
    assert normalized(f"{before}\n{after}") == normalized(f"{before}\r\n{after}")


def test_a_corpus_with_a_question_is_refused_while_it_is_read(recipe: Recipe, tmp_path: Path) -> None:
    source = as_file(tmp_path / "corpus.jsonl", [*CLEAN, *TEST])
    source.text_key = ["question", "answer"]
    recipe.corpus.sources, recipe.corpus.num_workers, recipe.corpus.num_shards = [source], 1, 1
    with pytest.raises(RecipeError, match=rf"corpus: source train: {at(6)} .*gsm8k: source mine: {at(0)}"):
        prepare_data(recipe)
    assert not recipe.documents_dir.exists()


def test_finished_documents_are_compared_with_a_new_evaluation_set(recipe: Recipe, tmp_path: Path) -> None:
    source = as_file(tmp_path / "corpus.jsonl", CLEAN * 4)
    source.text_key = ["question", "answer"]
    recipe.corpus.sources, recipe.corpus.num_workers, recipe.corpus.num_shards = [source], 1, 1
    recipe.corpus.validation_fraction = 0.3
    prepare = sources_of_prepare()
    prepare(recipe)
    manifest = recipe.documents_dir / "manifest.json"
    files = json.loads(manifest.read_text())["files"]
    documents = [path.read_text() for path in recipe.documents_dir.rglob("*.jsonl")]
    assert {name.partition("/")[0] for name in files} >= {"train", "validation"}
    assert sum(text.count(json.dumps(CLEAN[0]["question"])[1:-1]) for text in documents) == 4
    made = manifest.read_bytes()
    prepare(recipe)
    assert manifest.read_bytes() == made
    (tmp_path / "test.jsonl").write_text(json.dumps(CLEAN[0]) + "\n")
    with pytest.raises(RecipeError, match=r"document train/\d+ contains a question of the test set"):
        prepare(recipe)


def sources_of_prepare() -> Callable[[Recipe], None]:
    from domain_tokens.corpora import prepare

    return prepare._prepare_documents


def test_a_document_on_the_hub_is_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    texts = ("One.", QUESTION, "Two.")
    rows = [Row.at(f"row {number}", {"text": f"{text} And so on."}) for number, text in enumerate(texts)]
    monkeypatch.setattr(sources, "_hub_share", lambda *_: (iter(rows), 1.0))
    source = Source(name="web", kind="hub", path="some/web")
    keep = partial(keep_document, HeldOut([("mine, row 3", QUESTION)]), source)
    read = list(read_documents(source, 0, 0.1, 0, 1, keep))
    assert [text for _, text, _ in read] == ["One. And so on.", "Two. And so on."]
    assert "row 1: left out, because it contains a test question: mine, row 3" in caplog.text


def test_data_sets_on_the_hub_are_read_where_a_task_reads_them(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = []

    def open_hub(source: Source) -> IterableDataset:
        opened.append(source.name)
        if source.name == "asdiv":
            raise RecipeError("cannot be read from the Hub")
        row = {"Body": "Six bags hold 9 dvds each", "Question": "How many dvds are there?"}
        return IterableDataset.from_generator(lambda: iter([row]))

    monkeypatch.setattr(sources, "pinned", lambda source: source)
    monkeypatch.setattr(sources, "open_hub", open_hub)
    recipe.evaluation.tasks = ["gsm8k", "svamp", "asdiv"]
    held = held_out_questions(recipe, local=False)
    assert sorted(opened) == ["asdiv", "svamp-test"]
    assert held.find("six bags hold 9 DVDs each. How many dvds are there?") == (
        "evaluation.data.svamp: source svamp-test: row 1"
    )
    assert "evaluation.data.asdiv: source asdiv: its questions are not compared" in caplog.text
    held_out_questions(recipe, local=True)
    assert len(opened) == 2


@pytest.mark.parametrize("split", ["validation", "validation[:10]", "train+validation"])
def test_the_split_that_is_evaluated_is_refused_whatever_its_name(split: str, recipe: Recipe) -> None:
    evaluated = recipe.evaluation.data["hellaswag"]
    assert (evaluated.kind, evaluated.split) == ("hub", "validation")
    refuse_test_data(recipe, [replace(evaluated, split="train")], "sft")
    refuse_test_data(recipe, [replace(evaluated, path="another/set", split=split)], "sft")
    with pytest.raises(RecipeError, match="split: training stages must not read a test split"):
        refuse_test_data(recipe, [replace(evaluated, split=split)], "sft")


@pytest.mark.parametrize("split", ["all", "test", "train+test", "test_sft", "Test[:5]"])
def test_a_split_that_may_hold_test_rows_is_refused(split: str, recipe: Recipe) -> None:
    source = replace(recipe.evaluation.data["hellaswag"], path="another/set")
    for accepted in ("train", "train_sft", "latest"):
        refuse_test_data(recipe, [replace(source, split=accepted)], "sft")
    with pytest.raises(RecipeError, match="split: training stages must not read a test split"):
        refuse_test_data(recipe, [replace(source, split=split)], "sft")


def test_the_name_of_a_data_set_is_compared_as_the_hub_reads_it(recipe: Recipe) -> None:
    evaluated = recipe.evaluation.data["hellaswag"]
    for name in (str(evaluated.path).upper(), f"{evaluated.path}/"):
        with pytest.raises(RecipeError, match="must not read a test split"):
            refuse_test_data(recipe, [replace(evaluated, path=name)], "sft")


def test_the_key_of_a_tasks_data_is_known_without_the_task() -> None:
    for name in shipped_tasks():
        task = load_task(name)
        assert held_out.data_of_task(name) == (name if task.data is None else task.data)


@pytest.mark.parametrize("task", ["svamp", "asdiv", "multiarith", "gsm8k"])
def test_what_is_compared_is_what_the_task_asks(task: str, root: Path, data: Data) -> None:
    folder = root / "tests/evaluation/samples"
    path = data.folder / "gsm8k/test.jsonl" if task == "gsm8k" else folder / f"{task}.jsonl"
    source = Source(name="rows", kind="file", path=str(path))
    recipe = Recipe()
    recipe.evaluation.tasks, recipe.evaluation.data = [task], {task: source}
    compared = [list(question_of(row, source.question_key)) for row in read_rows(source, 0, "test")]
    for row in load_task(task).rows(recipe):
        (question,) = compared[int(row["id"])]
        assert normalized(question) == normalized(row["question"])


def test_unknown_columns_are_all_compared() -> None:
    row = {"aufgabe": QUESTION, "loesung": "56", "quelle": 3}
    assert list(question_of(row, "question")) == [QUESTION]
    assert list(question_of(row | {"frage": "Wie viele?"}, "frage")) == ["Wie viele?"]


@pytest.mark.parametrize("name", ["crlf.jsonl", "table.parquet"])
def test_gsm8ks_test_set_is_refused_whatever_is_evaluated(
    name: str, demo: Recipe, tmp_path: Path, gsm8k_test: Path
) -> None:
    assert demo.evaluation.data["gsm8k"].kind == "synthetic"
    rows = [json.loads(line) for line in gsm8k_test.read_text(encoding="utf-8").splitlines()]
    with pytest.raises(RecipeError, match=rf"{at(0)} .*{GSM8K_TEST}"):
        refuse_test_data(demo, [as_file(tmp_path / name, rows)], "sft")
    train = Source(name="train", kind="file", path=str(gsm8k_test.with_name("train.jsonl")))
    refuse_test_data(demo, [train], "sft")


@pytest.mark.real_data
def test_the_shipped_hashes_are_those_of_the_published_questions() -> None:
    lines = (real_data().folder / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = ["".join(normalized(json.loads(line)["question"])) for line in lines]
    assert held_out._gsm8k_test() == {fingerprint(question) for question in questions}
    assert len(held_out._gsm8k_test()) == len(lines) == 1319
    assert max(map(len, questions)) < held_out._LONGEST
    assert min(map(len, questions)) >= held_out._ANYWHERE
    assert all(re.fullmatch("[0-9a-f]{12}", one) for one in held_out._gsm8k_test())
