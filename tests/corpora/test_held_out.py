"""No question of an evaluation set is trained on, whatever the file is called and however it is written."""

import json
import re
from collections.abc import Callable, Iterator
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
from tiny import tiny_arguments

from domain_tokens.corpora import held_out, sources, synthetic
from domain_tokens.corpora.contamination.gate import Gate, Place
from domain_tokens.corpora.contamination.index import ContaminationIndex, Question, fingerprint
from domain_tokens.corpora.contamination.words import words_of
from domain_tokens.corpora.documents import _through
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.held_out import (
    GSM8K_TEST,
    gate_of,
    generated_questions,
    held_out_questions,
    kept_rows,
    question_of,
    refuse_test_data,
)
from domain_tokens.corpora.pipeline.texts import prepare_documents, work_of
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.sources import read_documents, read_rows
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.local_data.row import Row
from domain_tokens.recipe import Recipe, RecipeError, Source, load_recipe
from domain_tokens.recipe.schema import shipped_tasks
from domain_tokens.runs.layout import CONTAMINATION
from domain_tokens.runs.records import Manifest, Removal, read_record
from domain_tokens.runs.records import read_rows as read_records

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
    source = as_file(tmp_path / name, [CLEAN[0], *TEST])
    with pytest.raises(RecipeError, match="sft: source train: holds 2 of the 2 questions of gsm8k, more than half"):
        refuse_test_data(recipe, [source], "sft")


def test_most_of_a_test_set_in_other_text_is_refused_too(recipe: Recipe, tmp_path: Path) -> None:
    things = ("apple", "boat", "chair", "door", "engine", "flag", "garden", "hat", "island")
    test = [
        {"question": " ".join(f"the {thing} {letter}" for letter in "abcdefgh"), "answer": "#### 1"}
        for thing in things
    ]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test))
    other = CLEAN * 5
    refuse_test_data(recipe, [as_file(tmp_path / "four.jsonl", [*other, *test[:4]])], "sft")
    with pytest.raises(RecipeError, match="grpo_prompts: source train: holds 5 of the 9 questions of gsm8k"):
        refuse_test_data(recipe, [as_file(tmp_path / "five.jsonl", [*other, *test[:5]])], "grpo_prompts")


WRITTEN = [
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
    {
        "messages": [
            {"role": "user", "content": QUESTION.partition(" How")[0]},
            {"content": QUESTION.partition(".")[2]},
        ]
    },
    {"text": [{"type": "text", "text": f"{QUESTION} 56"}]},
    {"Question": "How many lemons does she pack?", "Body": "Mara packs 7 crates with 8 lemons in each."},
    {"question": SHORT, "answer": "9"},
    {"question": "what is 54/6", "answer": "9"},
    {"question": "How many?", "answer": "9", "original_question": QUESTION},
]


@pytest.mark.parametrize("row", WRITTEN)
def test_a_question_is_found_however_it_is_written(row: dict[str, Any], recipe: Recipe, tmp_path: Path) -> None:
    source = as_file(tmp_path / "train.jsonl", [*CLEAN, row])
    gate = gate_of(recipe, "grpo_prompts", [source])
    kept = kept_rows(gate, source, read_rows(source, 0, "train"))
    assert list(map(dict, kept)) == CLEAN
    (removal,) = gate.removals
    assert (removal.source, removal.evaluation_set, removal.whole) == ("train", "gsm8k", True)
    assert re.search(at(len(CLEAN)), removal.place)
    recipe.contamination = "refuse"
    with pytest.raises(RecipeError, match=f"grpo_prompts: source train: {at(6)}: holds a question .* remove the row"):
        refuse_test_data(recipe, [source], "grpo_prompts")


@pytest.mark.parametrize(
    "text",
    [
        QUESTION.replace("lemons", "melons and a good many other things"),
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
def test_another_question_is_kept(text: str) -> None:
    index = ContaminationIndex([Question("a", "0", QUESTION), Question("a", "1", SHORT)])
    assert [found.is_warning for found in index.find(QUESTION)] == [False]
    assert all(found.is_warning for found in index.find(text))


@given(st.text(max_size=80), st.text(max_size=80), st.sampled_from([str.upper, str.lower, str.title, str.split]))
def test_a_question_is_found_within_any_text(before: str, after: str, change: Callable[[str], Any]) -> None:
    changed = change(QUESTION)
    written = changed if isinstance(changed, str) else "\n".join(changed)
    index = ContaminationIndex([Question("a", "0", QUESTION)])
    assert [one.is_warning for one in index.find(f"{before}\n\n{written}\n\n{after}")] == [False]


def corpus_of(recipe: Recipe, source: Source, **changes: Any) -> Recipe:
    source.text_key = ["question", "answer"]
    recipe.corpus.sources, recipe.corpus.num_workers, recipe.corpus.num_shards = [source], 1, 3
    recipe.corpus.validation_fraction = 0.3
    return recipe


PAGE = "\n\n".join(
    f"On day {day} of the fair it rained, and nobody bought a map of the harbour." for day in "abcdefgh"
)
TAKEN = PAGE.replace("\n\n", f"\n\n{QUESTION}\n\n", 1)


def test_a_corpus_loses_the_passage_the_same_in_two_conditions(recipe: Recipe, tmp_path: Path) -> None:
    rows = [*CLEAN * 4, {"question": TAKEN, "answer": "End."}, {"question": QUESTION, "answer": "56"}]
    source = as_file(tmp_path / "corpus.jsonl", rows)
    written, tokens = {}, {}
    for condition in ("baseline", "mul_tokens"):
        loaded = load_recipe(tiny_arguments(tmp_path / condition, condition, "pretrain.max_steps=1"))
        loaded.evaluation.data["gsm8k"] = recipe.evaluation.data["gsm8k"]
        corpus_of(loaded, replace(source))
        prepare_documents(loaded)
        files = sorted(loaded.documents_dir.glob("*/*.jsonl"))
        written[condition] = {str(file.relative_to(loaded.documents_dir)): file.read_text() for file in files}
        removals = list(read_records(loaded.documents_dir / CONTAMINATION, Removal))
        assert [(one.document, one.whole, one.kind) for one in removals] == [
            ("24", False, "exact"),
            ("25", True, "exact"),
        ]
        assert all(re.search(r"corpus\.jsonl, line \d+$", one.place) for one in removals)
        manifest = read_record(loaded.documents_dir / "manifest.json", Manifest)
        assert manifest.contamination is not None
        tokens[condition] = manifest.contamination
        assert (dict(manifest.contamination.texts), manifest.contamination.whole) == ({"train": 2}, 1)
        assert manifest.contamination.questions_sha256 == held_out_questions(loaded, local=True).sha256
    assert written["baseline"] == written["mul_tokens"]
    assert tokens["baseline"] == tokens["mul_tokens"]
    texts = [json.loads(line)["text"] for text in written["baseline"].values() for line in text.splitlines()]
    assert len(texts) == len(rows) - 1
    assert f"{PAGE}\nEnd." in texts
    assert not any("lemons" in text for text in texts)


def test_a_corpus_with_a_question_is_refused_if_the_recipe_says_so(recipe: Recipe, tmp_path: Path) -> None:
    corpus_of(recipe, as_file(tmp_path / "corpus.jsonl", [*CLEAN * 3, TEST[0]]))
    recipe.contamination = "refuse"
    with pytest.raises(RecipeError, match=rf"corpus: source train: {at(18)}: holds a question of .*gsm8k, {at(0)}"):
        prepare_data(recipe)
    assert not recipe.documents_dir.exists()


def test_a_corpus_that_is_a_test_set_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    corpus_of(recipe, as_file(tmp_path / "corpus.jsonl", [CLEAN[0], *TEST]))
    with pytest.raises(RecipeError, match="corpus: source train: holds 2 of the 2 questions of gsm8k"):
        prepare_documents(recipe)
    assert not recipe.documents_dir.exists()


def test_finished_documents_are_compared_with_a_new_evaluation_set(recipe: Recipe, tmp_path: Path) -> None:
    corpus_of(recipe, as_file(tmp_path / "corpus.jsonl", CLEAN * 4))
    prepare_documents(recipe)
    manifest = recipe.documents_dir / "manifest.json"
    files = json.loads(manifest.read_text())["files"]
    documents = [path.read_text() for path in recipe.documents_dir.rglob("*.jsonl")]
    assert {name.partition("/")[0] for name in files} >= {"train", "validation"}
    assert sum(text.count(json.dumps(CLEAN[0]["question"])[1:-1]) for text in documents) == 4
    made = manifest.read_bytes()
    prepare_documents(recipe)
    assert manifest.read_bytes() == made
    (tmp_path / "test.jsonl").write_text(json.dumps(TEST[0]) + "\n")
    prepare_documents(recipe)
    known = read_record(manifest, Manifest).contamination
    assert known is not None
    assert known.compared_later == (held_out_questions(recipe, local=True).sha256,)
    (tmp_path / "test.jsonl").write_text(json.dumps(CLEAN[0]) + "\n")
    with pytest.raises(
        RecipeError, match=r"document train/\d+ contains a question of an evaluation set that was added"
    ):
        prepare_documents(recipe)


def test_finished_documents_that_held_a_question_are_refused_later(recipe: Recipe, tmp_path: Path) -> None:
    corpus_of(recipe, as_file(tmp_path / "corpus.jsonl", [*CLEAN * 4, TEST[0]]))
    prepare_documents(recipe)
    recipe.contamination = "refuse"
    with pytest.raises(RecipeError, match="1 of its documents held a question of an evaluation set"):
        prepare_documents(recipe)


def test_work_that_was_begun_with_other_questions_is_refused(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus_of(recipe, as_file(tmp_path / "corpus.jsonl", CLEAN * 4))
    with monkeypatch.context() as context:
        context.setattr("domain_tokens.corpora.pipeline.texts._removed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare_documents(recipe)
    assert len(list((work_of(recipe.documents_dir) / "removals").iterdir())) == 3
    (tmp_path / "test.jsonl").write_text(json.dumps(TEST[0]) + "\n")
    with pytest.raises(RecipeError, match="begun with other evaluation sets"):
        prepare_documents(recipe)


def test_a_document_on_the_hub_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ("One.", QUESTION, "Two.")
    rows = [Row.at(f"row {number}", {"text": f"{text} And so on."}) for number, text in enumerate(texts)]
    monkeypatch.setattr(sources, "_hub_share", lambda *_: (iter(rows), 1.0))
    source = Source(name="web", kind="hub", path="some/web")
    gate = Gate(ContaminationIndex([Question("mine", "row 3", QUESTION)]), "corpus", refuses=False)
    read = list(read_documents(source, 0, 0.1, 0, 1, partial(_through, gate, "web")))
    assert [(number, text) for number, text, _ in read] == [("0/0", "One. And so on."), ("0/2", "Two. And so on.")]
    (removal,) = gate.removals
    assert (removal.document, removal.place, removal.question) == ("0/1", "row 1", "row 3")


@pytest.mark.parametrize(("number", "named"), [(1, 1), (3, 3), (10, 10), (40, 10)])
def test_a_gate_that_refuses_names_up_to_ten_texts_and_counts_them(number: int, named: int) -> None:
    gate = Gate(ContaminationIndex([Question("mine", "row 3", QUESTION)]), "sft", refuses=True)
    texts = (QUESTION if row % 2 else "It rained." for row in range(2 * number))
    rows = ((Place("data", f"row {row}"), [text]) for row, text in enumerate(texts))

    def read() -> None:
        assert not all(list(gate.examples(rows)))
        gate.finish()

    with pytest.raises(RecipeError) as error:
        read()
    said = str(error.value)
    assert [f"row {2 * row + 1}: holds" in said for row in range(number)] == [row < named for row in range(number)]
    assert (f"sft: {'at least ' if named == 10 else ''}{named} texts: " in said) == (number > 1)
    assert said.index("row 1:") == min(said.index(f"row {2 * row + 1}:") for row in range(named))


def test_documents_are_read_as_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def rows() -> Iterator[Row]:
        nonlocal read
        while True:
            read += 1
            yield Row.at(f"row {read}", {"text": "It rained. " * 5000})

    monkeypatch.setattr(sources, "_hub_share", lambda *_: (rows(), 1.0))
    gate = Gate(ContaminationIndex([Question("mine", "row 3", QUESTION)]), "corpus", refuses=False)
    documents = read_documents(
        Source(name="web", kind="hub", path="some/web"), 0, 0.1, 0, 1, partial(_through, gate, "web")
    )
    for _ in range(40):
        next(documents)
    assert 40 <= read < 90


def generated(what: Any, number: int = 200) -> Source:
    return Source(name=what, kind="synthetic", what=what, max_items=number)


def test_generated_sets_are_compared_by_template_and_numbers(recipe: Recipe) -> None:
    recipe.evaluation.data = {"gsm8k": generated("problems"), "drills": generated("drills", 100)}
    for what in ("drills", "problems", "text"):
        asked = synthetic.asked_by(what, "train")
        assert len(asked) > 500
        taught, held = generated_questions(recipe, "corpus", asked)
        assert (taught["gsm8k"], held["gsm8k"]) == (0, 200)
        assert 0 < taught["drills"] <= len(synthetic.TAUGHT) == 45
        assert taught["drills"] + held["drills"] == 100
    for split, what in (("train", "drills"), ("train", "problems"), ("prompts", "problems")):
        examples = read_examples(generated(what, 2000), 0, split, "any")
        assert {str(one.cluster) for one in examples} <= synthetic.asked_by(what, split)
    drill = next(read_examples(generated("drills", 100), 0, "test")[n].cluster for n in range(100) if n > 90)
    tested = next(iter(synthetic.asked_by("drills", "test") - synthetic.TAUGHT))
    recipe.evaluation.data = {"drills": generated("drills", len(synthetic.asked_by("drills", "test")))}
    assert drill is not None
    with pytest.raises(
        RecipeError, match=f"sft: generated questions train that evaluation.data.drills asks, .*{tested}"
    ):
        generated_questions(recipe, "sft", [tested])


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
    (found,) = held.find("six bags hold 9 DVDs each. How many dvds are there?")
    assert (held.questions[found.question].source, held.questions[found.question].item) == ("svamp", "row 1")
    assert "evaluation.data.asdiv: source asdiv: its questions are not compared" in caplog.text
    held_out_questions(recipe, local=True)
    assert len(opened) == 2
    recipe.contamination = "refuse"
    with pytest.raises(RecipeError, match=r"evaluation.data.asdiv: .* contamination: refuse: cannot be read"):
        held_out_questions(recipe, local=False)
    held_out_questions(recipe, local=True)


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


def test_a_folder_with_a_test_split_does_not_train(recipe: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / f"{name}.jsonl").write_text(f'{{"question": "What is a {name}?", "answer": "It is this."}}\n')
    source = Source(name="mine", kind="file", path=str(folder))
    for file in ("train.jsonl", "test.jsonl"):
        refuse_test_data(recipe, [replace(source, path=str(folder / file))], "sft")
    with pytest.raises(
        RecipeError, match=r"^sft: source mine: path: .*test\.jsonl \(test\), .*train\.jsonl \(train\)"
    ):
        refuse_test_data(recipe, [source], "sft")


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
        assert words_of([question]).hashes.tolist() == words_of([row["question"]]).hashes.tolist()


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
    with pytest.raises(RecipeError, match=f"of {GSM8K_TEST}, more than half"):
        refuse_test_data(demo, [as_file(tmp_path / name, rows)], "sft")
    train = Source(name="train", kind="file", path=str(gsm8k_test.with_name("train.jsonl")))
    refuse_test_data(demo, [train], "sft")


@pytest.mark.real_data
def test_the_shipped_hashes_are_those_of_the_published_questions() -> None:
    lines = (real_data().folder / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines]
    assert held_out._gsm8k_test() == set(map(fingerprint, questions))
    assert len(held_out._gsm8k_test()) == len(lines) == 1319
    assert all(re.fullmatch("[0-9a-f]{12}", one) for one in held_out._gsm8k_test())
