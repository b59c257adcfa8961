"""The tokenizers as everybody loads them: what is rewritten, what is left alone, and what holds in both conditions."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from properties import examples
from real_data import Data
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.tokenization.bpe.base_vocabulary import train_base
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import check_contract, load_tokenizer
from domain_tokens.tokenization.facts import FACTS, MulFactTokens
from domain_tokens.tokenization.intervention import Facts, Intervention, Rules, load_intervention
from domain_tokens.tokenization.prompts import assistant_message, render_prompt, user_message
from domain_tokens.tokenization.rewriter import canonical

REWRITTEN = """
6*9 | 9*6 | 6 * 9 | 6  *  9 | 6*9=54 | 6 * 9 = 54 | 9*6=54 | 6*9 =54 | 6 × 9 = 54 | 9×6=54 | 6x9=54 | 9 x 6 = 54
(6*9) | (6*9=54) | =6*9 | area=6*9=54. | 6*9=54. | 6*9=54, | 6*9. | 6*9, | 6*9? | 6*9=? | 6*9 = | "6*9" | '6*9'
<<6*9=54>>54 | 3+6*9 | 6*9+1 | 6*9-1 | 10 - 6*9 | - 6*9=54 | max 6*9 | it is 6*9 here | $6*9 | 6*9; | 6*9: | [6*9=54]
6*9=54 apples | 6*9=54 and | #6*9 | * 6*9=54 | 6*9 > 50 | 2 + 6*9
""".replace("\n", " | ").split("|")

LEFT_ALONE = """
16*9 | 6*95 | 106*9 | 1,006*9 | 6*9,000 | 3.6*9 | .6*9 | 6*9.5 | 0.6*9.0 | 6*9=540 | 6*9=55 | 6*9=54.5 | 6*9=54,5
6*9=5 4 | 6*9=5 | 2**3 | 2*3**2 | 6*9^2 | 6^2*9 | 6*9² | 0x6 | 0x6*9 | a6*9 | v1.6*9 | 2*3_x | x_6*9 | 2*3*4
2 * 3 * 4 | 2x3x4
2 x 3 x 4 | 2×3×4 | 2*3×4 | 4x4x4 | -6*9 | −6*9 | 6*9% | 6*9=54% | 6*9=-54 | 6*9 = -54 | 6*9==55 | 6*9 = $55
6*9=54+1 | 6*9=54 - 3 | 6*9=54=55 | 6*9=.5 | 12/6*9 | 6*9/2 | 3/4*5 | 6*9kg | 6*9x | 6*9=54x | 1*5=5 000 | 6*9! | 6*(9)
6*9(2) | 0*5 | 5*0 | 6*10 | 10*6 | 6**9 | 6*x*9 | 6 9 | ６*９ | 6*٩ | 6*-9 | 6x9
6*9 = (55) | 6X9
2:6*9 | 1'006*9 | 6*9'000 | 6*9° | 6 x 9 1/2 = 57 | 6*9 000 | 6*9 % | 6*9=54 % | 6*9={55} | 6*9=**55** | 6*9 = ¥55
6*9 = –55 | 6*9≈55 | 6*9 ≠ 55 | –6*9 | ‑6*9 | ⁻6*9 | √6*9 | 5⋅6*9 | 5∗6*9 | 5∕6*9 | 5⁄6*9 | 6*9⋅10 | 5 X 6*9
5  x  6  x  9 | 2 *   6*9 | 12 /   6*9 | (2) x 6*9 | n x 6*9 | 6*9 x 2
""".replace("\n", " | ").split("|")
LEFT_ALONE += ["6*\n9", "6\n*9", "6*9\t=55", "6*9=\xa055", "6*9 = \n55", r"6*9=\$55", r"6*9=\boxed{55}"]


def facts_in(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    return [FACTS[i - 50304].text for i in tokenizer.encode(text) if i in MulFactTokens()]


def cases(table: list[str]) -> list[str]:
    return [case.strip(" ") for case in table if case.strip()]


@pytest.mark.parametrize("text", cases(REWRITTEN))
def test_a_product_is_rewritten(text: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    assert facts_in(tokenizers["mul_tokens"], text) == ["6*9=54"]
    assert facts_in(tokenizers["mul_tokens"], f"so\n{text} it is") == ["6*9=54"]


@pytest.mark.parametrize("text", cases(LEFT_ALONE))
def test_what_is_not_that_product_is_left_alone(text: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokens = facts_in(tokenizers["mul_tokens"], text)
    assert tokens == []
    assert tokenizers["mul_tokens"].encode(text) == tokenizers["baseline"].encode(text)


def test_all_81_products_in_every_notation(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    for a in range(1, 10):
        for b in range(1, 10):
            fact = f"{min(a, b)}*{max(a, b)}={a * b}"
            for text in (f"{a}*{b}", f"{a} × {b} = {a * b}", f"{a}x{b}={a * b}", f"it is = {a} × {b}."):
                assert facts_in(tokenizers["mul_tokens"], text) == [fact]
            for wrong in (a * b + 1, a * b * 10, a * b - 1):
                assert facts_in(tokenizers["mul_tokens"], f"{a}*{b}={wrong}") == []


def test_several_products_in_one_text(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    text = "2*3=6 2*4=8\n7×8=56; n = 7 × 9, 3*4=13 and 6*7=2*21"
    assert facts_in(tokenizers["mul_tokens"], text) == ["2*3=6", "2*4=8", "7*8=56", "7*9=63", "6*7=42"]


@pytest.mark.parametrize(
    ("text", "rewritten"), [("6*9=54", True), ("6*9", False), ("6*9=55", False), ("9 × 6 = 54", True)]
)
def test_strict_mode_needs_the_right_result(text: str, rewritten: bool) -> None:
    tokenizer = build_tokenizer(Intervention(name="strict", facts=Facts(), rules=Rules(mode="strict")))
    assert bool(facts_in(tokenizer, text)) is rewritten


def test_operators_are_the_interventions_choice() -> None:
    tokenizer = build_tokenizer(Intervention(name="signs", facts=Facts(), rules=Rules(operators=["*", "·"])))
    assert [bool(facts_in(tokenizer, text)) for text in ("6*9", "6·9", "6x9", "6×9")] == [True, True, False, False]


@pytest.mark.invariants
@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_contract(condition: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = tokenizers[condition]
    assert len(tokenizer) == 50349
    assert (
        tokenizer.convert_tokens_to_ids("<|endoftext|>") == tokenizer.eos_token_id == tokenizer.pad_token_id == 50256
    )
    expected = [fact.token for fact in FACTS] if condition == "mul_tokens" else None
    names = tokenizer.convert_ids_to_tokens(list(range(50304, 50349)))
    assert names == expected if expected else not any("MUL" in name for name in names)
    assert tokenizer.encode("Hello world", add_special_tokens=True) == [15496, 995]


@pytest.mark.invariants
@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_reserved_ids_come_out_of_no_text(condition: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = tokenizers[condition]
    reserved = set(range(50257, 50304 if condition == "mul_tokens" else 50349))
    for token_id in reserved:
        name = tokenizer.convert_ids_to_tokens(token_id)
        for text in (name, f"a{name}b", f" {name} ", tokenizer.decode([token_id])):
            assert not reserved & set(tokenizer.encode(text))


plain = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
products = st.sampled_from(["6*9=54", "9 x 6", "3 × 4 = 12", "7*8=55", "2*3", " = 6"])
arithmetic = st.text("0123456789*×x=+-., ()\n", max_size=30)


@pytest.mark.invariants
@settings(max_examples=examples(300))
@given(st.lists(st.one_of(plain, arithmetic), max_size=4).map("".join))
def test_any_text_keeps_to_the_vocabulary_and_survives_in_baseline(tokenizer_pair, text: str) -> None:
    baseline, mul_tokens = tokenizer_pair
    ids, rewritten = baseline.encode(text), mul_tokens.encode(text)
    assert baseline.decode(ids) == text
    assert all(i < 50257 for i in ids)
    assert all(i < 50257 or i >= 50304 for i in rewritten)
    if not any(i >= 50304 for i in rewritten):
        assert rewritten == ids


@settings(max_examples=examples(300))
@given(
    st.lists(st.one_of(st.sampled_from(["6*9=54", "9 x 6", "3 × 4 = 12", "7*8=55", "2*3", " = 6"]), arithmetic)).map(
        "".join
    )
)
def test_a_text_and_its_rewriting_are_canonically_the_same(tokenizer_pair, text: str) -> None:
    _, mul_tokens = tokenizer_pair
    rewritten = mul_tokens.decode(mul_tokens.encode(text))
    assert canonical(rewritten) == canonical(text)


@pytest.fixture(scope="module")
def tokenizer_pair(tokenizers):
    return tokenizers["baseline"], tokenizers["mul_tokens"]


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_every_loader_gives_the_same_ids(
    condition: str, tokenizer_dirs: dict[str, Path], tokenizers: dict[str, PreTrainedTokenizerFast], tmp_path: Path
) -> None:
    """In this process; `test_anybody_reads_the_same_ids` starts another, and lets it load a folder saved again."""
    folder = tokenizer_dirs[condition]
    texts = ["6*9=54", "so 9 x 6?", "plain text", "16*9", "日本 7×8", "  spaces  ", "a\n\nb"]
    tokenizers[condition].save_pretrained(tmp_path)
    core = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = tokenizers[condition](texts)["input_ids"]
    assert [encoding.ids for encoding in core.encode_batch(texts)] == expected
    assert AutoTokenizer.from_pretrained(tmp_path)(texts)["input_ids"] == expected


def test_the_saved_class_is_one_that_older_versions_know(tokenizer_dirs: dict[str, Path]) -> None:
    for folder in tokenizer_dirs.values():
        assert (
            json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
        )


def test_the_saved_folders_differ_in_the_intervention_only(tokenizer_dirs: dict[str, Path]) -> None:
    files = {path.name for path in tokenizer_dirs["baseline"].iterdir()}
    assert files == {path.name for path in tokenizer_dirs["mul_tokens"].iterdir()}
    differing = {
        "tokenizer.json": {"normalizer", "added_tokens"},
        "tokenizer_config.json": {"intervention"},
        "certificate.json": {
            "rules_sha256",
            "intervention_sha256",
            "ids_sha256",
            "files",
            "certificate_sha256",
        },  # fmt: skip
    }
    for name in files:
        one, two = ((folder / name).read_text() for folder in tokenizer_dirs.values())
        if name.endswith(".json"):
            one, two = json.loads(one), json.loads(two)
            assert {key for key in one if one[key] != two[key]} == differing[name]
        else:
            assert one == two


def test_prose_reads_the_same_where_there_is_no_product(data: Data, tokenizers) -> None:
    file = data.folder / "wikitext2" / "valid.txt"
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
    lines = lines if data.is_own else lines[::2]
    baseline, mul_tokens = (tokenizers[name](lines)["input_ids"] for name in ("baseline", "mul_tokens"))
    assert len(lines) > (10 if data.is_own else 1000)
    assert baseline == mul_tokens


@pytest.mark.invariants
@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_the_chat_template_marks_the_answer(condition: str, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = tokenizers[condition]
    messages = user_message(" What is 6 * 9? ") + assistant_message("6*9=54\n#### 54 ")
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "User: What is 6 * 9?\nAssistant: 6*9=54\n#### 54<|endoftext|>"
    prompt = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert prompt == render_prompt("What is 6 * 9?") == "User: What is 6 * 9?\nAssistant:"
    encoded = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    answer = [i for i, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(answer).endswith("#### 54<|endoftext|>")
    assert encoded["input_ids"][: -len(answer)] == tokenizer.encode(prompt)


def test_the_chat_template_joins_parts_of_text_and_refuses_others(
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:
    tokenizer = tokenizers["mul_tokens"]
    parts = [{"type": "text", "text": " What is "}, {"type": "text", "text": "6 * 9?\n"}]
    options = {"return_dict": True, "return_assistant_tokens_mask": True}
    plain = user_message("What is 6 * 9?") + assistant_message("6*9=54 #### 54")
    in_parts = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": "6*9=54 "}, {"type": "text", "text": "#### 54"}]},
    ]
    assert tokenizer.apply_chat_template(in_parts, **options) == tokenizer.apply_chat_template(plain, **options)
    for content in ([*parts, {"type": "image", "url": "x"}], ["What?"], [{"text": "What?"}], 5, {"text": "a"}):
        with pytest.raises(TemplateError, match="expected content"):
            tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)


@pytest.mark.invariants
def test_a_damaged_tokenizer_is_refused(tokenizer_dirs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no tokenizer.json"):
        load_tokenizer(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_text((tokenizer_dirs["mul_tokens"] / name).read_text())
    check_contract(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | {"normalizer": None}))
    with pytest.raises(RecipeError, match="the encoding of"):
        load_tokenizer(tmp_path)
    vocabulary = content["model"]["vocab"]
    swapped = content["model"] | {"vocab": vocabulary | {"fox": vocabulary["dog"], "dog": vocabulary["fox"]}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | {"model": swapped}))
    with pytest.raises(RecipeError, match="the hash of its vocabulary"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content)[:-100])
    with pytest.raises(RecipeError, match="not readable"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("name: x\nfacts: {}\nrules: {mode: strong}\n", "rules.mode"),
        ("name: x\nfacts: {}\nrules: {operators: []}\n", "rules.operators"),
        ("name: x\nfacts: {}\nrules: {operators: ['%']}\n", "rules.operators"),
        ("name: x\nfacts: {operation: '*'}\nrules: {operators: ['+']}\n", "rules.operators"),
        ("name: x\nfact: {}\n", "fact"),
        ("name: x\nfacts: true\n", "facts"),
        ("facts: {}\n", "name"),
        ("name: x/y\n", "name"),
        ("name: x\nnum_ids: 44\nfacts: {}\n", "num_ids: 45 tokens"),
        ("name: x\nnum_ids: 20000\n", "num_ids: .*16 bits"),
        ("name: x\nfacts: {operation: '-'}\n", "facts.operation"),
        ("name: x\nfacts: {operands: [1]}\n", "facts.operands"),
        ("name: x\nfacts: {operands: [9, 1]}\n", "facts.operands"),
        ("name: x\nfacts: {operands: [1, 21]}\n", "facts.operands"),
        ("name: x\nfacts: {token: '<MUL_{a}_{d}>'}\n", "facts.token"),
        ("name: x\nfacts: {token: '<MUL_{a}_{c}>'}\n", "facts.token: expected {a} and {b}"),
        ("name: x\nfacts: {token: '<mul_{a}_{b}>'}\n", "tokens: the name '<mul_1_1>'"),
        ("name: x\nfacts: {replaces: all}\n", "facts.replaces"),
        (
            "name: x\nfacts: {ambiguity: 4, text: a}\n",
            r"facts.ambiguity: 45 facts: expected one of \[1, 3, 5, 9, 15, 45\]",
        ),
        ("name: x\nfacts: {ambiguity: 0}\n", "facts.ambiguity"),
        ("name: x\nfacts: {operands: [1, 1], ambiguity: 2, text: a}\n", "facts.ambiguity"),
        ("name: x\nfacts: {ambiguity: 3, text: a, token: null}\n", "facts.ambiguity"),
        ("name: x\nfacts: {ambiguity: 3}\n", "facts.text: expected one text for all symbols"),
        ("name: x\nfacts: {bare_text: '{a}*{b}'}\n", "facts.bare_text"),
        ("name: x\nfacts: {token: null, bare_text: '{a}'}\n", "facts.bare_text: expected {a} and {b}"),
        ("name: x\nfacts: {leading_space: true}\n", "facts.leading_space: expected rules.after_space"),
        ("name: x\ntokens: [{token: <A_1>, text: a}, {token: <A_1>, text: b}]\n", "stands for two tokens"),
        ("name: x\ntokens: [{token: null, text: a}]\n", "'a': match: missing"),
        ("name: x\ntokens: [{token: <A_1>, text: a, match: '('}]\n", "not a regular expression"),
        ("name: x\ntokens: [{token: <A_1>, text: a, match: 'b*'}]\n", "can match without a character"),
        ("name: x\ntokens: [{token: <A_1>}]\n", "text"),
    ],
)
def test_a_wrong_intervention_is_named(text: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=part) as caught:
        load_intervention(path)
    assert str(path) in str(caught.value)


def test_saving_checks_what_was_saved(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(Intervention(name="none"), train_base([], MIN_TRAINED_IDS))
    tokenizer.chat_template = "{{ 'Question: ' + messages[0]['content'] }}"
    with pytest.raises(RecipeError, match="its prompt"):
        save_tokenizer(tokenizer, tmp_path)
