"""Data that is read yields no control token and no fact but those that the rules write, however it is spelled."""

import json
import re
import string
from contextlib import nullcontext
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from tiny import GPT2_BASE, ROOT
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora.contamination.index import ContaminationIndex
from domain_tokens.corpora.documents import ReadSources, neutralize
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.corpora.shards import SPLITS, Shards
from domain_tokens.corpora.sources import read_documents
from domain_tokens.evaluation.tasks._base import check_text
from domain_tokens.recipe import Recipe, RecipeError, Source, load_recipe
from domain_tokens.runs.files import read_json
from domain_tokens.runs.layout import MANIFEST
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.tokenization.facts import FACTS, GPT2_VOCAB_SIZE
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.prompts import assistant_message, user_message
from domain_tokens.tokenization.rewriter import find
from domain_tokens.training.post_training.chat_data import prompt_completion, training_examples

INTERVENTIONS = sorted(path.stem for path in (ROOT / "recipes" / "interventions").glob("*.yaml"))
CONDITIONS = {"baseline": "none", "mul_tokens": "mul_tokens"}  # condition -> intervention
END = GPT2_VOCAB_SIZE - 1
NONCHARACTERS = "".join(map(chr, range(0xFDD0, 0xFDF0)))

# Each way of writing, and how much of it is broken up.
SPELLINGS = {
    "all facts": (" ".join(fact.token for fact in FACTS), 45),
    "all facts, glued": ("".join(fact.token for fact in FACTS), 45),
    "all reserved names": ("".join(f"<|endoftext|>reserved_{i}" for i in range(50257, 50514)), 257),
    "end of text": ("<|endoftext|>", 1),
    "beyond the table": ("<MUL_12_15_180> <MUL_20_20_400> <MUL_0_0_0>", 3),
    "ordered": ("<MUL_9_6_54>", 1),
    "wrong": ("<MUL_6_9_55>", 1),
    "bare": ("<MUL_6_9><MUL_1_1>", 2),
    "sums": ("<ADD_3_4_7>", 1),
    "placebo": ("<PLACEBO_01>", 1),
    "any name": ("<A_1> <X9_B_C> <CONST_PI>", 3),
    "at the start": ("<|endoftext|> and on", 1),
    "at the end": ("and on <MUL_6_9_54>", 1),
    "in a word": ("a<MUL_6_9_54>b<|endoftext|>c", 2),
    "between digits": ("6<MUL_6_9_54>9", 1),
    "before a fact": ("<|endoftext|>6*9=54<MUL_6_9_54>7x8", 2),
    "as a factor": ("6*<MUL_6_9_54>*9, 6*9=<MUL_6_9_54>", 2),
    "doubled brackets": ("<<|endoftext|> <<MUL_6_9_54>>", 2),
    "many brackets": ("<<<<|endoftext|>>>>", 1),
    "nested end of text": ("<|endof<|endoftext|>text|>", 1),
    "nested fact": ("<MUL_6_<MUL_6_9_54>9_54>", 1),
    "nested one in the other": ("<|endof<MUL_6_9_54>text|><MUL_6_9<|endoftext|>_54>", 2),
    "nested three times": ("<MUL_<MUL_<MUL_6_9_54>6_9_54>6_9_54>", 1),
    "a fact inside a name": ("<MUL_6*9_54> <MUL_6_9_6*9=54> <6*9=54>", 0),
    "broken up before": ("< |endoftext|> < MUL_6_9_54> <  MUL_6_9_54>", 0),
    "broken up and not": ("< <MUL_6_9_54> < <|endoftext|>", 2),
    "on lines of their own": ("\n<|endoftext|>\n\n<MUL_6_9_54>\r\n<MUL_6_9_54>\r", 3),
    "over two lines": ("<|endof\ntext|> <MUL_6\n_9_54> <\nMUL_6_9_54>", 0),
    "zero width inside": ("<MUL_6\u200b_9_54> <|endof\u200btext|> <\u2060MUL_6_9_54> <MUL_6_9_54\ufeff>", 0),
    "zero width around": ("\u200b<MUL_6_9_54>\u200d<|endoftext|>\ufeff", 2),
    "soft hyphen and joiner": ("<|end\u00adoftext|> <MUL\u034f_6_9_54>", 0),
    "escaped for HTML": ("&lt;|endoftext|&gt; &#60;MUL_6_9_54&#62;", 0),
    "half escaped": ("&lt;<MUL_6_9_54>&gt;", 1),
    "full width": ("＜|endoftext|＞ ＜MUL_6_9_54＞ <｜endoftext｜> <MUL＿6＿9＿54> <MUL_６_9_54>", 0),
    "other brackets": ("‹|endoftext|› ⟨MUL_6_9_54⟩ 《MUL_6_9_54》", 0),
    "other digits": ("<MUL_٦_٩_54> <MUL_²_9_18> <MUL_六_九_54>", 0),
    "other letters": ("<МUL_6_9_54> <|еndoftext|>", 0),  # Cyrillic М and е
    "lower case": ("<mul_6_9_54> <Mul_6_9_54> <|endOfText|>", 0),
    "upper case": ("<|ENDOFTEXT|>", 0),
    "combining behind": ("<MUL_6_9_54>\u0301 <|endoftext|>\u0338", 2),
    "combining inside": ("<MUL_6\u0301_9_54> <\u0338MUL_6_9_54>", 0),
    "right to left": ("\u202e<MUL_6_9_54>\u202c \u2067<|endoftext|>\u2069", 2),
    "right to left inside": ("<MUL\u200f_6_9_54>", 0),
    "in JSON": ('{"text": "<|endoftext|>", "a": ["<MUL_6_9_54>"]}', 2),
    "escaped in JSON": (r"\u003c|endoftext|\u003e <\u004dUL_6_9_54>", 0),
    "in Markdown": ("**<MUL_6_9_54>** `<|endoftext|>` [x](<MUL_6_9_54>) > <|endoftext|>", 4),
    "in code": ("```python\nEOS = '<|endoftext|>'\nprint(\"<MUL_6_9_54>\\n\")\n```", 2),
    "behind a backslash": (r"\<|endoftext|\> \<MUL_6_9_54>", 1),
    "in a template": ("{{ eos_token }}{{ '<|endoftext|>' }}", 1),
    "in a file": ("<T_1><T_2>list<T_1>", 3),
    "byte pairs as written in a vocabulary": ("Ġ<|endoftext|>Ċ<MUL_6_9_54>", 2),
    "other models' markers": ("<s></s><|im_start|><|eot_id|><pad>[EOS]</MUL_6_9_54>", 0),
    "not quite names": ("<MUL> <MUL_> <_MUL_6> <MUL__6> <6_9> <MUL_6_9_54 > <MUL-6-9-54> <|endoftext|", 0),
    "a thousand": ("<|endoftext|><MUL_6_9_54>" * 1000, 2000),
    "a thousand, nested": ("<MUL_6_9_" * 1000 + "<MUL_6_9_54>" + "_54>" * 1000, 1),
    "a mark before a longer number": ("\ufdd06*95", 1),
    "a mark before what the rules leave": ("a\ufdd06*9% \ufdd06*9=55 16\ufdd0*9 2*\ufdd06*9", 4),
    "a mark before a fact": ("\ufdd06*9 \ufdd06*9=54", 2),
    "a sentinel before a fact": ("\ufdd16*9=54 \ufdd16*9=540 x\ufdd19*6=54y", 3),
    "both noncharacters": ("\ufdd0\ufdd1 \ufdd1\ufdd06*95 \ufdd0\ufdd16*9=55", 6),
    "noncharacters in names": ("<MUL_6\ufdd0_9_54> <\ufdd1|endoftext|> \ufdd0<MUL_6_9_54>\ufdd1", 5),
    "other noncharacters": ("\ufdd26*95 \uffff6*95 \ufdef6*9=54 \ufdcf\ufdf0", 2),
    "with a null": ("\0<|endoftext|>\0 <MUL_6\0_9_54>", 1),
}


@cache
def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    return build_tokenizer(load_intervention(ROOT / f"recipes/interventions/{name}.yaml"))


intervention_in = cache(intervention_of)  # which checks it at every call


def tokens_in(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return whatever an encoding holds beside GPT-2's text, by name."""
    return [tokenizer.convert_ids_to_tokens(i).removeprefix("\ufdd1").removeprefix(" ") for i in ids if i >= END]


def written_in(text: str, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    """Return the tokens that the rules themselves write for a text, which holds none of their own characters."""
    assert not count_nonchars(text)
    intervention = intervention_in(tokenizer)
    names = set(intervention.token_names())
    return [site.replacement for site in find(text, intervention) if site.replacement in names]


def without_spaces(text: str) -> str:
    """Return a text without what neutralizing may do to it."""
    return re.sub("[\ufdd0-\ufdef]", "\ufffd", text).replace("< ", "<")


def count_nonchars(text: str) -> int:
    return sum("\ufdd0" <= character <= "\ufdef" for character in text)


def is_name(inside: str) -> bool:
    """Return whether `<inside>` is a token's name; written out, without a regular expression."""
    capitals, digits = set(string.ascii_uppercase), set(string.digits)
    parts = inside.split("_")
    named = len(parts) > 1 and inside[:1] in capitals and all(parts) and set("".join(parts)) <= capitals | digits
    return named or inside == "|endoftext|"


def count_spelled(text: str) -> int:
    brackets = [place for place, character in enumerate(text) if character in "<>"]
    pairs = [(one, two) for one, two in pairwise(brackets) if text[one] == "<" and text[two] == ">"]
    return count_nonchars(text) + sum(is_name(text[one + 1 : two]) for one, two in pairs)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_only_the_rules_write_tokens(name: str) -> None:
    tokenizer = tokenizer_of(name)
    for spelling, (source, _) in SPELLINGS.items():
        text, _ = neutralize(source)
        assert tokens_in(tokenizer.encode(text), tokenizer) == written_in(text, tokenizer), spelling
        within = f"so\n{text} it"
        ids = tokenizer(within, add_special_tokens=True)["input_ids"]
        assert tokens_in(ids, tokenizer) == written_in(within, tokenizer), spelling


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_more_than_a_space_is_added_and_it_is_counted(spelling: str) -> None:
    source, expected = SPELLINGS[spelling]
    text, number = neutralize(source)
    assert number == expected
    assert without_spaces(text) == without_spaces(source)
    assert len(text) - len(source) == number - count_nonchars(source)
    assert neutralize(text) == (text, 0)


def test_what_is_not_broken_up_would_be_read_as_tokens() -> None:
    fact, end = "<MUL_6_9_54>", "<|endoftext|>"
    cases = {
        "none": (f"{end}{fact}", [end]),
        "mul_tokens": (f"{end}a{fact}", [end, fact]),
        "mul_bare": ("<MUL_6_9>", ["<MUL_6_9>"]),
        "mul_20": ("<MUL_12_15_180>", ["<MUL_12_15_180>"]),
        "literal": ("\ufdd16*9=540", []),  # the rules set marks of their own alone
        "placebo_sites": (f"<|endof{end}text|><SYMBOL_01>", [end, "<SYMBOL_01>"]),
    }
    for name, (text, expected) in cases.items():
        tokenizer = tokenizer_of(name)
        assert tokens_in(tokenizer.encode(text), tokenizer) == expected
        assert tokens_in(tokenizer.encode(neutralize(text)[0]), tokenizer) == []
    marked = tokenizer_of("mul_tokens")
    for text in ("\ufdd06*9=55", "<MUL_\ufdd06_9_54>"):
        assert tokens_in(marked.encode(text), marked) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_evaluation_refuses_what_is_broken_up_elsewhere(spelling: str) -> None:
    text, number = SPELLINGS[spelling]
    expected = pytest.raises(RecipeError, match="row 3") if number else nullcontext()
    with expected:
        check_text(text, "row 3")


pieces = st.sampled_from(
    ["<", ">", "|", "<|", "|>", "<|endof", "endoftext", "text|>", "<|endoftext|>", "reserved_50257"]
    + ["<MUL_6", "<MUL_6_9", "MUL", "_", "6", "_9", "_54>", "<MUL_6_9_54>", "<MUL_6_9>", "<MUL_12_15_180>"]
    + ["<PLACEBO_01>", "6*9", "=54", "9 x 6 = 54", "=55", "%", "*", "a", "é", " ", "\n", "\u200b", "\u0301", "\0"]
    + ["\ufdd0", "\ufdd1", "\ufdd2", "\ufdef", "\ufffd"]
)
anything = st.one_of(pieces, st.text(st.characters(exclude_categories=("Cs",)), max_size=8))


@pytest.mark.parametrize("name", INTERVENTIONS)
@settings(max_examples=examples(60))
@given(st.lists(anything, max_size=14).map("".join))
def test_whatever_is_put_together(name: str, source: str) -> None:
    tokenizer = tokenizer_of(name)
    text, _ = neutralize(source)
    assert tokens_in(tokenizer.encode(text), tokenizer) == written_in(text, tokenizer)


@settings(max_examples=examples(500))
@given(st.lists(anything, max_size=14).map("".join))
def test_whatever_is_put_together_is_counted_and_stays(source: str) -> None:
    text, number = neutralize(source)
    assert number == count_spelled(source)
    assert count_spelled(text) == 0
    assert without_spaces(text) == without_spaces(source)
    assert len(text) - len(source) == number - count_nonchars(source)
    assert neutralize(text) == (text, 0)
    if not number:
        assert text == source


@settings(max_examples=examples(300))
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<" + NONCHARACTERS)))
def test_text_without_spellings_is_unchanged(source: str) -> None:
    assert neutralize(source) == (source, 0)


# What is harmless by itself and would be a token, or another fact, if nothing stood between the two.
HALVES = [
    ("a <|endof", "text|> b"),
    ("a <", "|endoftext|> b"),
    ("<|endoftext|", "> #### 5"),
    ("<|endoftext", "|>reserved_50257"),
    ("how <MUL_6_9", "_54> many"),
    ("<", "MUL_6_9_54>"),
    ("<MUL_6_9_54", ">"),
    ("<MUL_6_", "9>"),
    ("<PLACEBO", "_01>"),
    ("6", "*9=54"),
    ("6*9", "=54"),
    ("6*9=5", "4"),
    ("1", "6*9=54"),
    ("q", "ends in <"),
    ("q", "ends in <|endoftext|"),
    ("q", "ends in <|endof"),
    ("q", "ends in <MUL_6_9_54"),
    ("ends in <MUL_6_9_54 ", "> \n"),
    ("  <|endoftext|>\u2028", "\u2028<MUL_6_9_54>\x1f"),
    ("ends in \ufdd0", "6*95"),
    ("ends in \ufdd1", "6*9=54"),
    ("User: <|endoftext|>\nAssistant: 6*9", "Assistant:<|endoftext|>"),
    ("{{ eos_token }}", "{{ eos_token }}{% endgeneration %}"),
]


@pytest.mark.parametrize(("question", "answer"), HALVES)
@pytest.mark.parametrize("name", INTERVENTIONS)
def test_two_halves_make_no_token_in_a_conversation(name: str, question: str, answer: str) -> None:
    tokenizer = tokenizer_of(name)
    asked = user_message(neutralize(question)[0])
    messages = asked + assistant_message(neutralize(answer)[0])
    text = tokenizer.apply_chat_template(messages, tokenize=False).removesuffix("<|endoftext|>")
    ids = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
    assert ids[-1] == END
    assert tokens_in(ids[:-1], tokenizer) == written_in(text, tokenizer)
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert END not in prompt


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_two_halves_make_no_token_in_two_columns(name: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(name)
    source = rows_of(tmp_path / "data.jsonl", HALVES)
    for place, text, _ in read_documents(source, 0, 0.1, 0, 1):
        broken_up, _ = neutralize(text)
        assert tokens_in(tokenizer.encode(broken_up), tokenizer) == written_in(broken_up, tokenizer), place


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


# A file says the same thing in several ways, and annotations are taken out before a text is looked at.
READ = [
    (r'"\u003c|endoftext|\u003e"', "<|endoftext|>"),
    (r'"<\u004dUL_6_9_54>"', "<MUL_6_9_54>"),
    ('"<|endof<<6*9=54>>text|>"', "<|endoftext|>"),
    ('"<MUL_6<<1+1=2>>_9_54>"', "<MUL_6_9_54>"),
    ('"<<<|endoftext|>>>"', "<<<|endoftext|>>>"),  # no calculation, so no annotation
    (r'"<\ufdd0|endoftext|> \ufdd06*95"', "<\ufdd0|endoftext|> \ufdd06*95"),
]


def rows_of(path: Path, pairs: list[tuple[str, str]]) -> Source:
    rows = [json.dumps({"question": question, "answer": answer}) for question, answer in pairs]
    rows += [f'{{"question": {written}, "answer": {written}}}' for written, _ in READ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Source(name="mine", kind="file", path=str(path), text_key=["question", "answer"])


def attacks() -> list[tuple[str, str]]:
    """Return questions and answers of every spelling that a file may hold, and the halves."""
    texts = [text for text, _ in SPELLINGS.values() if "<<" not in text and "\0" not in text]
    spellings = [(text, f"{text}\n#### 1") for text in texts]
    return [*spellings, *HALVES]


def recipe_of(condition: str, *overrides: str) -> Recipe:
    return load_recipe([f"recipes/{condition}.yaml", "recipes/scales/demo.yaml", GPT2_BASE, *overrides])


@pytest.mark.usefixtures("in_root")
def test_documents_and_shards(tmp_path: Path) -> None:
    pairs = attacks()
    rows_of(tmp_path / "data.jsonl", pairs)
    joined = [f"{question}\n{answer}" for question, answer in [*pairs, *((read, read) for _, read in READ)]]
    reported = {}
    for condition, intervention in CONDITIONS.items():
        recipe = recipe_of(
            condition,
            f"output_dir={tmp_path}/out",
            "corpus.num_shards=1",
            "corpus.num_workers=1",
            "corpus.validation_fraction=0.2",
            "pretrain.max_steps=50",
            f"corpus.sources.0={{name: mine, kind: file, path: {tmp_path}/data.jsonl, text_key: [question, answer]}}",
        )
        read = {
            document.id: document.text
            for rank in range(2)
            for document in ReadSources(recipe.corpus, ContaminationIndex([]), False, tmp_path).run(None, rank, 2)
        }
        assert read == {f"mine/{index}": neutralize(text)[0] for index, text in enumerate(joined)}
        prepare_data(recipe)
        manifest = read_json(recipe.documents_dir / MANIFEST)
        assert manifest["neutralized_markers"] == sum(neutralize(text)[1] for text in joined)
        tokenizer = tokenizer_of(intervention)
        reported[condition] = read_json(recipe.corpus_dir / MANIFEST)["reported"]
        expected = sorted((text, written_in(text, tokenizer)) for text in read.values())
        found = [document for split in SPLITS for document in documents_of(recipe.corpus_dir / split)]
        assert len(found) == len(joined)
        assert {ids.count(END) for ids in found} == {1}
        assert {ids[-1] for ids in found} == {END}
        assert sorted(tokens_in(ids[:-1], tokenizer) for ids in found) == sorted(facts for _, facts in expected)
        if condition == "baseline":
            assert sorted(tokenizer.decode(ids[:-1]) for ids in found) == [text for text, _ in expected]
    same = ("documents", "source_bytes", "document_order_sha256")
    for split in SPLITS:
        assert [reported["baseline"][split][key] for key in same] == [
            reported["mul_tokens"][split][key] for key in same
        ]


def documents_of(folder: Path) -> list[list[int]]:
    shards = Shards(folder)
    ends = [0, *shards.document_ends.tolist()]
    return [shards.read(start, stop).tolist() for start, stop in pairwise(ends)]


@pytest.mark.usefixtures("in_root")
def test_examples(tmp_path: Path) -> None:
    pairs = attacks()
    source = rows_of(tmp_path / "data.jsonl", pairs)
    stripped = [*pairs, *((json.loads(written), read) for written, read in READ)]  # of the answers alone
    markers = sum(neutralize(text)[1] for pair in stripped for text in pair)
    results = []
    for condition, intervention in CONDITIONS.items():
        tokenizer = tokenizer_of(intervention)
        examples, account = training_examples(recipe_of(condition), [source], "sft", tokenizer, 10**6)
        results.append((examples, account))
        assert account.neutralized_markers == markers
        read = [(example.question, example.answer) for example in examples]
        assert read == [(neutralize(question)[0], neutralize(answer)[0]) for question, answer in stripped]
        for row in prompt_completion(examples):
            messages = row["prompt"] + row["completion"]
            text = tokenizer.apply_chat_template(messages, tokenize=False).removesuffix("<|endoftext|>")
            ids = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
            assert tokens_in(ids, tokenizer) == [*written_in(text, tokenizer), "<|endoftext|>"]
    assert results[0] == results[1]
