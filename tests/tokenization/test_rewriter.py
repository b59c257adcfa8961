"""What the rules find, in Python and in the tokenizer alike: every notation, every reason, every intervention."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import examples
from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerFast

from domain_tokens.recipe import RULES_VERSION
from domain_tokens.runs.files import sha256_json
from domain_tokens.tokenization import canonical, expand, find, inject, load_intervention, rewrite, stats
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.intervention import (
    OPERATORS,
    Facts,
    Intervention,
    Phrase,
    Rules,
    default_intervention,
)
from domain_tokens.tokenization.patterns import MARK, SENTINEL

SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "interventions").glob("*.yaml"))
EVERYTHING = Intervention(
    name="everything",
    facts=Facts(),
    rules=Rules(operators=["*", "×", "x", "·", "\\times", "\\cdot"], words=True, chinese=True),
)
SUMS = Intervention(
    name="sums",
    facts=Facts(operation="+", token="<ADD_{a}_{b}_{c}>", text="{a}+{b}={c}"),
    rules=Rules(operators=["+", "＋"], words=True, chinese=True),
)
PHRASES = Intervention(
    name="phrases",
    facts=Facts(),
    num_ids=60,
    tokens=[
        Phrase("<PLACEBO_01>", " of the"),
        Phrase("<PLACEBO_02>", "the end"),
        Phrase("<YEAR_20>", "2020", match=r"\b20[0-9]{2}\b"),
    ],
)
OTHERS = {made.name: made for made in (EVERYTHING, SUMS, PHRASES)}
INTERVENTIONS = {path.stem: load_intervention(path) for path in SHIPPED} | OTHERS


@pytest.fixture(scope="module")
def built() -> dict[str, PreTrainedTokenizerFast]:
    return {name: build_tokenizer(intervention) for name, intervention in INTERVENTIONS.items()}


def one_reason(text: str, intervention: Intervention = EVERYTHING) -> str:
    (site,) = find(text, intervention)
    assert site.verdict == "left"
    assert site.replacement is None
    return site.reason


def test_a_site_is_described() -> None:
    text = "so 9 × 6 = 54, and 16*9"
    rewritten, left = find(text)
    assert (rewritten.start, rewritten.end, rewritten.text) == (3, 13, "9 × 6 = 54")
    assert (rewritten.operands, rewritten.stated, rewritten.form) == ((9, 6), "54", "×")
    assert (rewritten.verdict, rewritten.reason, rewritten.replacement) == (
        "rewritten", "a fact with its result", "<MUL_6_9_54>",
    )  # fmt: skip
    assert (text[left.start : left.end], left.operands, left.reason) == ("16*9", None, "not in the table")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("6*95", "not in the table"),
        ("1,006*9", "part of a longer number"),
        ("3.6*9", "part of a longer number"),
        ("6*9.5", "part of a longer number"),
        (".6*9", "part of a decimal"),
        ("a6*9", "part of a word, a name or a path"),
        ("2*3_x", "part of a word, or a unit"),
        ("6*9kg", "part of a word, or a unit"),
        ("-6*9", "a sign before it"),
        ("6*9%", "a percentage"),
        ("6*9(2)", "a factor in brackets"),
        ("6*9[", "a factor in brackets"),
        ("6*9!", "a factorial"),
        ("6*9^2", "part of a chain"),
        ("12/6*9", "part of a chain"),
        (" x 6*9", "part of a chain"),
        ("6*9=55", "another result is stated"),
        ("6*9=540", "another result is stated"),
        ("6*9=54+1", "its result is written as a sum"),
        ("6*9 = 50 + 4", "its result is written as a sum"),
        ("20 - 2*5 = 10", "the result is that of a sum"),
        ("(2)6*9", "a factor in brackets"),
        ("3 6*9", "part of a longer number"),
        ("3 4 + 5 * 6 -", "a postfix expression"),
        ("2 3 * 4 5 -", "part of a longer number"),
        ("1/$6*9", "part of a chain"),
        ("a 6 × 9 grid", "a size"),
        ("6*9 cm", "a size"),
        ('"6*9", "111"', "a row of a board"),
        ("4 6 x 9 y", "part of a longer number"),
        ("the flash card 6 x 9 said", "nothing shows that x is a sign"),
        ("6*9 is 55", "another result is stated"),
        ("６*９", "not in the table"),
        ("six times ninety", None),
        ("6 times 9 years ago", "how often, and when"),
        ("minus six times nine", "a sign before it"),
        ("twenty-six times nine", "a sign before it"),
        ("hundred and six times nine", "part of a longer number"),
        ("十六乘九", "part of a longer number, a date or a name"),
        ("六乘九十", None),
        ("百分之六乘九", None),
        ("6乘9等于55", "another result is stated"),
        ("5 * 6 million", "part of a longer number"),
        ("6 times 9 times 2", None),
    ],
)
def test_what_is_left_says_why(text: str, reason: str | None) -> None:
    assert inject(text, EVERYTHING) == text
    if reason is not None:
        assert one_reason(text) == reason


@pytest.mark.parametrize(
    ("rules", "text", "reason"),
    [
        (Rules(mode="strict"), "6*9", "without its result"),
        (Rules(operators=["*"]), "6 x 9", "the rules leave out this spelling"),
        (Rules(bare_x=False), "What is 6x9?", "nothing shows that x is a sign"),
        (Rules(spaces=False), "6 * 9", "spaces"),
        (Rules(), "6 times 9", "the rules leave out this spelling"),
    ],
)
def test_what_an_option_leaves_out(rules: Rules, text: str, reason: str) -> None:
    assert one_reason(text, Intervention(name="option", facts=Facts(), rules=rules)) == reason
    assert "<MUL_6_9_54>" in inject(text, EVERYTHING)


@pytest.mark.parametrize(
    "text",
    [
        "6 times 9",
        "six times nine",
        "Six times nine is fifty-four",
        "six times nine equals fifty four",
        "9 times 6 is 54",
        "6 multiplied by 9",
        "nine times six = 54",
        "六九五十四",
        "6乘9等于54",
        "六乘以九得五十四",
        "九乘六是54",
        "6·9",
        "6⋅9",
        r"6 \times 9",
        r"6\times9=54",
        r"9 \cdot 6",
        "6x9=54",
        "6\u00a0*\u00a09",
        "6\u202f×\u202f9 = 54",
        "6\u2009*\u20099",
    ],
)
def test_every_notation(text: str, built: dict[str, PreTrainedTokenizerFast]) -> None:
    for context in ("{}", "so {}.", "({})", "{}\n", "a\n{}, b"):
        whole = context.format(text)
        assert inject(whole, EVERYTHING) == context.format("<MUL_6_9_54>")
        tokenizer = built["everything"]
        assert tokenizer.decode(tokenizer.encode(whole)) == context.format("<MUL_6_9_54>")


@pytest.mark.parametrize("text", ["6\n*9", "6*\n9", "6\t*9", "6\u3000*9", "6    *9", "６*９", "6*٩", "六 乘\n九"])
def test_what_does_not_join_two_numbers(text: str) -> None:
    assert inject(text, EVERYTHING) == text


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("5*6 = $30", "<MUL_5_6_30> = $30"),
        ("6*9 == 54", "<MUL_6_9_54> == 54"),
        ("6*9 is 54", "<MUL_6_9_54> is 54"),
        ("2x2 is four", "<MUL_2_2_4> is four"),
        (r"6*9=\boxed{54}", r"<MUL_6_9_54>=\boxed{54}"),
        ("6*9=54!", "<MUL_6_9_54>!"),
        ("**6*9=54**", "**<MUL_6_9_54>**"),
        ("is **6*9**.", "is **<MUL_6_9_54>**."),
        ("2 **6*9", "2 **6*9"),
        ("6*9**2", "6*9**2"),
        ("答案是6×9=54个", "答案是<MUL_6_9_54>个"),
        ("2 × 8 = 4 × 4", "<MUL_2_8_16> = <MUL_4_4_16>"),
        ("$5 * 2 = 2 * 5$", "$<MUL_2_5_10> = <MUL_2_5_10>$"),
        ("8 x 4 = <<8*4=32>>32", "<MUL_4_8_32> = <<<MUL_4_8_32>>>32"),
        ("6*9=54*2", "<MUL_6_9_54>=54*2"),
        ("9*5 = $45.00", "<MUL_5_9_45> = $45.00"),
        ("9*5=45.0", "<MUL_5_9_45>=45.0"),
        ("9*5 = €45,00", "<MUL_5_9_45> = €45,00"),
        ("9*5=45.5", "9*5=45.5"),
        ("9*5=45,000", "9*5=45,000"),
        ("3+4*5=23", "3+<MUL_4_5_20>=23"),
        ("20 - 3 × 6 = 2", "20 - <MUL_3_6_18> = 2"),
        ("- 6*9=54", "- <MUL_6_9_54>"),
        ("f(n)  // 6*9 = 54", "f(n)  // <MUL_6_9_54>"),
        ("n // 6*9", "n // 6*9"),
        ("6*9=54.", "<MUL_6_9_54>."),
        ("4x4 truck", "4x4 truck"),
        ("$4 x 3 at the door", "$<MUL_3_4_12> at the door"),
        ("42 = 6 x 7", "42 = <MUL_6_7_42>"),
        ("(3 x 2) + (4 x 3) + 4", "(<MUL_2_3_6>) + (<MUL_3_4_12>) + 4"),
        ("so 5 x 8 dolls = 40 dolls", "so <MUL_5_8_40> dolls = 40 dolls"),
    ],
)
def test_what_stands_around_a_fact_stays(text: str, rewritten: str) -> None:
    assert inject(text) == rewritten


@pytest.mark.parametrize(
    "text",
    ["2*3+4", "3+4*5", "10 - 3+4", "3+4-5", "1+3+4", "x+3+4", "3+4=8", "3+4=7-2", "13+4", "3.3+4", "two times 3+4"],
)
def test_a_sum_within_something_longer_is_left(text: str) -> None:
    assert inject(text, SUMS) == text


def test_sums_are_facts_like_products() -> None:
    text = "3+4=7\n- 4 + 3, three plus four is seven\n三加四等于七 2+2"
    assert inject(text, SUMS) == "<ADD_3_4_7>\n- <ADD_3_4_7>, <ADD_3_4_7>\n<ADD_3_4_7> <ADD_2_2_4>"


def test_each_shipped_intervention_does_what_it_says() -> None:
    text = "so 9 x 6 = 54, 12*15=180, 6*9=54, 7*8 and 16*9=54"
    rest = "and 16*9=54"
    assert {name: inject(text, INTERVENTIONS[name]) for name in INTERVENTIONS if name not in OTHERS} == {
        "none": text, "none_81": text, "none_210": text, "literal": text, "placebo": text,
        "single_digit": text, "digits_2": text, "r2l_3": text,
        "mul_tokens": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_strict": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, 7*8 {rest}",
        "mul_bare": f"so <MUL_6_9> = 54, 12*15=180, <MUL_6_9>=54, <MUL_7_8> {rest}",
        "mul_81": f"so <MUL_9_6_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_20": f"so <MUL_6_9_54>, <MUL_12_15_180>, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_answers": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_no_x": f"so 9 x 6 = 54, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_permuted": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_spaced": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "mul_tokens_space": f"so <MUL_6_9_54>, 12*15=180, <MUL_6_9_54>, <MUL_7_8_56> {rest}",
        "canon_result": f"so 6*9=54, 12*15=180, 6*9=54, 7*8=56 {rest}",
        "canon_bare": f"so 6*9=54, 12*15=180, 6*9=54, 7*8 {rest}",
        "ambiguous_symbol": inject(text, INTERVENTIONS["ambiguous_symbol"]),
        "placebo_sites": inject(text, INTERVENTIONS["placebo_sites"]),
        "conflated_digits": text, "wrong_numbers": text,
    }  # fmt: skip


def test_literal_tokens_are_characters(built: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = built["literal"]
    (token,) = tokenizer.encode("6*9=54")
    assert token >= 50304
    assert tokenizer.decode([token]) == "6*9=54"
    for text in ("16*9=54", "6*9=540", "11*1=11", "6 * 9 = 54"):
        ids = tokenizer.encode(text)
        assert max(ids) < 50257
        assert tokenizer.decode(ids) == text


def test_expand_reads_every_token_of_its_intervention() -> None:
    for intervention in INTERVENTIONS.values():
        for entry in intervention.entries():
            if entry.token is not None:
                assert expand(f"a {entry.token}.", intervention) == f"a {entry.text}."
    assert expand("<MUL_9_6_54> <MUL_6_9_55> <MUL_6_9_54") == "<MUL_9_6_54> <MUL_6_9_55> <MUL_6_9_54"


def test_stats_count_sites_facts_and_reasons() -> None:
    found = stats(["6*9=54 and 9 * 6", "16*9", "2*3*4", "7*8"], rare_below=2)
    assert (found.num_texts, found.num_sites, found.num_rewritten) == (4, 6, 3)
    assert found.by_fact["<MUL_6_9_54>"] == 2
    assert found.by_fact["<MUL_7_8_56>"] == 1
    assert len(found.by_fact) == 45
    assert len(found.rare) == 44
    assert "<MUL_6_9_54>" not in found.rare
    assert found.by_reason == {
        "left: part of a chain": 2, "rewritten: a fact": 2, "rewritten: a fact with its result": 1,
        "left: not in the table": 1,
    }  # fmt: skip


def test_the_default_is_the_shipped_file() -> None:
    shipped = INTERVENTIONS["mul_tokens"]
    assert (shipped.facts, shipped.rules, shipped.num_ids) == (
        default_intervention().facts, default_intervention().rules, default_intervention().num_ids,
    )  # fmt: skip


PIECES = [
    *"0123456789",
    *" \n.,=+-*x×·/^%$()!<>_",
    " * ",
    " × ",
    " x ",
    " = ",
    "**",
    "6*9",
    "6*9=54",
    "9 x 6 = 54",
    "2*3*4",
    "12*15=180",
    "16*9",
    "3+4",
    "3 + 4 = 7",
    "three plus four",
    "six times nine",
    " is ",
    "fifty-four",
    "6 times 9",
    "四十二",
    "六九五十四",
    "6乘9",
    "等于54",
    r"\times",
    " of the",
    "the end",
    "2026",
    "\u00a0",
    "a",
    "é",
    "日本",
    "<MUL_6_9_54>",
    "<PLACEBO_01>",
    "\nUser:",
    "\nAssistant:",
    "<|endoftext|>",
    "= $30",
    "5*6",
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(
    st.characters(exclude_categories=("Cs",)), max_size=40
)


@settings(max_examples=examples(1000))
@given(st.sampled_from(sorted(INTERVENTIONS)), texts)
def test_python_and_the_tokenizer_agree_and_nothing_is_lost(built, name: str, text: str) -> None:
    intervention, tokenizer = INTERVENTIONS[name], built[name]
    rewriting = rewrite(text, intervention)
    normalizer = tokenizer.backend_tokenizer.normalizer
    assert rewriting.text == (text if normalizer is None else normalizer.normalize_str(text))
    assert rewriting.restore() == text
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == rewriting.text.replace(SENTINEL, "")
    assert MARK not in rewriting.text
    free = 50304 + len(intervention.token_names())
    assert not any(50257 <= i < 50304 or i >= free for i in ids)
    cuts_numbers = intervention.numbers is not None and any(map(str.isdigit, text))
    if not rewriting.edits and not cuts_numbers and "<MUL" not in text and "<PLA" not in text and "<SYM" not in text:
        assert ids == built["none"].encode(text)
    for site in find(text, intervention):
        assert text[site.start : site.end] == site.text
    assert [
        site for site in find(text, intervention) if site.verdict == "rewritten" and site.form != "phrase"
    ] or not [edit for edit in rewriting.edits if intervention.facts and not intervention.tokens]


# Twelve to fifteen, as `mul_20` has them: the rules of its 210 facts take two seconds to compile.
TEENS = replace(INTERVENTIONS["mul_20"], facts=Facts(operands=(12, 15)), num_ids=10)


@settings(max_examples=examples(500))
@given(
    st.sampled_from(
        [INTERVENTIONS[name] for name in ("mul_tokens", "mul_tokens_strict", "mul_bare", "mul_81", "canon_result")]
        + [INTERVENTIONS["canon_bare"], SUMS, TEENS]
    ),
    texts,
)
def test_a_text_and_its_rewriting_mean_the_same(intervention: Intervention, text: str) -> None:
    text = text.replace("<MUL", "").replace("<PLA", "")
    canonical_table = intervention if intervention in (SUMS, TEENS) else default_intervention()
    rewritten = expand(inject(text, intervention), intervention)
    assert canonical(rewritten, canonical_table) == canonical(expand(text, intervention), canonical_table)


def test_a_character_that_one_library_alone_knows_as_a_letter(built) -> None:
    word = regex.compile(r"\w")
    theirs = normalizers.Replace(Regex(r"\w"), "")
    planes = (chr(code) for code in range(0x80, 0x33480) if not 0xD800 <= code < 0xE000)
    unlike = [one for one in planes if bool(word.match(one)) != (theirs.normalize_str(one) == "")]
    assert len(unlike) > 100
    for name in ("mul_tokens", "everything", "phrases"):
        normalizer = built[name].backend_tokenizer.normalizer
        for character in (*unlike[:20], *unlike[:: len(unlike) // 80]):
            for text in (
                f"{character}6*9",
                f"6*9{character}",
                f"6*9={character}54",
                f"six times nine{character} of the",
            ):
                assert rewrite(text, INTERVENTIONS[name]).text == normalizer.normalize_str(text)


def test_the_same_in_another_process() -> None:
    lines = ["6 x 9 = 54, 16*9", "**6*9=54** and 五 6×9", "2*3*4 or 5*6 = $30"]
    command = (
        "import json, sys; from domain_tokens.tokenization import inject; "
        "print(json.dumps([inject(line) for line in json.loads(sys.argv[1])]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, json.dumps(lines)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [inject(line) for line in lines]


def test_a_document_reads_the_same_alone_and_among_others(built: dict[str, PreTrainedTokenizerFast]) -> None:
    documents = ["6*9=54", "16*", "9 x 6", "6*", "9", "2*3\n", "*4"]
    tokenizer = built["mul_tokens"]
    assert tokenizer(documents)["input_ids"] == [tokenizer.encode(document) for document in documents]
    assert [tokenizer.decode(ids) for ids in tokenizer(documents)["input_ids"]] == [inject(text) for text in documents]


# Options that can be combined, and texts in which the sign of one notation follows the number of another.
COMBINED = [
    Intervention(
        "combined",
        num_ids=4,
        facts=Facts(sign, (2, 3), token=token, text=f"{{a}}{sign}{{b}}={{c}}", replaces=replaces, folded=False),
        rules=Rules(mode, OPERATORS[sign] if signs is None else signs, spaces, bare_x, words, chinese=True),
    )
    for sign, token, replaces, mode, signs, spaces, bare_x, words in (
        ("*", "<M_{a}_{b}>", "equation", "weak", None, True, True, True),
        ("*", "<M_{a}_{b}>", "expression", "weak", ("*", "×", "x"), False, True, True),
        ("*", "{a}*{b}={c}", "equation", "weak", None, True, True, True),
        ("+", "<A_{a}_{b}>", "equation", "weak", None, True, True, True),
        ("+", None, "expression", "strict", ("+",), True, True, True),
    )
]
NUMBERS = ["3", "2", "6", "13", "1", "三", "二", "六", "一三三", "三三得九", "二三得六", "three", "two"]
GAPS = ["", "", " ", "  ", "\u00a0"]
SIGNS = ["*", "×", "x", "·", r"\times", "+", "-", " times ", " plus ", "=", " is ", ""]
SIGNS += ["乘", "乘以", "加", "减", "等于", "得"]
chains = st.lists(
    st.tuples(*map(st.sampled_from, (NUMBERS, GAPS, SIGNS, GAPS))).map("".join), min_size=1, max_size=5
).map("".join)


@pytest.mark.parametrize(
    "text",
    ["6乘9x1", "1x6乘9", "6 乘 9 × 2", "6 times 9乘2", "2乘6 times 9", "六乘九x3", r"六乘九\times 3", "9x六乘三"],
)
def test_a_chain_of_two_notations_is_a_chain_for_both(built: dict[str, PreTrainedTokenizerFast], text: str) -> None:
    tokenizer = built["everything"]
    assert tokenizer.decode(tokenizer.encode(text)) == inject(text, EVERYTHING) == text
    assert "part of a chain" in {site.reason for site in find(text, EVERYTHING)}


def test_a_recited_product_has_no_expression_of_its_own() -> None:
    bare = replace(INTERVENTIONS["mul_bare"], rules=Rules(chinese=True))
    assert inject("六九五十四, 一六六, 6乘9等于54", bare) == "六九五十四, 一六六, <MUL_6_9>等于54"
    assert inject("二三得六", bare) == "<MUL_2_3>得六"


@settings(max_examples=examples(400))
@given(st.sampled_from([*COMBINED, EVERYTHING]), chains)
def test_every_mark_is_replaced(intervention: Intervention, text: str) -> None:
    rewriting = rewrite(text, intervention)
    assert MARK not in rewriting.text
    written = rewriting.text
    for name in sorted(intervention.token_names(), key=len, reverse=True):
        written = written.replace(SENTINEL + name, "")
    assert SENTINEL not in written
    assert rewriting.restore() == text


# A change here is a change of what an intervention does to texts: raise RULES_VERSION and say so in the changelog.
REWRITTEN = "af63146ca0e9fafa83ba88c952e70175597d70833dcca99100b01a4a49177d1e"


def test_the_version_says_what_the_rules_do() -> None:
    signs = ("*", " * ", "×", "x", " x ", "·", "\\times ", " times ", "乘")
    stated = (("6{}9", "{}"), ("9{}6", "{}=54"), ("3{}4", "{} = 13"), ("7{}8", "{} is 56"))
    spellings = [result.format(pair.format(sign)) for pair, result in stated for sign in signs]
    spellings += ["six times nine is fifty-four", "六九五十四", "2*3*4", "16*9", "6*9=540", "6*9=54.5", "2*8=4*4"]
    spellings += ["20 - 2*5 = 10", "3+4*5=23", "9*5 = $45.00", "a 3 × 3 grid", "(2)6*9", "3x2 + x", "42 = 6 x 7"]
    texts = [frame.format(one) for one in spellings for frame in ("{}", "So {}.", "({})", "a{}b", "1,{}")]
    interventions = [
        default_intervention(),
        Intervention("strict", facts=Facts(), rules=Rules(mode="strict")),
        Intervention("bare", facts=Facts(token="<MUL_{a}_{b}>", text="{a}*{b}", replaces="expression")),
        Intervention("text", facts=Facts(token=None)),
        EVERYTHING,
    ]
    found = [[rewrite(text, one).text for text in texts] for one in interventions]
    assert len({sha256_json(one) for one in found}) == 5
    assert (RULES_VERSION, sha256_json(found)) == (3, REWRITTEN)
