"""A row is what its line says: in every kind of file, wherever it stands, and with its place in every message."""

import bz2
import gzip
import json
import lzma
import tracemalloc
from pathlib import Path

import pyarrow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.local_data.row import Row, is_blank
from domain_tokens.local_data.rows import read_rows
from domain_tokens.recipe import RecipeError

MIXED = [{"text": 'a\nb "q" \\'}, {"text": 3}, {"text": None}, {"text": ["a"]}, {"text": {"a": 1}}, {"other": True}]

TEXTS = st.text()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=6)


def written(rows: list[dict], name: str) -> str:
    if name == "lines.jsonl" or name == "lines.json":
        return "".join(json.dumps(row, ensure_ascii=name == "lines.json") + "\n" for row in rows)
    if name == "pretty.json":
        return "\n".join(json.dumps(row, indent=2) for row in rows)
    return json.dumps(rows, indent=None if name == "array.json" else 1)


NAMES = ("lines.jsonl", "lines.json", "pretty.json", "array.json", "indented.json", "array.jsonl")


@pytest.mark.parametrize("name", NAMES)
def test_no_type_is_guessed_for_a_column(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(written(MIXED, name))
    rows = list(read_rows(tmp_path / name))
    assert rows == MIXED
    number = "line 3" if name == "lines.jsonl" else "row 3"
    assert rows[2].place == f"{tmp_path / name}, {number}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@pytest.mark.parametrize("name", NAMES)
@given(rows=ROWS, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_every_row_is_read_as_it_was_written(name: str, rows: list[dict], encoding: str, folder: Path) -> None:
    path = folder / name
    path.write_bytes(written(rows, name).encode(encoding))
    assert list(read_rows(path)) == rows


def test_a_number_far_down_changes_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    text = 'said "so"\n' + 2000 * "x"
    with path.open("w") as file:
        for _ in range(5300):
            file.write(json.dumps({"unread": None, "text": text}) + "\n")
        file.write('{"unread": "text", "text": 7}\n')
    assert path.stat().st_size > 10_000_000  # a columnar reader takes this much at once
    rows = list(read_rows(path, ["text"]))
    assert all(row.text("text", "here") == text for row in rows[:-1])
    with pytest.raises(RecipeError, match=r"rows\.jsonl, line 5301: column 'text': expected text, got int"):
        rows[-1].text("text", "here")


def test_a_large_file_is_not_held(tmp_path: Path) -> None:
    rows = ({"text": 2000 * "x", "number": number} for number in range(2000))
    lines = [json.dumps(row) for row in rows]
    for name, content in (("a.jsonl", "\n".join(lines)), ("b.json", "[\n" + ",\n".join(lines) + "\n]")):
        path = tmp_path / name
        path.write_text(content)
        tracemalloc.start()
        assert sum(1 for _ in read_rows(path)) == 2000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 0.1 * path.stat().st_size


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "a"}\n\n{"text": ', "line 3: not readable as json"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "line 2: expected an object, {...}, got list"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', "line 2: not UTF-8 text"),
        ("a.jsonl", '{"text": "a"}\n'.encode("utf-16-le"), "line 1: not text: it holds the character NUL"),
        (
            "a.jsonl",
            '{"text": "a"}\n{"text": "b"}\n'.encode("utf-16")[:-1],
            "not UTF-8 text, nor the UTF-16 that its byte order mark says: truncated",
        ),
        ("a.jsonl", b"[" * 100_000, "line 1: not readable as json"),
        ("a.jsonl", b'{"text": "a"} {"text": "b"}\n', "line 1: not readable as json: Extra data"),
        ("a.json", b'[{"a": 1},\n{"a": 2}', "line 2: not readable as json: the array has no end"),
        ("a.json", b'[{"a": 1},\n{"a": 2},\n]', "line 3: not readable as json"),
        ("a.json", b'[{"a": 1}\n{"a": 2}]', "line 2: not readable as json: expected a comma"),
        ("a.json", b'[{"a": 1}]\n{"a": 2}', "line 2: not readable as json: more text"),
        ("a.json", b'[{"a": 1}, 2]', "row 2: expected an object, {...}, got int"),
        ("a.json", b'{"a": 1}\n{"a":\n nul}\n', "line 3: not readable as json"),
        ("a.json", b'{"a": 1}\n"b"\n', "row 2: expected an object, {...}, got str"),
        ("a.txt", b"caf\xe9", "line 1: not UTF-8 text"),
        ("a.txt", "one\n\ntwo".encode("utf-16-le"), "line 1: not text: it holds the character NUL"),
        ("a.parquet", b"", "not readable as parquet"),
        ("a.parquet", b"PAR1 nothing", "not readable as parquet"),
        ("a.csv", b"a,b", "expected a file of kind"),
        *(
            (name, b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "a pointer of Git LFS")
            for name in ("a.txt", "a.jsonl", "a.json", "a.parquet")
        ),
        ("a.jsonl", gzip.compress(b'{"text": "a"}', mtime=0), "not text but a gzip file"),
        ("a.txt", bz2.compress(b"a"), "not text but a bzip2 file"),
        ("a.txt", lzma.compress(b"a"), "not text but an xz file"),
        ("a.txt", b"PK\x03\x04 and more", "not text but a zip file"),
        ("a.json", b"PAR1\x15\x04", "not text but a parquet file"),
    ],
)
def test_damage_is_named_with_its_place(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        list(read_rows(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert message in str(caught.value)


def test_damage_far_down_has_its_line(tmp_path: Path) -> None:
    lines = [json.dumps({"text": 200 * "x"}) for _ in range(8000)]
    lines[7000] = lines[7000][:-10]
    for name, content in (("a.jsonl", "\n".join(lines)), ("a.json", "[" + ",\n".join(lines) + "]")):
        (tmp_path / name).write_text(content)
        with pytest.raises(RecipeError, match=r"line 7001: not readable as json"):
            list(read_rows(tmp_path / name))


@pytest.mark.parametrize("name", ["missing.jsonl", "missing.txt", "missing.parquet", "folder.jsonl", "folder.parquet"])
def test_a_file_that_cannot_be_opened_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(RecipeError, match=rf"{name}: not readable"):
        list(read_rows(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b""), ("a.jsonl", b"\n \n"), ("a.jsonl", b"\xef\xbb\xbf"), ("a.json", b" "), ("a.json", b"[ ]"),
        ("a.txt", b""), ("a.txt", b" \n\n\t\n"),
    ],
)  # fmt: skip
def test_an_empty_file_has_no_rows(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(read_rows(tmp_path / name)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_as_what_its_mark_says(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("first é\r\nline\r\n \r\n\r\n\rsecond\rline\r\n".encode(encoding))
    rows = list(read_rows(path))
    assert rows == [{"text": "first é\nline"}, {"text": "second\nline"}]
    assert rows[0].place == f"{path}, line 1"
    path.write_bytes("= One\n\na\n= Two\nb".encode(encoding))
    assert list(read_rows(path, None, "^= ")) == [{"text": "= One\n\na"}, {"text": "= Two\nb"}]


def test_marks_of_files_that_were_joined_are_no_text(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "a.txt").write_bytes(mark + b"one\n\n" + mark + b"two")
    (tmp_path / "a.jsonl").write_bytes(mark + b'{"text": "one"}\n' + mark + b'{"text": "two"}')
    for name in ("a.txt", "a.jsonl"):
        assert list(read_rows(tmp_path / name)) == [{"text": "one"}, {"text": "two"}]


ENDS = ("\n", "\r\n", "\r", "\r\r\n", "\r\r\r\n")
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), max_size=5), max_size=8)


@given(lines=LINES)
@example(lines=["one", "two", "", "three"])
def test_a_document_is_the_same_whatever_ends_its_lines(lines: list[str], folder: Path) -> None:
    path = folder / "ends.txt"
    read = []
    for end in ENDS:
        path.write_bytes("".join(line + end for line in lines).encode())
        read.append([row["text"] for row in read_rows(path)])
    assert read == [read[0]] * len(ENDS)
    assert sum(text.count("\n") + 1 for text in read[0]) == sum(1 for line in lines if not is_blank(line))


def test_a_carriage_return_too_many_is_no_empty_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\r\r\ntwo\r\r\n\r\r\nthree\r\r\n")
    assert list(read_rows(path)) == [{"text": "one\ntwo"}, {"text": "three"}]


def write_parquet(path: Path, columns: dict[str, object], **options: int) -> Path:
    parquet.write_table(pyarrow.table(columns), path, **options)
    return path


def test_parquet_is_read_in_batches_and_only_the_columns_asked_for(tmp_path: Path) -> None:
    numbers = range(2500)
    path = write_parquet(
        tmp_path / "a.parquet",
        {"text": [f"text {n}" for n in numbers], "a.b": [f"{n}" for n in numbers], "a": [None for _ in numbers]},
        row_group_size=700,
    )
    rows = list(read_rows(path, ["a.b", "text"]))
    assert [row["a.b"] for row in rows] == [str(n) for n in numbers]
    assert set(rows[0]) == {"a.b", "text"}
    assert rows[2400].place == f"{path}, row 2401"
    assert set(next(read_rows(path))) == {"text", "a.b", "a"}
    with pytest.raises(RecipeError, match=r"a\.parquet has no column 'b'; it has 'text', 'a\.b', 'a'"):
        list(read_rows(path, ["text", "b"]))


def test_a_column_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "other": ["c", "d"]})
    with parquet.ParquetFile(path) as file:
        chunk = file.metadata.row_group(0).column(1)
    content = bytearray(path.read_bytes())
    assert chunk.path_in_schema == "other"
    content[chunk.dictionary_page_offset : chunk.dictionary_page_offset + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"a\.parquet: not readable as parquet"):
        list(read_rows(path))
    assert list(read_rows(path, ["text"])) == [{"text": "a"}, {"text": "b"}]


def test_a_parquet_file_without_rows_is_empty(tmp_path: Path) -> None:
    for name, schema in (("a.parquet", [("text", pyarrow.string())]), ("b.parquet", [("text", pyarrow.null())])):
        parquet.write_table(pyarrow.schema(schema).empty_table(), tmp_path / name)
        assert list(read_rows(tmp_path / name, ["text"])) == []
    parquet.write_table(pyarrow.table({}), tmp_path / "c.parquet")
    assert list(read_rows(tmp_path / "c.parquet", ["text"])) == []


def test_a_parquet_file_that_is_cut_or_holds_no_text_is_named(tmp_path: Path) -> None:
    texts = ["é" * 50, *map(str, range(3000))]
    path = write_parquet(tmp_path / "a.parquet", {"text": texts}, row_group_size=500)
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(RecipeError, match=r"a\.parquet: not readable as parquet"):
        list(read_rows(path))
    damaged = pyarrow.array([b"fine", b"\xff\xfe"]).view(pyarrow.string())
    path = write_parquet(tmp_path / "b.parquet", {"text": damaged})
    with pytest.raises(RecipeError, match=r"b\.parquet, row 2: column 'text': not UTF-8 text"):
        list(read_rows(path))


def test_a_column_whose_name_is_no_text_is_one_message(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"abcdef": ["x"], "text": ["y"]})
    content = path.read_bytes()
    assert b"abcdef" in content
    path.write_bytes(content.replace(b"abcdef", b"\xff\xfecdef"))
    with pytest.raises(RecipeError, match=r"a\.parquet: not readable as parquet: the name of a column is not UTF-8"):
        list(read_rows(path, ["text"]))


@pytest.mark.parametrize(
    "kind", [pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())]
)
def test_every_kind_of_text_in_parquet_is_text(kind: pyarrow.DataType, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": pyarrow.array(["a", "b", None]).cast(kind)})
    rows = list(read_rows(path))
    assert [row.text("text", "here") for row in rows[:2]] == ["a", "b"]
    with pytest.raises(RecipeError, match=r"row 3: column 'text': expected text, got NoneType"):
        rows[2].text("text", "here")


PART = {"type": "text", "text": "How "}


def test_content_in_parts_is_joined(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"question": [[PART, PART | {"text": "many?"}]]})
    assert next(read_rows(path)).text("question", "here") == "How many?"
    assert Row.at("row 1", {"question": [PART]}).text("question", "here") == "How "


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([PART, {"type": "image_url", "image_url": "x"}], "part 2 is of type 'image_url'"),
        ([PART, "many?"], "part 2 is of another form"),
        ([{"text": "How"}], "part 1 is of another form"),
        ([{"type": "text", "text": None}], "part 1 is of another form"),
        ([{"type": ["text"], "text": "a"}], "part 1 is of type"),
        ([PART | {"text": " "}], "is empty"),
        ([], "expected text, got list"),
        ({"text": "a"}, "expected text, got dict"),
        (b"a", "expected text, got bytes"),
        (True, "expected text, got bool"),
        (" \n", "is empty"),
        ("\u200b", "is empty"),
        ("\ufeff \x1a", "is empty"),
        ("\ud83d alone", r"'\ud83d' is half of a surrogate pair"),
        ([PART | {"text": "\udc00"}], r"'\udc00' is half of a surrogate pair"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Row.at("a.jsonl, line 7", {"question": value}).text("question", "source mine: question_key")
    assert str(caught.value).startswith("source mine: question_key: a.jsonl, line 7: column 'question'")
    assert message in str(caught.value)


def test_signs_without_width_are_no_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n\u200b\n\n\u00a0\u200d\n\ntwo\u200b\n", encoding="utf-8")
    assert list(read_rows(tmp_path / "a.txt")) == [{"text": "one"}, {"text": "two\u200b"}]


def test_of_very_many_columns_a_few_are_named(tmp_path: Path) -> None:
    columns = {str(number): ["a"] for number in range(3000)}
    row = Row.at("row 1", columns)
    path = write_parquet(tmp_path / "a.parquet", columns)
    for read in (lambda: row.text("text", "here"), lambda: list(read_rows(path, ["text"]))):
        with pytest.raises(RecipeError, match=r"has no column 'text'; it has '0', .*'19' and 2980 more$"):
            read()


def test_a_column_that_a_row_has_twice_is_refused_if_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "n": 1, "n": {"text": "b"}}\n{"text": "a", "t\\u0065xt": "b"}\n')
    one, two = read_rows(path)
    assert one.text("text", "here") == "a"
    with pytest.raises(RecipeError, match="line 2: column 'text' is there more than once"):
        two.text("text", "here")


@pytest.mark.parametrize("text", ['"a", "text": "b", "type": "text"', '"a", "type": "text", "type": "image"'])
@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_a_part_has_twice_is_refused_if_it_is_read(name: str, text: str, tmp_path: Path) -> None:
    rows = [f'{{"text": [{{"type": "text", "text": "{number}", "n": 1, "n": 2}}]}}' for number in range(2)]
    rows.append(f'{{"text": [{{"type": "text", "text": "x"}}, {{"text": {text}}}]}}')
    is_array = name in ("array.json", "indented.json", "array.jsonl")
    (tmp_path / name).write_text(f"[{', '.join(rows)}]" if is_array else "\n".join(rows))
    *fine, twice = read_rows(tmp_path / name)
    assert [row.text("text", "here") for row in fine] == ["0", "1"]
    with pytest.raises(RecipeError, match=r"(line|row) 3: column 'text': part 2 has the key '(text|type)' more than"):
        twice.text("text", "here")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", ["9" * 5000, "-" + "1" * 9000])
def test_a_number_of_any_length_that_nobody_asks_for_stops_no_row(name: str, number: str, tmp_path: Path) -> None:
    rows = [f'{{"text": "{text}", "n": [{{"m": {number}}}]}}' for text in "ab"] + [f'{{"text": {number}}}']
    is_array = name in ("array.json", "indented.json", "array.jsonl")
    (tmp_path / name).write_text(f"[{', '.join(rows)}]" if is_array else "\n".join(rows))
    with pytest.raises(ValueError, match="Exceeds the limit"):
        json.loads(rows[0])
    *fine, long = read_rows(tmp_path / name)
    assert [row.text("text", "here") for row in fine] == ["a", "b"]
    with pytest.raises(RecipeError, match=r"(line|row) 3: column 'text': expected text, got "):
        long.text("text", "here")


def test_damage_behind_a_long_number_has_its_column(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": ' + "9" * 5000 + "\n")
    with pytest.raises(RecipeError, match=r"line 1: not readable as json: Expecting ',' delimiter, column 5007"):
        list(read_rows(path))


@pytest.mark.parametrize(
    "column",
    [
        pyarrow.array([10**18, 0], pyarrow.timestamp("us")),
        pyarrow.array([1, 2], pyarrow.timestamp("us", tz="Mars/Olympus")),
        pyarrow.StructArray.from_arrays([pyarrow.array(["a", "b"]), pyarrow.array(["c", "d"])], names=["k", "k"]),
    ],
)
def test_a_value_that_python_cannot_hold_stops_no_row(column: pyarrow.Array, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "other": column})
    rows = list(read_rows(path))
    assert [row["text"] for row in rows] == ["a", "b"]
    with pytest.raises(RecipeError, match="row 1: column 'other': expected text, got NoneType"):
        rows[0].text("other", "here")


def test_a_column_that_a_benchmark_has_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "Q?", "answer": 1, "answer": 2}\n')
    row = Columns(next(read_rows(tmp_path / "a.jsonl")), "row 1")
    assert row.text("question") == "Q?"
    with pytest.raises(RecipeError, match="row 1: column 'answer' is there more than once"):
        row.number("answer")


@pytest.mark.parametrize(
    "line", ["\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE} \t", "\N{IDEOGRAPHIC SPACE}", "\f", "\u200b"]
)
def test_a_line_that_shows_nothing_ends_a_paragraph(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"one\n\N{NO-BREAK SPACE}two\n{line}\nthree\n")
    texts = [row["text"] for row in read_rows(tmp_path / "a.txt")]
    assert texts == ["one\n\N{NO-BREAK SPACE}two", "three"]


@pytest.mark.parametrize("value", ["a\0b", [{"type": "text", "text": "a\0"}]])
def test_a_nul_that_json_spells_out_is_refused(value: object, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": value, "turns": [{"role": "user", "content": value}]}))
    (row,) = read_rows(tmp_path / "a.jsonl")
    with pytest.raises(RecipeError, match=r"line 1: column 'text': it holds the character NUL"):
        row.text("text", "here")
    with pytest.raises(RecipeError, match=r"line 1: column 'turns': turn 1: it holds the character NUL"):
        row.turns("turns", "here")


TABLES = {
    "columns": {"text": {"0": "a", "1": "b"}},
    "index": {"0": {"text": "a"}, "1": {"text": "b"}},
    "split": {"columns": ["text"], "index": [0, 1], "data": [["a"], ["b"]]},
    "table": {"schema": {"fields": []}, "data": [{"text": "a"}]},
}


@pytest.mark.parametrize("orient", TABLES)
def test_a_table_in_one_object_is_answered_with_how_to_write_rows(orient: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(TABLES[orient]))
    (row,) = read_rows(tmp_path / "a.json")
    with pytest.raises(
        RecipeError, match=r"; if pandas wrote it, use to_json\(\.\.\., orient='records', lines=True\)$"
    ):
        row.text("text", "here")
    with pytest.raises(RecipeError, match=r"expected text, got dict$"):
        Row.at("row 1", {"text": {"a": 1}}).text("text", "here")


def test_a_table_of_rows_without_names_is_answered_alike(tmp_path: Path) -> None:
    (tmp_path / "values.json").write_text(json.dumps([["a", "b"], ["c", "d"]]))
    with pytest.raises(RecipeError, match=r"row 1: expected an object, .*, got list; if pandas wrote it, use to_json"):
        list(read_rows(tmp_path / "values.json"))


@pytest.mark.parametrize("text", ["nan", "NaN", "None", "null", " <NA> ", "N/A"])
def test_the_name_of_a_missing_value_is_no_question_and_no_answer(text: str) -> None:
    row = Row.at("row 1", {"text": text})
    assert row.text("text", "here", is_document=True) == text
    for read in (row.text, row.lines):
        with pytest.raises(RecipeError, match="row 1: column 'text': .* stands for a missing value; remove the row"):
            read("text", "here")
    for kept in ("None of them.", "nanometer", "The answer is null."):
        assert Row.at("row 1", {"text": kept}).text("text", "here") == kept
