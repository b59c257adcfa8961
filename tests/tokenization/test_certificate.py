"""The certificate: a folder that was changed is refused, one that was saved again or copied is the same tokenizer.

What does not depend on GPT-2's vocabulary is shown with the smallest base and certificates of few strings: such a
folder loads in a tenth of the time.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace as replace_field
from pathlib import Path
from typing import Any

import pytest
from tiny import ROOT
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from domain_tokens.recipe import RecipeError
from domain_tokens.recipe.schema import MIN_TRAINED_IDS
from domain_tokens.runs.files import read_json
from domain_tokens.tokenization import certificate
from domain_tokens.tokenization.bpe.base_vocabulary import train_base
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer, seal_tokenizer
from domain_tokens.tokenization.certificate import (
    CERTIFICATE,
    NUM_STRINGS,
    Library,
    check_certificate,
    fixed_strings,
    installed_library,
)
from domain_tokens.tokenization.contract import check_contract, intervention_of, load_tokenizer
from domain_tokens.tokenization.facts import FACTS, IdRanges
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.prompts import assistant_message, user_message

TOKENIZER, CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
IDS = IdRanges(MIN_TRAINED_IDS)
FEW = fixed_strings()[:300]
TRUNCATION = {"direction": "Right", "max_length": 1000, "strategy": "LongestFirst", "stride": 0}

# Run by a process that does not know the project until it has encoded: what anybody who downloads a tokenizer has.
FRESH = """
import hashlib, json, sys
from transformers import AutoTokenizer
texts = json.loads(sys.stdin.read())
tokenizers = [AutoTokenizer.from_pretrained(folder) for folder in sys.argv[1:]]
ids = [tokenizer(texts)["input_ids"] for tokenizer in tokenizers]
decoded = [tokenizer.batch_decode(one) for tokenizer, one in zip(tokenizers, ids)]
assert "domain_tokens" not in sys.modules
from domain_tokens.tokenization.certificate import fixed_strings
strings = hashlib.sha256("\\n".join(fixed_strings()).encode()).hexdigest()
print(json.dumps({"ids": ids, "decoded": decoded, "strings": strings}))
"""


@pytest.fixture(scope="module")
def literal_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer whose tokens are ordinary text: their names and its decoder hold a noncharacter."""
    folder = tmp_path_factory.mktemp("literal")
    build_tokenizer(load_intervention(ROOT / "recipes/interventions/literal.yaml")).save_pretrained(folder)
    seal_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tokenizer_dirs: dict[str, Path], literal_dir: Path) -> dict[str, Path]:
    return {**tokenizer_dirs, "literal": literal_dir}


@pytest.fixture
def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of few strings, in a process that knows no tokenizer yet and forgets those of the test."""
    know_nothing(monkeypatch)


def know_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(certificate, "fixed_strings", lambda: FEW)
    patch.setattr(certificate, "_parts_known", {})
    patch.setattr(certificate, "_ids_known", {})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tokenizers of `folders` with the smallest base."""
    base, folders = train_base([], MIN_TRAINED_IDS), {}
    with pytest.MonkeyPatch.context() as patch:
        know_nothing(patch)
        for name, intervention in (("baseline", "none"), ("mul_tokens", "mul_tokens"), ("literal", "literal")):
            folders[name] = tmp_path_factory.mktemp(name)
            described = load_intervention(ROOT / f"recipes/interventions/{intervention}.yaml")
            save_tokenizer(build_tokenizer(described, base), folders[name])
    return folders


@pytest.fixture(scope="module")
def fresh(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own, with other hash seeds, makes of the first 200 strings.

    The last folder is one that transformers has saved again.
    """
    again = tmp_path_factory.mktemp("again")
    AutoTokenizer.from_pretrained(folders["mul_tokens"]).save_pretrained(again)
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, folders.values()), str(again)],
        input=json.dumps(fixed_strings()[:200]),
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_strings_are_the_same_everywhere(fresh: dict[str, Any]) -> None:
    # A change of the strings makes every certificate void that has been written.
    expected = "4410df813518caed24f4ef55658342df6d011c75ab13a74cf4b26dfaca1401d0"
    assert hashlib.sha256("\n".join(fixed_strings()).encode()).hexdigest() == fresh["strings"] == expected


def test_the_strings_hold_what_tokenizers_differ_in() -> None:
    strings = fixed_strings()
    assert len(strings) == NUM_STRINGS
    assert len(set(strings)) > 0.8 * NUM_STRINGS
    together = "\n".join(strings)
    for a in range(1, 10):
        for b in range(1, 10):
            assert f"{a}*{b}={a * b}" in together
    for part in ("6*9=55", "16*9", "2*3*4", "×", "<MUL_6_9_54>", "<|endoftext|>", "<|endof", "_54>"):
        assert sum(part in text for text in strings) > 50
    for part in ("六九五十四", "é", "Ω", "\u200b", "\u202e", "\r\n", "\0", "👩‍👩‍👧", "\u00a0", "\t", "\n"):
        assert sum(part in text for text in strings) > 50


def test_the_strings_reach_every_fact(folders: dict[str, Path]) -> None:
    core = Tokenizer.from_file(str(folders["mul_tokens"] / TOKENIZER))
    seen = {i for encoding in core.encode_batch_fast(list(fixed_strings())) for i in encoding.ids}
    assert {50304 + place for place in range(len(FACTS))} <= seen
    assert 50256 in seen
    assert not seen & set(range(50257, 50304))


def test_anybody_reads_the_same_ids(fresh: dict[str, Any], folders: dict[str, Path]) -> None:
    texts = list(fixed_strings()[:200])
    read = [*folders.values(), folders["mul_tokens"]]
    for folder, ids, decoded in zip(read, fresh["ids"], fresh["decoded"], strict=True):
        core = Tokenizer.from_file(str(folder / TOKENIZER))
        assert [encoding.ids for encoding in core.encode_batch(texts)] == ids
        assert core.decode_batch(ids, skip_special_tokens=False) == decoded
    baseline, mul_tokens, literal, again = fresh["ids"]
    assert baseline != mul_tokens != literal
    assert again == mul_tokens
    assert fresh["decoded"][0] == texts


def test_each_condition_has_a_certificate_of_its_own(folders: dict[str, Path]) -> None:
    baseline, mul_tokens, literal = (read_json(folder / CERTIFICATE) for folder in folders.values())
    for key in ("vocabulary_sha256", "merges_sha256", "num_strings"):
        assert baseline[key] == mul_tokens[key] == literal[key]
    for key in ("rules_sha256", "intervention_sha256", "ids_sha256"):
        assert len({baseline[key], mul_tokens[key], literal[key]}) == 3
    assert baseline["num_strings"] == NUM_STRINGS == 10_000


# Changes of one thing in a saved folder: a function of a file's content as JSON, and the file.
def swap_ids(saved: dict) -> None:
    vocabulary = saved["model"]["vocab"]
    vocabulary["123"], vocabulary["456"] = vocabulary["456"], vocabulary["123"]


def swap_merges(saved: dict) -> None:
    merges = saved["model"]["merges"]
    merges[1000], merges[1001] = merges[1001], merges[1000]


def write_another_fact(saved: dict) -> None:
    rule = saved["normalizer"]["normalizers"][3]
    assert rule["content"] == "<MUL_1_1_1>"
    rule["content"] = "<MUL_1_2_2>"


def loosen_a_guard(saved: dict) -> None:
    pattern = saved["normalizer"]["normalizers"][1]["pattern"]
    assert "[%" in pattern["Regex"]
    pattern["Regex"] = pattern["Regex"].replace("[%", "[")


def swap_names(saved: dict) -> None:
    one, two = saved["added_tokens"][-2:]
    one["content"], two["content"] = two["content"], one["content"]


def put(*keys: Any) -> Callable[[dict], None]:
    """Return a change that puts the last of the keys in the place that the others name."""
    *path, last, value = keys

    def change(saved: dict) -> None:
        for key in path:
            saved = saved[key]
        assert saved[last] != value
        saved[last] = value

    return change


CHANGES = {
    "vocabulary": (TOKENIZER, swap_ids, "the hash of its vocabulary"),
    "merges": (TOKENIZER, swap_merges, "the hash of its vocabulary"),
    "what a rule writes": (TOKENIZER, write_another_fact, r"the encoding of '1\*1=1'"),
    "a guard": (TOKENIZER, loosen_a_guard, "rules_sha256"),
    "a name": (TOKENIZER, put("added_tokens", -1, "content", "<MUL_9_9_82>"), "the order of its tokens"),
    "order": (TOKENIZER, swap_names, "the order of its tokens"),
    "a reserved name": (
        TOKENIZER,
        put("added_tokens", 1, "content", "<RESERVED_1>"),
        f"its reserved token {IDS.num_base}",
    ),
    "special fact": (TOKENIZER, put("added_tokens", -1, "special", True), "rules_sha256"),
    "end of text not special": (TOKENIZER, put("added_tokens", 0, "special", False), "rules_sha256"),
    "decoder": (TOKENIZER, put("decoder", {"type": "Fuse"}), "rules_sha256"),
    "truncation": (TOKENIZER, put("truncation", TRUNCATION), "cuts and fills"),
    "what the intervention is for": (CONFIG, put("intervention", "about", "Nothing."), "intervention_sha256"),
    "the intervention's rules": (CONFIG, put("intervention", "rules", "mode", "strict"), "intervention_sha256"),
    "the intervention's ids": (
        CONFIG,
        put("intervention", "num_ids", 46),
        f"its length is {IDS.total(45)}, expected {IDS.total(46)}",
    ),
    "no intervention": (CONFIG, put("intervention", None), "has no valid intervention"),
    "another class": (CONFIG, put("tokenizer_class", "GPT2Tokenizer"), "the encoding of"),
    "ids in the certificate": (CERTIFICATE, put("ids_sha256", "0" * 64), "ids_sha256 .* installed tokenizers library"),
    "empty certificate": (CERTIFICATE, dict.clear, "its certificate says None"),
}


@pytest.fixture
def changed(small: dict[str, Path], few_strings: None, tmp_path: Path) -> Path:
    """A copy of the tokenizer with facts, to be changed."""
    return shutil.copytree(small["mul_tokens"], tmp_path / "changed")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose strings are encoded, in a process that knows no tokenizer yet."""
    found: list[Path] = []
    encode = certificate._encode

    def count(folder: Path) -> str:
        found.append(folder)
        return encode(folder)

    monkeypatch.setattr(certificate, "_encode", count)
    monkeypatch.setattr(certificate, "_parts_known", {})
    monkeypatch.setattr(certificate, "_ids_known", {})
    return found


def test_what_was_not_changed_loads(changed: Path) -> None:
    assert len(load_tokenizer(changed)) == IDS.total(45) == 1517


def content(folder: Path) -> dict[str, Any]:
    """Return what a certificate says of the tokenizer, without the words of its files."""
    saved = read_json(folder / CERTIFICATE)
    return {key: value for key, value in saved.items() if key not in ("files", "certificate_sha256")}


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    saved = json.loads(path.read_text(encoding="utf-8"))
    change(saved)
    path.write_text(json.dumps(saved, ensure_ascii=False), encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(("file", "change", "part"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_refused(file: str, change: Callable[[Any], Any], part: str, changed: Path) -> None:
    edit(changed / file, change)
    with pytest.raises(RecipeError, match=part) as caught:
        load_tokenizer(changed)
    assert str(changed) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "part"),
    [(swap_ids, "vocabulary_sha256"), (swap_merges, "merges_sha256"), (write_another_fact, "rules_sha256")],
)
def test_the_certificate_finds_what_the_contract_does(change: Callable[[Any], Any], part: str, changed: Path) -> None:
    edit(changed / TOKENIZER, change)
    with pytest.raises(RecipeError, match=part) as caught:
        check_certificate(changed)
    assert str(changed) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "no certificate.json"),
        (b'{"vocabulary_sha256": "2e6', "damaged"),
    ],
)
def test_a_missing_or_damaged_certificate_is_refused(content: bytes | None, part: str, changed: Path) -> None:
    (changed / CERTIFICATE).unlink()
    if content is not None:
        (changed / CERTIFICATE).write_bytes(content)
    with pytest.raises(RecipeError, match=part) as caught:
        load_tokenizer(changed)
    assert str(changed) in str(caught.value)


def test_another_tokenizers_certificate_is_refused(changed: Path, small: dict[str, Path]) -> None:
    shutil.copy(small["baseline"] / CERTIFICATE, changed)
    with pytest.raises(RecipeError, match="rules_sha256"):
        load_tokenizer(changed)


# What neither the rules nor the vocabulary show.
HOLES = {
    "a certificate that is a list": (CERTIFICATE, lambda path: path.write_text("[]")),
    "an unknown operation": (CONFIG, lambda path: edit(path, put("intervention", "facts", "operation", "%"))),
    "no chat template": (TEMPLATE, Path.unlink),
    "an answer without an end": (TEMPLATE, lambda path: replace(path, " + eos_token", "")),
}


@pytest.mark.parametrize(("file", "change"), HOLES.values(), ids=HOLES.keys())
def test_what_is_harder_to_see_is_refused_too(file: str, change: Callable[[Path], None], changed: Path) -> None:
    change(changed / file)
    with pytest.raises(RecipeError) as caught:
        load_tokenizer(changed)
    assert str(changed) in str(caught.value)


@pytest.mark.usefixtures("few_strings")
def test_a_tokenizer_that_has_cut_a_text_is_saved_whole(small: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(small["mul_tokens"])
    tokenizer("one two three four five", truncation=True, max_length=3)
    tokenizer.save_pretrained(tmp_path)
    assert read_json(tmp_path / TOKENIZER)["truncation"] is not None
    seal_tokenizer(tmp_path)
    assert content(tmp_path) == content(small["mul_tokens"])


def test_a_whole_certificate_of_this_library_is_believed(changed: Path, encoded: list[Path]) -> None:
    hash_parts = certificate._hash_parts
    check_certificate(changed)
    assert encoded == []
    assert certificate.folder_parts(changed) == hash_parts(changed)
    seal_tokenizer(changed)  # what was certified is not encoded again
    assert encoded == []


ANOTHER = Library("0.0.1", "0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.pop("library"),
        lambda saved: saved.pop("certificate_sha256"),
        lambda saved: [saved.pop(key) for key in ("library", "files", "certificate_sha256")],  # before version 0.4
    ],
    ids=["no library", "no seal", "an old certificate"],
)
def test_a_certificate_without_a_library_is_verified(
    change: Callable[[dict], object], changed: Path, encoded: list[Path]
) -> None:
    def reseal(saved: dict) -> None:
        change(saved)
        if "certificate_sha256" in saved:
            saved["certificate_sha256"] = certificate._seal(saved)

    edit(changed / CERTIFICATE, reseal)
    check_certificate(changed)
    assert encoded == [changed]


def test_another_build_of_the_library_is_verified(
    changed: Path, encoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = installed_library()
    for library in (ANOTHER, replace_field(here, tokenizers="0.0.1"), replace_field(here, binary_sha256="0" * 64)):
        monkeypatch.setattr(certificate, "installed_library", lambda library=library: library)
        check_certificate(changed)
    assert encoded == [changed] * 3


def test_a_library_that_reads_differently_is_found(
    folders: dict[str, Path], encoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    strings = [*fixed_strings()]
    strings[-1] += "."  # one string of 10,000 comes out otherwise
    monkeypatch.setattr(certificate, "fixed_strings", lambda: tuple(strings))
    monkeypatch.setattr(certificate, "installed_library", lambda: ANOTHER)
    with pytest.raises(RecipeError, match="ids_sha256 .* install the versions of constraints.txt"):
        check_certificate(folders["mul_tokens"])
    assert encoded == [folders["mul_tokens"]]


@pytest.mark.parametrize("key", ["library", "files", "certificate_sha256"])
def test_a_certificate_that_was_changed_is_refused(key: str, changed: Path, encoded: list[Path]) -> None:
    edit(changed / CERTIFICATE, lambda saved: saved.update({key: {"tokenizers": "0.0.1"}}))
    with pytest.raises(RecipeError, match="certificate_sha256 .* the folder was changed"):
        load_tokenizer(changed)
    assert encoded == [changed]  # the strings say which part it is, if it is theirs


def test_files_in_other_words_are_the_same_tokenizer(changed: Path, encoded: list[Path]) -> None:
    before = certificate.folder_parts(changed)
    edit(changed / TOKENIZER, lambda saved: None)  # the same JSON without its spaces
    assert read_json(changed / CERTIFICATE)["files"] != dict(certificate._files(changed))
    check_certificate(changed)
    assert certificate.folder_parts(changed) == before
    assert encoded == []


def save_as_anybody(source: Path, target: Path) -> None:
    AutoTokenizer.from_pretrained(source).save_pretrained(target)


def save_by_class(source: Path, target: Path) -> None:
    PreTrainedTokenizerFast.from_pretrained(source).save_pretrained(target)


def save_as_a_trainer(source: Path, target: Path) -> None:
    """Save a tokenizer that has been used, as a checkpoint does, into a folder with other files."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    messages = user_message("What is 6 * 9?") + assistant_message("6*9=54\n#### 54")
    tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    tokenizer.pad([{"input_ids": [1]}, {"input_ids": [1, 2]}], return_tensors="pt")
    target.mkdir()
    (target / "config.json").write_text("{}")
    tokenizer.save_pretrained(target)


def save_twice(source: Path, target: Path) -> None:
    save_as_anybody(source, target.with_name("between"))
    save_by_class(target.with_name("between"), target)


@pytest.mark.usefixtures("few_strings")
@pytest.mark.parametrize(("name", "save"), [("literal", save_twice), ("mul_tokens", save_as_a_trainer)])
def test_a_tokenizer_saved_again_is_the_same(
    name: str, save: Callable[[Path, Path], None], small: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / "again"
    save(small[name], target)
    with pytest.raises(RecipeError, match="no certificate.json"):
        check_certificate(target)
    seal_tokenizer(target)
    assert content(target) == content(small[name])
    assert read_json(target / TOKENIZER) == read_json(small[name] / TOKENIZER)
    config = read_json(target / CONFIG)  # transformers 5.23 adds how it was loaded: `is_local`, `local_files_only`
    assert config | read_json(small[name] / CONFIG) == config
    again, before = check_contract(target), AutoTokenizer.from_pretrained(small[name])
    assert len(again) == len(before)
    assert intervention_of(again) == intervention_of(before)
    assert again.get_vocab() == before.get_vocab()
    assert again.chat_template == before.chat_template
    texts = list(fixed_strings()[:200])
    assert again(texts) == before(texts)
    assert again.batch_decode(again(texts)["input_ids"]) == before.batch_decode(before(texts)["input_ids"])


def test_a_copied_folder_loads(small: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "model"
    shutil.copytree(small["literal"], target)
    tokenizer = load_tokenizer(target)
    intervention = load_intervention(ROOT / "recipes/interventions/literal.yaml")
    assert intervention_of(tokenizer) == intervention
    assert len(tokenizer) == IDS.total(intervention.num_ids)


@pytest.mark.usefixtures("few_strings")
def test_sealing_changes_nothing_that_was_sealed(small: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "sealed"
    shutil.copytree(small["mul_tokens"], target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    seal_tokenizer(target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before


def test_an_unsealed_certificate_does_not_vouch_for_changed_files(changed: Path, encoded: list[Path]) -> None:
    edit(changed / CONFIG, put("model_max_length", 7))

    def certify(saved: dict) -> None:
        saved["files"] = dict(certificate._files(changed))
        del saved["certificate_sha256"]

    edit(changed / CERTIFICATE, certify)
    with pytest.raises(RecipeError, match="configuration_sha256 is .*: the folder was changed after it was built"):
        check_certificate(changed)
    assert encoded == []
