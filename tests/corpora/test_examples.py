"""Examples as the sources' columns say: steps in lists, numbers elsewhere, conversations of several turns."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from domain_tokens.corpora.examples import Exchange, read_examples
from domain_tokens.recipe import RecipeError, Source


def source_of(folder: Path, rows: list[dict[str, Any]], kind: str = "jsonl", **keys: Any) -> Source:
    """Write rows to a file and return it as a source."""
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return Source(name="mine", kind="file", path=str(path), **keys)


def texts(source: Source) -> list[tuple[str, ...]]:
    return [example.texts for example in read_examples(source, 0, "train")]


def chat(*turns: tuple[str, object]) -> dict[str, Any]:
    return {"id": "c7", "messages": [{"role": role, "content": content} for role, content in turns]}


TWO = chat(("user", "2+2?"), ("assistant", "4"), ("user", "and 3?"), ("assistant", [{"type": "text", "text": "7"}]))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("row", "keys", "expected"),
    [
        (  # GSM8k-Aug
            {"question": "How many?", "steps": ["<<6*9=54>>", "<<54-4=50>>"], "answer": "50"},
            {"answer_key": "steps", "final_key": "answer", "annotations": "unwrap"},
            ("How many?", "6*9=54\n54-4=50\n#### 50"),
        ),
        (  # SVAMP
            {"Body": "Ed has 8 pens.", "Question": " How many?", "Equation": "( 8.0 - 3.0 )", "Answer": 5.0},
            {"question_key": ["Body", "Question"], "answer_key": "Equation", "final_key": "Answer"},
            ("Ed has 8 pens. How many?", "( 8.0 - 3.0 )\n#### 5"),
        ),
        (  # GSM8K without its steps
            {"question": "How many?", "answer": "6*9=<<6*9=54>>54\n#### 54"},
            {"answers": "final"},
            ("How many?", "#### 54"),
        ),
        (
            {"question": "How many?", "answer": "6*9=<<6*9=54>>54\n#### 54"},
            {"annotations": "keep"},
            ("How many?", "6*9=<<6*9=54>>54\n#### 54"),
        ),
        (
            {"question": "How much?", "answer": "half of 5", "result": 2.5},
            {"final_key": "result", "answers": "final"},
            ("How much?", "#### 2.5"),
        ),
        (  # MAWPS, AddSub, MultiArith and SingleOp as first published
            {"iIndex": 1, "sQuestion": "How many?", "lEquations": ["X=(22.0-14.0)"], "lSolutions": [8.0]},
            {"question_key": "sQuestion", "answer_key": "lEquations", "final_key": "lSolutions"},
            ("How many?", "X=(22.0-14.0)\n#### 8"),
        ),
        (  # MultiArith on the Hub
            {"question": "How many?", "final_ans": "8"},
            {"answer_key": "final_ans", "final_key": "final_ans", "answers": "final"},
            ("How many?", "#### 8"),
        ),
        (  # MathQA, without its final number
            {
                "Problem": "How much?",
                "Rationale": "6 * 9: b",
                "options": "a ) 5 , b ) 54",
                "correct": "b",
            },
            {"question_key": ["Problem", "options"], "answer_key": "Rationale"},
            ("How much? a ) 5 , b ) 54", "6 * 9: b"),
        ),
        (  # ASDiv
            {"body": "Ed has 7.", "question": "How many?", "answer": "9 (apples)", "formula": "7+2=9"},
            {"question_key": ["body", "question"], "answer_key": "formula", "final_key": "answer"},
            ("Ed has 7. How many?", "7+2=9\n#### 9 (apples)"),
        ),
        (  # TRL: prompt and completion as text
            {"prompt": "How many?", "completion": " 54"},
            {"question_key": "prompt", "answer_key": "completion"},
            ("How many?", " 54"),
        ),
        (  # and as turns
            {
                "prompt": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "How many?"}],
                "completion": [{"role": "assistant", "content": "54"}],
            },
            {"question_key": "prompt", "answer_key": "completion"},
            ("Be short.\n\nHow many?", "54"),
        ),
        (  # the preferred half of preference data, by the person's own word
            {"prompt": "How many?", "chosen": "54", "rejected": "55"},
            {"question_key": "prompt", "answer_key": "chosen"},
            ("How many?", "54"),
        ),
        (  # TinyGSM-style, with other columns
            {"user": "How many?", "assistant": "```python\nresult = 54\n```"},
            {"question_key": "user", "answer_key": "assistant"},
            ("How many?", "```python\nresult = 54\n```"),
        ),
        (  # Alpaca: most rows have no input
            {"instruction": "Add 2 and 3.", "input": "", "output": "5"},
            {"question_key": ["instruction", "input"], "answer_key": "output"},
            ("Add 2 and 3.", "5"),
        ),
        (
            {"question": "How many?", "answer": 54},
            {"final_key": "answer", "answers": "final"},
            ("How many?", "#### 54"),
        ),
        (
            {"question": "How many?", "answer": "6*9", "result": "so\n#### 54.0"},
            {"final_key": "result"},
            ("How many?", "6*9\n#### 54"),
        ),
        (
            {"question": "How many?", "answer": "6*9", "result": [54.0]},
            {"final_key": "result"},
            ("How many?", "6*9\n#### 54"),
        ),
        (  # no annotation: it states no calculation
            {"question": "Print n.", "answer": "cout << n << endl; x = y >> 1; See <<Chapter 3>>, 1 << 4 and 8 >> 2."},
            {},
            ("Print n.", "cout << n << endl; x = y >> 1; See <<Chapter 3>>, 1 << 4 and 8 >> 2."),
        ),
        (
            {"question": "How many?", "why": "6 times 9", "answer": "#### 54"},
            {"answer_key": ["why", "answer"]},
            ("How many?", "6 times 9\n#### 54"),
        ),
    ],
)
def test_columns(
    kind: str, row: dict[str, Any], keys: dict[str, Any], expected: tuple[str, str], tmp_path: Path
) -> None:
    assert texts(source_of(tmp_path, [row], kind, **keys)) == [expected]


@pytest.mark.parametrize(
    ("row", "keys", "complaint"),
    [
        ({"question": "Q", "answer": ["a", "b"]}, {}, "line 1: column 'answer': expected text"),
        ({"question": "Q", "answer": "54"}, {"answers": "final"}, "no last line `#### <number>`; set final_key"),
        ({"question": "Q", "answer": "a"}, {"final_key": "n"}, "line 1 has no column 'n'"),
        ({"question": "Q", "answer": "a", "n": None}, {"final_key": "n"}, "column 'n': expected text, got NoneType"),
        ({"question": "Q", "answer": "a", "n": True}, {"final_key": "n"}, "column 'n': expected text, got bool"),
        (
            {"question": "Q", "answer": ["a", 3], "n": 3},
            {"final_key": "n"},
            "column 'answer': expected text, or a list",
        ),
        ({"a": None, "b": "", "answer": "a"}, {"question_key": ["a", "b"]}, "question_key: .*'a': expected text, got"),
        ({"a": "Q", "answer": "a"}, {"question_key": ["a", "b"]}, "has no column 'b'"),
        ({"question": "Q", "answer": "<<6*9=54>>"}, {}, "line 1: the answer is empty after its .*annotations: unwrap"),
        ({"question": "Q", "answer": "a\n#### 5", "n": 5}, {"final_key": "n"}, "has a line `#### ...` already"),
        ({"question": "Q", "answer": "#### 5\rDone"}, {"answers": "final"}, "no last line `#### <number>`"),
        (
            {"prompt": "Q", "chosen": "a", "rejected": "b"},
            {},
            "no column 'answer'.* preference data, which is not for fine-tuning.* 'chosen' as answer_key",
        ),
        (
            {"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []},
            {"messages_key": "messages"},
            "no column 'messages'.* preference data",
        ),
        (
            {"prompt": "Q", "chosen": "a", "rejected": "b"},
            {"question_key": "prompt", "answer_key": "rejected"},
            "'rejected' of preference data holds the answers that are not wanted",
        ),
        (
            {"prompt": "Q", "completion": "a", "label": False},
            {"question_key": "prompt", "answer_key": "completion"},
            "line 1: label is false, so this completion is not wanted",
        ),
        (
            {"prompt": TWO["messages"][:3], "completion": TWO["messages"][3:]},
            {"question_key": "prompt", "answer_key": "completion"},
            "column 'prompt': expected one turn of the user, got user, assistant, user; .* messages_key",
        ),
        (
            {"Problem": "Q", "Rationale": "R", "options": "a ) 5 , b ) 54", "correct": "b"},
            {"question_key": "Problem", "answer_key": "Rationale", "final_key": "correct"},
            "line 1: 'b' is the letter of an option, .* add 'options' to question_key",
        ),
        (
            {"Question": "Joan found N_00 shells and N_01 more.", "Numbers": "70.0 27.0", "Answer": 97.0},
            {"question_key": "Question", "answer_key": "Answer", "final_key": "Answer", "answers": "final"},
            "line 1: N_00, N_01 stand for numbers in a column of their own",
        ),
    ],
)
def test_what_is_no_example(row: dict[str, Any], keys: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"source mine: .*{complaint}"):
        texts(source_of(tmp_path, [row], **keys))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_conversation_of_several_turns(kind: str, tmp_path: Path) -> None:
    rows = [chat(("user", "2+2?"), ("assistant", "4"), ("user", "and 3?"), ("assistant", "7"))]
    (example,) = read_examples(source_of(tmp_path, rows, kind, messages_key="messages"), 0, "train")
    assert example.exchanges == (("2+2?", "4"), ("and 3?", "7"))
    assert (example.question, example.answer, example.earlier) == ("and 3?", "7", (Exchange("2+2?", "4"),))
    assert (example.source, example.place.rpartition("/")[2]) == (
        "mine",
        f"rows.{kind}, {'line' if kind == 'jsonl' else 'row'} 1",
    )
    assert example.id == ("c7" if kind == "jsonl" else None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (TWO, ("2+2?", "4", "and 3?", "7")),
        (chat(("system", "Be short."), ("user", "2+2?"), ("assistant", "4")), ("Be short.\n\n2+2?", "4")),
        (chat(("user", "2+2?"), ("assistant", "4"), ("user", "thanks")), ("2+2?", "4")),
        (chat(("system", ""), ("user", "2+2?"), ("assistant", "4")), ("2+2?", "4")),
        (
            chat(("user", "2+2?"), ("assistant", "4"), ("system", "In French."), ("User", "3?"), ("model", "trois")),
            ("2+2?", "4", "In French.\n\n3?", "trois"),
        ),
        (
            {
                "messages": [
                    {"role": None, "content": None, "from": "human", "value": "2+2?"},
                    {"role": None, "content": None, "from": "gpt", "value": "4"},
                ]
            },
            ("2+2?", "4"),
        ),
        (
            {"messages": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},
            ("2+2?", "4"),
        ),
    ],
)
def test_forms_of_a_conversation(row: dict[str, Any], expected: tuple[str, ...], tmp_path: Path) -> None:
    assert texts(source_of(tmp_path, [row], messages_key="messages")) == [expected]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (chat(("user", "2+2?"), ("tool", "4")), "a turn of the role 'tool'"),
        (chat(("user", "2+2?"), ("assistant", " ")), "an empty turn"),
        (chat(("user", "2+2?"), ("assistant", None)), "an empty turn"),
        (chat(("user", "2+2?"), ("user", "4?"), ("assistant", "8")), "two turns of one side in a row"),
        (chat(("assistant", "Hello"), ("user", "Hi"), ("assistant", "8")), "the assistant speaks first"),
        (
            {
                "messages": [
                    {"from": "gpt", "value": "4"},
                    {"from": "human", "value": "a"},
                    {"from": "gpt", "value": "b"},
                ]
            },
            "the assistant speaks first",
        ),
        (  # OpenAI's format of fine-tuning
            {
                "messages": [
                    {"role": "user", "content": "Weather?"},
                    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
                    {"role": "tool", "tool_call_id": "1", "content": "sunny"},
                    {"role": "assistant", "content": "Sunny."},
                ],
                "tools": [{"type": "function", "function": {"name": "weather"}}],
                "parallel_tool_calls": False,
            },
            "a call of a tool",
        ),
        (chat(("user", "2+2?"), ("assistant", "<<2+2=4>>")), "an empty turn"),
        (
            {
                "messages": [
                    *TWO["messages"][:3],
                    {"role": "assistant", "content": "I ask.", "tool_calls": [{"id": 1}]},
                ]
            },
            "a call of a tool",
        ),
        (
            {"messages": [*TWO["messages"][:3], {"role": "assistant", "content": "7", "weight": 0}]},
            "a turn of weight 0",
        ),
        (chat(("user", "2+2?")), "no answer"),
        (chat(), "no answer"),
    ],
)
def test_conversations_that_cannot_be_used_are_counted(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, [TWO, row, row], messages_key="messages")
    left_out: Counter[str] = Counter()
    examples = read_examples(source, 0, "train", left_out=left_out)
    assert [example.texts for example in examples] == [("2+2?", "4", "and 3?", "7")]
    assert [(name.startswith(reason), number) for name, number in left_out.items()] == [(True, 2)]
    with pytest.raises(RecipeError, match=f"source mine: messages_key: no conversation can be used: {reason}"):
        read_examples(source_of(tmp_path, [row], messages_key="messages"), 0, "train")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"messages": "2+2?"}, "column 'messages': expected a list of turns"),
        ({"messages": ["2+2?"]}, "turn 1: expected {role: ..., content: ...}"),
        ({"messages": [{"role": "user", "text": "2"}]}, "turn 1: expected .* got an object with 'role', 'text'"),
        ({"messages": [{"role": "user", "content": 3}]}, "turn 1: expected text, got int"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "turn 1: .*surrogate"),
        ({"chat": []}, "has no column 'messages'"),
    ],
)
def test_what_is_no_conversation(row: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(RecipeError, match=f"source mine: messages_key: .*{complaint}"):
        read_examples(Source(name="mine", kind="file", path=str(path), messages_key="messages"), 0, "train")


@pytest.mark.parametrize(
    "turn", ['{"role": "user", "content": "a", "content": "b"}', '{"from": "human", "from": "gpt", "value": "a"}']
)
def test_a_key_that_a_turn_has_twice_is_refused(turn: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    fine = '{"role": "user", "content": "Q", "n": 1, "n": 2}, {"role": "assistant", "content": "A"}'
    source = Source(name="mine", kind="file", path=str(path), messages_key="messages")
    path.write_text(f'{{"messages": [{fine}]}}\n')
    assert read_examples(source, 0, "train")[0].texts == ("Q", "A")
    path.write_text(f'{{"messages": [{fine}]}}\n{{"messages": [{fine}, {turn}]}}\n')
    with pytest.raises(RecipeError, match=r"line 2: column 'messages': turn 3 has the key '(content|from)' more than"):
        read_examples(source, 0, "train")
