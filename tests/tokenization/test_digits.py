"""The digit interventions change how numbers are cut, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from domain_tokens.corpora.synthetic import texts
from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization import load_intervention
from domain_tokens.tokenization.bpe.base_vocabulary import train_base
from domain_tokens.tokenization.bpe.digits import GROUPINGS, GroupCount, GroupCounter
from domain_tokens.tokenization.builder import base_encoder, build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import check_contract, load_tokenizer
from domain_tokens.tokenization.fast_encoder import BulkEncoder
from domain_tokens.tokenization.intervention import Intervention
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record, restore

ROOT = Path(__file__).parents[2]
NAMES = tuple(GROUPINGS)
BASES = {"gpt2": None, "trained": train_base(texts(100, 0, "train"), 1500)}
READ = [("gpt2", "r2l_3"), *(("trained", name) for name in NAMES)]
FOLDERS = [(base, name) for base in BASES for name in ("none", *NAMES)]
REAL = (
    "Of 7 and  54, 1,234.50 or 1234567; \n 12345\t678 x12y345z ½5 ٣٣ 0012 $99% 2026-11-21 6*9=54 9 x 6",
    "User: What is 123 * 4?\nAssistant: 123*4=492\n#### 492",
)

documents = st.lists(
    st.text(max_size=8) | st.from_regex(r"[ \n]{0,2}[0-9]{1,9}[.,]?", fullmatch=True) | st.sampled_from(REAL),
    max_size=6,
).map("".join)


@pytest.fixture(scope="module")
def folders(build_once: Callable[..., Path]) -> dict[tuple[str, str], Path]:
    """The saved tokenizers, by base and intervention."""

    def fill(folder: Path) -> None:
        for base, name in FOLDERS:
            described = load_intervention(ROOT / f"recipes/interventions/{name}.yaml")
            build_tokenizer(described, BASES[base]).save_pretrained(folder / f"{base}_{name}")

    folder = build_once("digit_tokenizers", fill)
    return {(base, name): folder / f"{base}_{name}" for base, name in FOLDERS}


@pytest.fixture(scope="module")
def cores(folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], Tokenizer]:
    return {key: Tokenizer.from_file(str(folder / "tokenizer.json")) for key, folder in folders.items()}


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("single_digit", "Of Ġ 7 Ġand Ġ 1 2 3 4 5 Ġor Ġ 1 , 2 3 4 . 5 0"),
        ("digits_2", "Of Ġ 7 Ġand Ġ 12 34 5 Ġor Ġ 1 , 23 4 . 50"),
        ("r2l_3", "Of Ġ 7 Ġand Ġ 12 345 Ġor Ġ 1 , 234 . 50"),
        ("none", "Of Ġ7 Ġand Ġ123 45 Ġor Ġ1 , 234 . 50"),
    ],
)
def test_numbers_are_cut_into_groups(name: str, tokens: str, cores: dict[tuple[str, str], Tokenizer]) -> None:
    assert cores["gpt2", name].encode("Of 7 and 12345 or 1,234.50").tokens == tokens.split()


def test_a_group_that_is_no_token_falls_apart(cores: dict[tuple[str, str], Tokenizer]) -> None:
    assert "567" not in cores["gpt2", "r2l_3"].get_vocab(with_added_tokens=False)
    assert cores["gpt2", "r2l_3"].encode("1234567").tokens == ["1", "234", "5", "67"]
    assert cores["trained", "r2l_3"].encode("1234567").tokens == ["1", "234", "567"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_differs_from_the_baseline(base: str, name: str, folders: dict[tuple[str, str], Path]) -> None:
    ours, none = (json.loads((folders[base, one] / "tokenizer.json").read_text()) for one in (name, "none"))
    assert ours.pop("pre_tokenizer") != none.pop("pre_tokenizer")
    assert ours == none  # the same vocabulary, merges, added tokens, rules (none) and decoder
    assert none["normalizer"] is None
    configs = [json.loads((folders[base, one] / "tokenizer_config.json").read_text()) for one in (name, "none")]
    described = [config.pop("intervention") for config in configs]
    assert configs[0] == configs[1]
    assert [one["num_ids"] for one in described] == [45, 45]


@given(st.text(max_size=80).map(lambda text: regex.sub("[0-9]", "½", text)))
@example("a  b \n c½ ٣٣")
def test_text_without_digits_has_the_baselines_ids(cores: dict[tuple[str, str], Tokenizer], text: str) -> None:
    for base in BASES:
        expected = cores[base, "none"].encode(text).ids
        for name in NAMES:
            assert cores[base, name].encode(text).ids == expected


@given(documents)
@example(REAL[0])
def test_texts_come_back_and_every_group_is_cut_alone(cores: dict[tuple[str, str], Tokenizer], text: str) -> None:
    for name, grouping in GROUPINGS.items():
        core = cores["trained", name]
        encoded = core.encode(text)
        assert core.decode(encoded.ids) == text
        # With every group a token, the digits' tokens are the groups; no token mixes a digit with anything else.
        digits = [token for token in encoded.tokens if regex.search("[0-9]", token)]
        assert digits == [group for run in regex.findall("[0-9]+", text) for group in grouping.cut(run)]
        ids = np.array([*encoded.ids, 0], dtype=np.uint16)
        counter = GroupCounter(core.get_vocab(with_added_tokens=False), name)
        assert counter.count(ids) == GroupCount(len(digits), 0)


@given(documents)
@example(REAL[0])
def test_what_encodes_the_documents_and_what_anyone_loads_agree(
    cores: dict[tuple[str, str], Tokenizer], readers: dict[tuple[str, str], tuple], text: str
) -> None:
    for key, (loaded, bulk) in readers.items():
        expected = cores[key].encode(text).ids
        assert loaded.encode(text) == expected
        assert bulk._encode([text])[0].tolist() == expected


@pytest.fixture(scope="module")
def readers(folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], tuple]:
    """What `AutoTokenizer` loads and the bulk encoder."""
    pytest.importorskip("fastokens", reason="the fast path needs fastokens")
    digits = {key: folder for key, folder in folders.items() if key in READ}
    return {key: (AutoTokenizer.from_pretrained(folder), BulkEncoder(folder)) for key, folder in digits.items()}


@pytest.fixture(scope="module")
def counter(cores: dict[tuple[str, str], Tokenizer]) -> tuple[dict[str, int], GroupCounter]:
    """GPT-2's vocabulary, and what counts the groups that fall apart in it."""
    vocabulary = cores["gpt2", "r2l_3"].get_vocab(with_added_tokens=False)
    return vocabulary, GroupCounter(vocabulary, "r2l_3")


@given(st.lists(st.integers(0, 10**9).map(str) | st.from_regex("[0-9]{1,12}", fullmatch=True), max_size=5))
def test_groups_that_fall_apart_are_counted(
    cores: dict[tuple[str, str], Tokenizer], counter: tuple[dict[str, int], GroupCounter], numbers: list[str]
) -> None:
    core, (vocabulary, groups_of) = cores["gpt2", "r2l_3"], counter
    groups = [group for number in numbers for group in GROUPINGS["r2l_3"].cut(number)]
    ids = np.array([*core.encode(" and ".join(numbers)).ids, 50256], dtype=np.uint16)
    apart = sum(group not in vocabulary for group in groups)
    assert groups_of.count(ids) == GroupCount(len(groups), apart)


def test_of_a_thousand_groups_of_three_digits_223_fall_apart_in_gpt2(cores: dict[tuple[str, str], Tokenizer]) -> None:
    for base, name, apart in (("gpt2", "r2l_3", 223), ("gpt2", "digits_2", 0), ("trained", "r2l_3", 0)):
        core = cores[base, name]
        text = " ".join(f"{number:03}" for number in range(1000)) + "."
        counter = GroupCounter(core.get_vocab(with_added_tokens=False), name)
        count = counter.count(np.array(core.encode(text).ids, dtype=np.uint16))
        assert (count.groups, count.fallen_apart) == (2000 if name == "digits_2" else 1000, apart)


@pytest.mark.parametrize("name", NAMES)
def test_no_side_information(name: str) -> None:
    described = load_intervention(ROOT / f"recipes/interventions/{name}.yaml")
    mul_tokens = load_intervention(ROOT / "recipes/interventions/mul_tokens.yaml")
    assert record(REAL[0], mul_tokens)
    for text in REAL:
        assert record(text, described) == []
        assert restore(text, [], described) == text
        assert SideCode().bits(text, []) == []


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_chosen_by_the_bases_length(name: str, cores: dict[tuple[str, str], Tokenizer]) -> None:
    ours, none = cores["trained", name], cores["trained", "none"]
    assert ours.encode(REAL[0]).ids != none.encode(REAL[0]).ids
    assert base_encoder(ours.to_str()).encode(REAL[0]).ids == none.encode(REAL[0]).ids


def test_a_tokenizer_that_cuts_otherwise_is_refused(cores: dict[tuple[str, str], Tokenizer], tmp_path: Path) -> None:
    described = load_intervention(ROOT / "recipes/interventions/r2l_3.yaml")
    other = build_tokenizer(described, BASES["trained"])
    other.backend_tokenizer.pre_tokenizer = cores["trained", "digits_2"].pre_tokenizer
    with pytest.raises(RecipeError, match="how it cuts 3 numbers"):
        save_tokenizer(other, tmp_path)


def test_an_unknown_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nnumbers: l2r_3\n")
    with pytest.raises(RecipeError, match="numbers: expected one of as_base single_digit digits_2 r2l_3, got 'l2r_3'"):
        load_intervention(tmp_path / "a.yaml")


def test_what_older_tokenizers_say_of_their_intervention_stays() -> None:
    assert "numbers" not in Intervention("none").as_json()
    assert Intervention.from_json(Intervention("none").as_json()) == Intervention("none")
    cut = Intervention("r2l_3", numbers="r2l_3")
    assert Intervention.from_json(cut.as_json()) == cut


def test_cuts_of_a_long_number_are_linear(cores: dict[tuple[str, str], Tokenizer]) -> None:
    digits = "1234567890" * 20_000
    groups = [piece for piece, _ in cores["gpt2", "r2l_3"].pre_tokenizer.pre_tokenize_str(digits)]
    assert groups == GROUPINGS["r2l_3"].cut(digits)
    assert [len(one) for one in groups[:2]] == [2, 3]


@pytest.mark.parametrize(("base", "name", "size"), [("gpt2", "r2l_3", 50349), ("trained", "single_digit", 1581)])
def test_a_saved_tokenizer_keeps_the_contract(
    base: str, name: str, size: int, folders: dict[tuple[str, str], Path]
) -> None:
    assert len(check_contract(folders[base, name])) == size


def test_one_that_is_saved_with_a_certificate_loads(tmp_path: Path) -> None:
    described = load_intervention(ROOT / "recipes/interventions/single_digit.yaml")
    save_tokenizer(build_tokenizer(described, BASES["trained"]), tmp_path)
    assert len(load_tokenizer(tmp_path)) == 1581
