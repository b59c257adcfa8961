"""The examples of SFT and GRPO: the same ones for both conditions, whole, and never from a test set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import IterableDataset
from huggingface_hub import constants

from domain_tokens.corpora import held_out, sources
from domain_tokens.corpora.contamination.gate import Gate
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.hub import NoConnection
from domain_tokens.planning.example_lengths import ExampleLengths
from domain_tokens.recipe import RecipeError, Source, load_recipe
from domain_tokens.recipe.schema import BaseVocabulary
from domain_tokens.runs.layout import CONTAMINATION
from domain_tokens.runs.provenance import environment
from domain_tokens.runs.records import Manifest, Removal, read_rows
from domain_tokens.training.post_training.chat_data import check_training_data, prompts_with_gold, training_examples
from domain_tokens.training.sft import FineTuning


@pytest.fixture
def recipe(root: Path):
    few = [f"sft_stages.0.sources.{index}.max_items=40" for index in range(2)]
    return load_recipe([str(root / "recipes/mul_tokens.yaml"), str(root / "recipes/scales/demo.yaml"), *few])


def source(path: Path, answers: list[str]) -> Source:
    path.write_text("".join(json.dumps({"question": f"Q{i}", "answer": a}) + "\n" for i, a in enumerate(answers)))
    return Source(name="mine", kind="file", path=str(path))


def test_which_examples_fit_does_not_depend_on_the_condition(recipe, tokenizers, tmp_path: Path) -> None:
    # 30 products take 61 tokens where each is one, and over 150 where each is written out.
    long = " ".join(["6*9=54"] * 30) + "\n#### 54"
    data = source(tmp_path / "data.jsonl", [long, "6*9=54\n#### 54", "#### 1"])
    one, two = (training_examples(recipe, [data], "sft", tokenizers[name], 100) for name in ("baseline", "mul_tokens"))
    assert one == two
    examples, account = one
    assert [example.question for example in examples] == ["Q1", "Q2"]
    assert (account.examples, account.examples_too_long) == (2, 1)


def test_markers_in_examples_are_counted(recipe, tokenizers, tmp_path: Path) -> None:
    data = source(tmp_path / "data.jsonl", ["a <|endoftext|> <MUL_6_9_54>\n#### 1"])
    examples, account = training_examples(recipe, [data], "sft", tokenizers["mul_tokens"], 100)
    assert account.neutralized_markers == 2
    assert "<|endoftext|>" not in examples[0].answer


def test_the_prompts_of_grpo_are_problems_that_fine_tuning_has_not_seen(recipe, tokenizers) -> None:
    source = Source(name="problems", kind="synthetic", what="problems", max_items=600)
    drawn = (training_examples(recipe, [source], "any", tokenizers["baseline"], 100, alone) for alone in (False, True))
    tuned, asked = ({example.cluster for example in examples} for examples, _ in drawn)
    assert min(len(tuned), len(asked)) > 200
    assert not tuned & asked


def test_nothing_that_fits_is_an_error(recipe, tokenizers, tmp_path: Path) -> None:
    data = source(tmp_path / "data.jsonl", ["word " * 50])
    with pytest.raises(RecipeError, match="none of the 1 examples fits in 10"):
        training_examples(recipe, [data], "sft_stages.x", tokenizers["baseline"], 10)


@pytest.mark.parametrize("alone", [False, True])
def test_what_does_not_fit_is_said_before_the_first_stage_as_a_stage_says_it(
    alone: bool, recipe, tokenizers, tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"question": "<MUL_6_9_54> 6*9=54?" * number, "answer": "6*9=54\n#### 1"} for number in (5, 3, 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = Source(name="mine", kind="file", path=str(path))
    recipe.base_vocabulary = BaseVocabulary()
    examples = read_examples(data, 0, "train")
    said = []
    for check in (
        lambda: training_examples(recipe, [data], "sft_stages.a", tokenizers["mul_tokens"], 20, alone),
        lambda: ExampleLengths(recipe).check("sft_stages.a: source mine", examples, 20, prompts_alone=alone),
    ):
        with pytest.raises(RecipeError, match=r"data\.jsonl, line 2, takes \d\d; raise the limit") as caught:
            check()
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_test_set_is_refused_before_it_is_read(recipe, tokenizers, gsm8k_test: Path) -> None:
    data = Source(name="t", kind="file", path=str(gsm8k_test))
    with pytest.raises(RecipeError, match="is a test set"):
        training_examples(recipe, [data], "grpo_prompts", tokenizers["baseline"], 100)


def test_prompts_carry_their_gold_answer(recipe, tokenizers, tmp_path: Path) -> None:
    data = source(tmp_path / "data.jsonl", ["1,000+1=1001\n#### 1,001 "])
    examples, _ = training_examples(recipe, [data], "grpo_prompts", tokenizers["baseline"], 100)
    row = prompts_with_gold(examples)[0]
    assert row == {"prompt": [{"role": "user", "content": "Q0"}], "gold": "1,001"}


@pytest.mark.parametrize(
    "answer",
    [
        "no answer line",
        "#### two",
        "#### ",
        "#### 18\n\nShe has 18 eggs.",
        "#### 18\r\nso",
        "#### 12 dozen",
        "#### 17\n#### 18",
        "#### 5 and a half",
    ],
)
def test_a_gold_answer_that_no_answer_can_match_is_refused(answer: str, recipe, tokenizers, tmp_path: Path) -> None:
    data = source(tmp_path / "data.jsonl", ["#### 1", "#### –5", answer])
    examples, _ = training_examples(recipe, [data], "sft", tokenizers["baseline"], 100)
    assert len(examples) == 3
    asked, _ = training_examples(recipe, [data], "grpo_prompts", tokenizers["baseline"], 100, prompts_alone=False)
    with pytest.raises(RecipeError, match="expected an answer that ends with `#### <number>`"):
        prompts_with_gold(asked)
    with pytest.raises(RecipeError, match=r"data.jsonl, line 3: column 'answer': expected an answer that ends with"):
        training_examples(recipe, [data], "grpo_prompts", tokenizers["baseline"], 100, prompts_alone=True)
    recipe.grpo_prompts = [data]
    with pytest.raises(RecipeError, match=r"source mine: .*data.jsonl, line 3: column 'answer'"):
        check_training_data(recipe)


@pytest.mark.parametrize("far", [[], [Source(name="far", kind="hub", path="owner/far")]], ids=["near", "far"])
def test_what_stages_and_conditions_share_is_read_and_said_once(
    far: list[Source], recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, compared, read_first = [], [], held_out.kept_rows

    def pinned(one: Source) -> Source:
        asked.append(one.name)
        raise NoConnection(f"source {one.name}: no connection") from ConnectionError("no such name")

    def kept_rows(gate: Gate, one: Source, rows: list) -> list:
        compared.append(one.name)
        return read_first(gate, one, rows)

    monkeypatch.setattr(sources, "pinned", pinned)
    monkeypatch.setattr(held_out, "kept_rows", kept_rows)
    mine = source(tmp_path / "mine.jsonl", ["#### 1", "#### 2"])
    recipe.evaluation.tasks = ["svamp", "asdiv"]
    recipe.sft_stages[0].sources = [mine, *far]
    recipe.grpo_prompts = [replace(mine, max_items=1)]
    other = replace(recipe, condition="baseline")
    check_training_data(recipe, other)
    assert compared == ["mine"] * (2 if far else 1)  # other stages, other sources; never again for another condition
    assert sorted(asked) == ["asdiv", "svamp-test"]
    beside = ", and no stage can train on far" if far else ""
    (said,) = [one.getMessage() for one in caplog.records]
    assert said == (
        f"evaluation.data: the questions of svamp, asdiv are not compared with the training data{beside}: no "
        f"connection to the Hub ({constants.ENDPOINT}): no such name; check the network, or name a local copy with "
        "kind: file and path"
    )


@pytest.mark.parametrize("section", ["sft", "grpo", "evaluation"])
def test_damaged_data_of_a_later_stage_is_refused_before_the_first(section: str, recipe, tmp_path: Path) -> None:
    check_training_data(recipe)
    test = source(tmp_path / "test.jsonl", ["#### 1", "#### 1"])
    recipe.evaluation.data["gsm8k"] = test
    check_training_data(recipe)
    again = source(tmp_path / "again.jsonl", ["#### 1 ", "#### 1"])
    if section == "sft":
        recipe.sft_stages[0].sources = [again]
    elif section == "grpo":
        recipe.grpo_prompts = [again]
    else:
        source(tmp_path / "test.jsonl", ["#### 1", "#### one"])
    with pytest.raises(
        RecipeError,
        match="row 1: column 'answer'"
        if section == "evaluation"
        else "source mine: holds 2 of the 2 questions of gsm8k",
    ):
        check_training_data(recipe)


def test_examples_on_the_hub_are_compared_with_local_test_sets(
    recipe, tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe.evaluation.data["gsm8k"] = source(tmp_path / "test.jsonl", ["#### 1"])
    rows = [{"question": "Other", "answer": "#### 1"}, {"question": "q0!", "answer": "#### 2"}]
    monkeypatch.setattr(sources, "pinned", lambda source: source)
    monkeypatch.setattr(sources, "open_hub", lambda source: IterableDataset.from_generator(lambda: iter(rows)))
    data = Source(name="mine", kind="hub", path="some/where")
    one, two = (training_examples(recipe, [data], "sft", tokenizers[name], 100) for name in ("baseline", "mul_tokens"))
    assert one == two
    examples, account = one
    assert [example.question for example in examples] == ["Other"]
    assert account.examples_contaminated == 1
    assert account.contamination is not None
    assert (dict(account.contamination.texts), dict(account.contamination.kinds)) == ({"mine": 1}, {"exact": 1})
    assert [(one.place, one.evaluation_set) for one in account.removals] == [("row 2", "gsm8k")]
    assert not {"contamination", "removals"} & set(account.as_fields())
    recipe.contamination = "refuse"
    with pytest.raises(RecipeError, match="sft: source mine: row 2: holds a question of an evaluation set"):
        training_examples(recipe, [data], "sft", tokenizers["baseline"], 100)
    rows.pop(0)
    recipe.contamination = "remove"
    with pytest.raises(RecipeError, match="sft: source mine: holds 1 of the 1 questions of gsm8k, more than half"):
        training_examples(recipe, [data], "sft", tokenizers["baseline"], 100)


@pytest.mark.parametrize("alone", [False, True])
def test_an_example_that_holds_a_test_question_is_left_out(alone: bool, recipe, tokenizers, tmp_path: Path) -> None:
    recipe.evaluation.data["gsm8k"] = source(tmp_path / "test.jsonl", ["#### 1"] * 9)
    data = source(tmp_path / "data.jsonl", ["#### 1"] * 20)
    text = (tmp_path / "data.jsonl").read_text().replace("Q", "Question number ")
    (tmp_path / "data.jsonl").write_text(
        text.replace("Question number 7", "**Q7**").replace("Question number 3", "q3?")
    )
    examples, account = training_examples(recipe, [data], "any", tokenizers["mul_tokens"], 100, alone)
    asked = [example.question for example in examples]
    assert asked == [f"Question number {n}" for n in range(20) if n not in (3, 7)]
    assert (account.examples, account.examples_contaminated) == (18, 2)
    assert [Path(one.place.partition(",")[0]).name for one in account.removals] == ["data.jsonl"] * 2


def test_a_stage_lists_what_was_removed_beside_its_model(recipe, tokenizers, tmp_path: Path) -> None:
    recipe.evaluation.data["gsm8k"] = source(tmp_path / "test.jsonl", ["#### 1"] * 2)
    data = source(tmp_path / "data.jsonl", ["#### 1"] * 5)
    stage = FineTuning.__new__(FineTuning)
    stage._data = training_examples(recipe, [data], "sft_stages.x", tokenizers["baseline"], 100)
    stage.write_lists(tmp_path)
    removals = list(read_rows(tmp_path / CONTAMINATION, Removal))
    assert [one.place.rpartition(" ")[2] for one in removals] == ["1", "2"]
    manifest = {"contamination": stage.contamination()}
    required = {"stage": "sft", "condition": "a", "seed": 0, "inputs": {}, "wall_time_s": 1, "files": {}}
    written = Manifest.model_validate(required | {"environment": environment()} | manifest).as_json()
    assert written["contamination"]["texts"] == {"mine": 2}
    assert written["contamination"]["questions"]["gsm8k"] == 2
