"""Each control differs from its partner in one thing: sites, ids outside the sites, rows and folding are compared."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora import synthetic
from domain_tokens.evaluation.answers.answer import AnswerReader, is_correct
from domain_tokens.recipe import flatten, load_prereg, load_recipe, to_dict
from domain_tokens.tokenization import expand, find, inject, load_intervention, rewrite
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import Facts, Intervention, fact_pairs, result_of, symbols
from domain_tokens.tokenization.prompts import assistant_message, render_prompt, user_message
from domain_tokens.tokenization.rewriter import rewriter_of

ROOT = Path(__file__).parents[2]
FIRST = 50304
NAMES = (
    "none", "mul_tokens", "mul_tokens_answers", "mul_tokens_no_x", "mul_tokens_permuted", "mul_tokens_spaced",
    "mul_tokens_space", "conflated_digits", "wrong_numbers", "canon_bare", "canon_result", "ambiguous_symbol",
    "placebo_sites",
)  # fmt: skip
INTERVENTIONS = {name: load_intervention(ROOT / f"recipes/interventions/{name}.yaml") for name in NAMES}

QUESTIONS = [
    ("What is 6 * 9?", "6 * 9 = 54\n#### 54"),
    ("Ana has 3 x 4 pens and\n7*8=56 cards. How many?", "3 x 4 = 12, 56+12=68\n#### 68"),
    ("A 4x4 truck, User: 5*5?", "(5*5) and 2 *  9 =18, 16*9, 2*3*4\n9*6 = 54 é = 6×9"),
    ("How many?", "12"),
    ("6*9", "9*6"),
]
CHATS = [render_prompt(question) + f" {answer}" for question, answer in QUESTIONS]
TEXTS = [
    *CHATS,
    "\n".join(CHATS),
    "9 x 6 = 54, 12*15=180, 6*9=54, 7*8 and 16*9=54; it is  3*4, (3*4), = 3*4.\n 3*4\n6*9\t2*2 = $4",
    " 6*9",
    "no product",
    *synthetic.texts(150, 0, "train"),
]


@pytest.fixture(scope="module")
def built() -> dict[str, PreTrainedTokenizerFast]:
    return {name: build_tokenizer(intervention) for name, intervention in INTERVENTIONS.items()}


def ids_of(tokenizer: PreTrainedTokenizerFast) -> list[list[int]]:
    return tokenizer(TEXTS)["input_ids"]


def outside(ids: list[int]) -> list[int]:
    """Return the ids with every added token written as the same one."""
    return [min(token_id, FIRST) for token_id in ids]


def rewritten(name: str, text: str) -> list[tuple[int, int]]:
    sites = find(text, INTERVENTIONS[name])
    return [(site.start, site.end) for site in sites if site.verdict == "rewritten"]


@pytest.mark.parametrize(
    ("name", "partner"),
    [
        ("canon_result", "mul_tokens"),
        ("canon_bare", "mul_tokens"),
        ("mul_tokens_permuted", "mul_tokens"),
        ("ambiguous_symbol", "mul_tokens_answers"),
        ("placebo_sites", "mul_tokens_answers"),
        ("mul_tokens_space", "mul_tokens_spaced"),
    ],
)
def test_the_sites_are_the_same_and_for_the_same_reasons(name: str, partner: str) -> None:
    found = 0
    for text in TEXTS:
        sites = [
            [(site.start, site.end, site.verdict, site.reason, site.form) for site in find(text, INTERVENTIONS[one])]
            for one in (name, partner)
        ]
        assert sites[0] == sites[1]
        found += len(rewritten(name, text))
    assert found > 100


@pytest.mark.parametrize(
    ("name", "partner"),
    [
        ("mul_tokens_permuted", "mul_tokens"),
        ("ambiguous_symbol", "mul_tokens_answers"),
        ("placebo_sites", "mul_tokens_answers"),
    ],
)
def test_only_the_symbol_at_a_site_differs(name: str, partner: str, built: dict) -> None:
    one, two = ids_of(built[name]), ids_of(built[partner])
    assert one != two
    assert [outside(ids) for ids in one] == [outside(ids) for ids in two]  # so each saves the same tokens


def test_permuted_ids_are_the_same_45_in_another_order(built: dict) -> None:
    facts, permuted = INTERVENTIONS["mul_tokens"], INTERVENTIONS["mul_tokens_permuted"]
    names, others = facts.token_names(), permuted.token_names()
    assert sorted(names) == sorted(others)
    assert sum(one != two for one, two in zip(names, others, strict=True)) > 30
    for ids, permuted_ids in zip(ids_of(built["mul_tokens"]), ids_of(built["mul_tokens_permuted"]), strict=True):
        for one, two in zip(ids, permuted_ids, strict=True):
            assert (one == two < FIRST) or names[one - FIRST] == others[two - FIRST]
    seeds = {tuple(Intervention(facts=Facts(), permutation_seed=seed).token_names()) for seed in range(20)}
    assert len(seeds) == 20
    assert tuple(names) in seeds  # seed 0


def test_canonical_text_is_gpt2_on_other_text(built: dict) -> None:
    for name in ("canon_bare", "canon_result"):
        texts = [inject(text, INTERVENTIONS[name]) for text in TEXTS]
        assert texts != TEXTS
        assert built[name](TEXTS)["input_ids"] == built["none"](texts)["input_ids"]


def test_canon_result_spells_out_what_the_tokens_stand_for() -> None:
    for text in TEXTS:
        assert inject(text, INTERVENTIONS["canon_result"]) == expand(inject(text, INTERVENTIONS["mul_tokens"]))


def test_canon_bare_lacks_the_inserted_results_and_nothing_else() -> None:
    inserted = stated = 0
    for text in TEXTS:
        bare, result = (rewrite(text, INTERVENTIONS[name]) for name in ("canon_bare", "canon_result"))
        for one, two in zip(bare.edits, result.edits, strict=True):
            written, with_result = bare.text[one.start : one.end], result.text[two.start : two.end]
            assert one.source == two.source
            if "=" in one.source:
                assert written == with_result
                stated += 1
            else:
                assert written == with_result.split("=")[0]
                inserted += 1
        assert bare.restore() == result.restore() == text
    assert min(inserted, stated) > 20


@pytest.mark.parametrize("name", ["mul_tokens_answers", "ambiguous_symbol", "placebo_sites"])
def test_a_question_keeps_gpt2s_ids_whatever_follows(name: str, built: dict) -> None:
    tokenizer, plain = built[name], built["none"]
    num_facts = 0
    for question, answer in QUESTIONS:
        prompt = render_prompt(question)
        expected = plain.encode(prompt)
        assert tokenizer.encode(prompt) == expected
        for end in range(len(answer) + 1):
            ids = tokenizer.encode(f"{prompt} {answer[:end]}")
            assert ids[: len(expected)] == expected
        num_facts += sum(token_id >= FIRST for token_id in ids)
        messages = [*user_message(question), *assistant_message(answer)]
        turns = tokenizer.apply_chat_template(messages * 2, return_dict=True)["input_ids"]
        first = tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]
        assert turns[: len(expected)] == expected
        assert turns[len(first) :][: len(expected)] == expected
        in_one_text = tokenizer.encode(f"{prompt} {answer}\n{prompt} {answer}")
        assert sum(token_id >= FIRST for token_id in in_one_text) == 2 * sum(token_id >= FIRST for token_id in ids)
    assert num_facts == 7


def test_answers_only_leaves_out_the_sites_of_questions_alone() -> None:
    left = 0
    for question, answer in QUESTIONS:
        text = f"{render_prompt(question)} {answer}"
        begins = len(render_prompt(question))
        sites = rewritten("mul_tokens", text)
        assert rewritten("mul_tokens_answers", text) == [site for site in sites if site[0] >= begins]
        reasons = {site.reason for site in find(text, INTERVENTIONS["mul_tokens_answers"]) if site.start < begins}
        assert reasons <= {"in a question"}
        left += sum(site[0] < begins for site in sites)
    assert left >= 4
    for text in (text for text in TEXTS if "User:" not in text):
        assert rewritten("mul_tokens_answers", text) == rewritten("mul_tokens", text)


@pytest.mark.parametrize(
    "text",
    [  # sites in brackets are rewritten
        "[6*9]\nUser: 6*9?\nAssistant: [6*9]",  # what comes before the first role is no question
        "User: [6*9]?",  # nor is what nobody answers
        "User: [6*9]?\nUser: 2*2?\nAssistant: [3*3]",
        "a User: [6*9]?\nAssistant: [6*9]",  # a role stands at the beginning of a line
        "User: 6*9?\n\n2*2\n\nAssistant: [3*3]",
        "User: 6*9\r\nAssistant: [3*3]",
        "User: 6*9\nAssistant: [6*9]\nAssistant: [2*2]\nUser: [2*2]",
        "User: [6*9]\nAssistant",
    ],
)
def test_what_is_a_question(text: str, built: dict) -> None:
    source = text.replace("[", "").replace("]", "")
    expected = re.sub(r"\[(\d)\*(\d)\]", lambda site: f"<MUL_{site[1]}_{site[2]}_{int(site[1]) * int(site[2])}>", text)
    assert inject(source, INTERVENTIONS["mul_tokens_answers"]) == expected != source
    assert built["mul_tokens_answers"].backend_tokenizer.normalizer.normalize_str(source) == expected


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", ["User: 6*9?\nAssistant: 6*9\n", "6*9 and\n", "User: 6*9\n"])
def test_a_long_text_is_read_once(text: str, built: dict) -> None:
    """A look-ahead from every site to the next role takes two minutes for each of these."""
    long = text * (200_000 // len(text))
    rewritten_text = built["mul_tokens_answers"].backend_tokenizer.normalizer.normalize_str(long)
    assert rewritten_text.count("<MUL_6_9_54>") == long.count("6*9") // (2 if "Assistant" in text else 1)


def test_no_x_leaves_out_the_sign_x_alone() -> None:
    left = 0
    for text in TEXTS:
        sites = [site for site in find(text, INTERVENTIONS["mul_tokens"]) if site.verdict == "rewritten"]
        expected = [(site.start, site.end) for site in sites if site.form != "x"]
        assert rewritten("mul_tokens_no_x", text) == expected
        left += len(sites) - len(expected)
    assert left > 20


def test_a_token_that_carries_its_space_takes_the_place_of_both(built: dict) -> None:
    space = built["none"].encode(" ")[0]
    shorter = 0
    for ids, carried in zip(ids_of(built["mul_tokens_spaced"]), ids_of(built["mul_tokens_space"]), strict=True):
        follows = np.append(np.array(ids[1:]) >= FIRST, False)
        expected = [one for one, fact in zip(ids, follows, strict=True) if not (one == space and fact)]
        assert carried == expected
        assert len(ids) - len(carried) == sum(token_id >= FIRST for token_id in ids)
        shorter += len(ids) - len(carried)
    assert shorter > 50
    for tokenizer in (built["mul_tokens_spaced"], built["mul_tokens_space"]):
        assert tokenizer.decode(tokenizer.encode("so 6*9 = 54.")) == "so <MUL_6_9_54>."
    one = built["mul_tokens_space"].encode("so 6*9 = 54.")
    assert built["mul_tokens_space"].convert_ids_to_tokens(one)[1] == " <MUL_6_9_54>"


def test_only_sites_with_one_space_before_them_are_spaced() -> None:
    left = 0
    for text in TEXTS:
        sites = rewritten("mul_tokens", text)
        expected = [site for site in sites if text[: site[0]].endswith(" ") and text[: site[0] - 1][-1:].strip() != ""]
        expected += [(1, 4)] if text == " 6*9" else []
        assert rewritten("mul_tokens_spaced", text) == expected
        left += len(sites) - len(expected)
    assert left > 50


@pytest.mark.parametrize(("name", "size"), [("ambiguous_symbol", 3), ("placebo_sites", 45)])
def test_a_symbol_is_shared_by_facts_with_different_results(name: str, size: int) -> None:
    facts = INTERVENTIONS[name].facts
    assert facts is not None
    written = symbols(facts)
    assert {entry.token for group in written.values() for entry in group} == set(INTERVENTIONS[name].token_names())
    for a, b in fact_pairs(facts):
        assert written[a, b] == written[b, a]
        assert len(written[a, b]) == size
        results = [result_of(facts, *pair) for pair in fact_pairs(facts) if written[pair] == written[a, b]]
        assert len(results) == size
        assert len(set(results)) == (3 if size == 3 else 36)
        assert all(entry.operands is None and entry.result is None for entry in written[a, b])


@pytest.mark.parametrize("name", ["ambiguous_symbol", "placebo_sites"])
def test_the_distance_to_the_site_before_chooses_the_symbol(name: str) -> None:
    intervention = INTERVENTIONS[name]
    facts, names = intervention.facts, intervention.token_names()
    assert facts is not None
    seen = set()
    for fill in range(60):
        for second in ("6*9", "9 x 6 = 54"):
            text = f"é{'.' * fill} 7*8 and{'.' * fill} {second}"
            starts = [start for start, _ in rewritten(name, text)]
            found = [site.replacement for site in find(text, intervention)]
            groups = [[entry.token for entry in symbols(facts)[pair]] for pair in ((7, 8), (6, 9))]
            distances = [starts[0], starts[1] - starts[0]]
            expected = [group[distance % len(group)] for group, distance in zip(groups, distances, strict=True)]
            assert found == expected
            seen |= set(found)
    assert seen == ({*groups[0], *groups[1]} if name == "ambiguous_symbol" else set(names))


def test_scoring_reads_no_number_from_a_symbol() -> None:
    for name in ("ambiguous_symbol", "placebo_sites"):
        assert expand("so <SYMBOL_17>.", INTERVENTIONS[name]) == "so a product."


@pytest.mark.parametrize("name", ["placebo_sites", "mul_tokens_space"])
def test_the_bulk_encoder_gives_the_same_ids(name: str, built: dict, tmp_path: Path) -> None:
    built[name].save_pretrained(tmp_path)
    assert [ids.tolist() for ids in BulkEncoder(tmp_path).encode_batch(TEXTS)] == ids_of(built[name])


def test_a_text_that_holds_the_marks_itself_is_read_the_same(built: dict) -> None:
    for name in ("placebo_sites", "mul_tokens_answers"):
        for text in ("\ufdd06*9 7*8", "so \ufdd2\ufde16*9 and 7*8", "\ufdd07*8\ufdd2 User: 6*9"):
            expected = built[name].backend_tokenizer.normalizer.normalize_str(text)
            assert rewriter_of(INTERVENTIONS[name]).rewrite(text).text == expected


SPOILED = {
    "conflated_digits": lambda text: text.replace("3", "8"),
    "wrong_numbers": lambda text: re.sub(r"\d+", lambda found: {"24": "23", "36": "37"}.get(found[0], found[0]), text),
}
"""What the positive controls do to a text."""


@pytest.mark.parametrize("name", SPOILED)
def test_a_positive_control_spoils_numbers_and_nothing_else_differs(name: str, built: dict) -> None:
    written = [*TEXTS, "4*6=24, 124 and 240, 2.4, 24.5, 1,236, -36; 24a and a36"]
    texts = [SPOILED[name](text) for text in written]
    assert texts[-1] != written[-1]
    assert built[name](written)["input_ids"] == built["none"](texts)["input_ids"]
    ours, none = (json.loads(built[each].backend_tokenizer.to_str()) for each in (name, "none"))
    assert ours.pop("normalizer") != none.pop("normalizer")
    assert ours == none  # the same vocabulary, merges, added tokens, cuts and decoder


@pytest.mark.parametrize("control", SPOILED)
def test_no_answer_with_a_spoiled_number_can_be_right(control: str, built: dict) -> None:
    """The gold number is read from the source; the other answers are as right as the baseline's."""
    items = list(synthetic.problems(720, 0, "test"))
    right = {}
    for name in ("none", control):
        written = built[name].batch_decode(built[name]([item.answer for item in items])["input_ids"])
        reader = AnswerReader(INTERVENTIONS[name], INTERVENTIONS["mul_tokens"])
        right[name] = [
            is_correct(reader.read(text), item.answer.split("#### ")[1])
            for text, item in zip(written, items, strict=True)
        ]
    assert all(right["none"])
    gold = [item.answer.split("#### ")[1] for item in items]
    assert right[control] == [SPOILED[control](number) == number for number in gold]
    assert 60 < right[control].count(False) < 300


def test_what_wrong_numbers_takes_away_is_known_and_no_question_of_one_product_is_touched(built: dict) -> None:
    """24 and 36 are seven of the 64 products that problems ask for, and no number that a question shows is one."""
    items = [item for item in synthetic.problems(720, 0, "test") if item.group == "one product"]
    assert len(items) == 600
    lost = sum(item.answer.split("#### ")[1] in ("24", "36") for item in items)
    assert lost / len(items) == pytest.approx(7 / 64, abs=0.01)
    for item in items:
        prompt = render_prompt(item.question)
        assert built["wrong_numbers"](prompt)["input_ids"] == built["none"](prompt)["input_ids"]


def contrasts() -> dict[str, list[str]]:
    return load_prereg(ROOT / "recipes/prereg.yaml").contrasts


def recipe_of(condition: str) -> dict[str, object]:
    folder = "recipes" if condition in ("baseline", "mul_tokens") else "recipes/conditions"
    return flatten(to_dict(load_recipe([str(ROOT / f"{folder}/{condition}.yaml")])))


@pytest.mark.parametrize("name", contrasts())
def test_the_recipes_of_a_contrast_differ_in_the_tokenizer_alone(name: str) -> None:
    one, two = map(recipe_of, contrasts()[name])
    differing = {key for key in one if one[key] != two[key]}
    assert one.keys() == two.keys()
    if name == "other seeds (A/A)":
        assert differing == {"condition", "seed_offset"}
    else:
        assert differing == {"condition", "tokenizer"}
        sizes = {load_intervention(Path(str(recipe["tokenizer"]))).num_ids for recipe in (one, two)}
        assert len(sizes) == 1


def test_every_control_is_explained_beside_its_partner() -> None:
    page = (ROOT / "docs/INTERVENTIONS.md").read_text(encoding="utf-8")
    for name, pair in contrasts().items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert row.split(" | ")[1:3] == [f"`{condition}`" for condition in pair]
