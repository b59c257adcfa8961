"""The placebo saves what the facts save, counted here anew; its phrases are no arithmetic; the one that is shipped."""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import pytest
from tiny import GPT2_BASE, ROOT
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from domain_tokens.cli.choose_placebo import main
from domain_tokens.corpora import synthetic
from domain_tokens.corpora.placebo import choosing as module
from domain_tokens.corpora.placebo.choosing import Placebo, choose_placebo, to_yaml
from domain_tokens.corpora.placebo.ngrams import NgramCounter, ngrams
from domain_tokens.corpora.placebo.savings import check_savings, load_matched
from domain_tokens.recipe import Recipe, RecipeError, load_recipe
from domain_tokens.runs.files import write_json
from domain_tokens.runs.records import Savings
from domain_tokens.tokenization.bpe.base_vocabulary import gpt2_base
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.intervention import Intervention, load_intervention
from domain_tokens.tokenization.rewriter import rewriter_of

MUL_TOKENS = ROOT / "recipes/interventions/mul_tokens.yaml"
SHIPPED = ROOT / "recipes/interventions/placebo.yaml"
ARITHMETIC = re.compile(
    "one|two|three|six|seven|ten|twelve|thirty|sixth|times|plus|minus|x|divided|sum|product|twice|half", re.IGNORECASE
)
# Beside the demo's generated text, which alone has too little of it: words as often as in a language, by Zipf's law.
WORDS = re.findall(
    r"\w+",
    """the of and a to in is it he was for on are as with his they at be this from I have or by had not but what all
    were when we there can an your which their said if do will each about how up out them then she many some so these
    would other into has more her like him see time could no make than first been its who now people my made over did
    down only way find use may water long little very after words called just where most know""",
)


def prose(num_documents: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    weights = list(accumulate(1 / rank for rank in range(1, len(WORDS) + 1)))
    sentences = (" ".join(draw.choices(WORDS, cum_weights=weights, k=12)) for _ in range(3 * num_documents))
    return [f"{next(sentences)}. {next(sentences)},\n{next(sentences)}'s" for _ in range(num_documents)]


def write_documents(folder: Path, texts: list[str], **overrides: str) -> Recipe:
    """Write documents as `scripts/prepare_data.py` leaves them, and return the recipe that they are of."""
    recipe = load_recipe(arguments(folder))
    (recipe.documents_dir / "train").mkdir(parents=True)
    for shard in range(2):
        rows = [json.dumps({"text": text}) + "\n" for text in texts[shard::2]]
        (recipe.documents_dir / f"train/{shard:05}.jsonl").write_text("".join(rows), encoding="utf-8")
    files = {"train/00000.jsonl": "0", "run_config.yaml": "1"}
    manifest = {"stage": "documents", "condition": "any", "seed": 0, "inputs": {}, "environment": {}}
    write_json(recipe.documents_dir / "manifest.json", manifest | {"wall_time_s": 0, "files": files})
    return recipe


def arguments(folder: Path) -> list[str]:
    return [
        str(ROOT / "recipes/mul_tokens.yaml"),
        str(ROOT / "recipes/scales/demo.yaml"),
        GPT2_BASE,
        f"output_dir={folder}",
    ]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    generated = [text for text in synthetic.texts(150, 0, "train") if not re.search("9 ?[*×x] ?9", text)]
    mixed = [*generated, *prose(750)]
    random.Random(0).shuffle(mixed)
    return mixed


@pytest.fixture(scope="module")
def recipe(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return write_documents(tmp_path_factory.mktemp("outputs"), texts)


@pytest.fixture(scope="module")
def mul_tokens() -> Intervention:
    return load_intervention(MUL_TOKENS)


@pytest.fixture(scope="module")
def chosen(recipe: Recipe, mul_tokens: Intervention) -> Placebo:
    return choose_placebo(recipe, mul_tokens)


@pytest.fixture(scope="module")
def built(chosen: Placebo, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("placebo")
    save_tokenizer(build_tokenizer(chosen.intervention), folder)
    return AutoTokenizer.from_pretrained(folder)


def num_tokens(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> int:
    return sum(len(ids) for ids in tokenizer(texts)["input_ids"])


def test_both_save_the_same(
    chosen: Placebo, built: PreTrainedTokenizerFast, tokenizer_dirs: dict[str, Path], texts: list[str]
) -> None:
    plain, facts = (
        num_tokens(AutoTokenizer.from_pretrained(tokenizer_dirs[name]), texts) for name in ("baseline", "mul_tokens")
    )
    ours = num_tokens(built, texts)
    assert plain - facts > 700
    assert abs((plain - ours) / (plain - facts) - 1) <= 0.01
    # What is reported is what is counted here.
    assert chosen.plain_tokens == plain
    assert sum(fact.tokens for fact in chosen.facts) == plain - facts
    assert sum(ngram.tokens for ngram in chosen.ngrams) == plain - ours


def test_each_fact_saves_what_is_said(chosen: Placebo, tokenizers: dict, texts: list[str]) -> None:
    """Every line of the generated text states one fact, so its whole saving is that fact's."""
    saved: Counter[int] = Counter()
    sites: Counter[int] = Counter()
    for line in [line for text in texts for line in text.split("\n")]:
        ids = tokenizers["mul_tokens"].encode(line)
        found = [i for i in ids if i >= 50304]
        if found:
            assert len(set(found)) == 1
            sites[found[0]] += len(found)
            saved[found[0]] += len(tokenizers["baseline"].encode(line)) - len(ids)
    assert [(fact.sites, fact.tokens) for fact in chosen.facts] == [(sites[i], saved[i]) for i in range(50304, 50349)]


def test_several_facts_in_a_line_each_save_their_own(tmp_path: Path, mul_tokens: Intervention) -> None:
    # 5 tokens, 9 with spaces around the signs; a space before a product stays behind as a token of its own.
    texts = ["6*9=54 2*3=6, 7 x 8 = 56 ok é👩‍👧 3*3"]
    found = choose_placebo(write_documents(tmp_path, texts * 15 + prose(600)), mul_tokens).facts
    saved = {fact.text: (fact.sites, fact.tokens) for fact in found if fact.tokens}
    assert saved == {"6*9=54": (15, 60), "2*3=6": (15, 45), "7*8=56": (15, 45), "3*3=9": (15, 15)}


def test_each_ngram_saves_about_what_its_fact_saves(chosen: Placebo) -> None:
    pairs = [(fact.tokens, ngram.tokens) for fact, ngram in zip(chosen.facts, chosen.ngrams, strict=True)]
    assert len(pairs) == 45
    assert all(abs(ngram - fact) <= max(0.15 * fact, 2) for fact, ngram in pairs)
    assert sum(abs(ngram - fact) for fact, ngram in pairs) <= 0.04 * sum(fact for fact, _ in pairs)


def test_a_fact_that_never_occurs_gets_an_ngram_that_never_does(chosen: Placebo, texts: list[str]) -> None:
    assert chosen.facts[-1].text == "9*9=81"
    assert chosen.facts[-1].sites == chosen.ngrams[-1].sites == 0
    assert not any(chosen.ngrams[-1].text in text for text in texts)
    assert set(chosen.ngrams[-1].text.split()) <= {word for text in texts for word in re.findall(r"\w+", text)}


def test_the_ngrams_are_words_and_no_arithmetic(chosen: Placebo) -> None:
    for intervention in (chosen.intervention, load_intervention(SHIPPED)):
        assert len({phrase.text for phrase in intervention.tokens}) == 45
        for phrase in intervention.tokens:
            assert re.fullmatch(r"( [A-Za-z]+){2,4}", phrase.text)
            assert not any(ARITHMETIC.fullmatch(word) for word in phrase.text.split())


def test_the_order_of_the_ngrams_does_not_matter(
    chosen: Placebo, built: PreTrainedTokenizerFast, texts: list[str]
) -> None:
    turned = build_tokenizer(replace(chosen.intervention, tokens=chosen.intervention.tokens[::-1]))
    for ids, other in zip(built(texts)["input_ids"], turned(texts)["input_ids"], strict=True):
        assert ids == [i if i < 50304 else 50304 + 50348 - i for i in other]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The end of the day. It is six times the size",
            "end of|end of the|end of the day|of the|of the day|the day|It is",
        ),
        (" I don't know that\n it is", "know that|it is"),
        (" a well-known man_made thing of 3 old dogs2 and x y", "thing of"),
        (" the the", "the the"),
        ("日本 é ü 6 b c", "é ü|b c"),
    ],
)
def test_which_ngrams_are_counted(text: str, expected: str) -> None:
    found = [ngram for ngram in ngrams(text) if ngram != " the size"]
    assert found == [f" {ngram}" for ngram in expected.split("|")]


@pytest.mark.slow
def test_the_same_corpus_gives_the_same_bytes(
    chosen: Placebo, recipe: Recipe, mul_tokens: Intervention, tmp_path: Path
) -> None:
    written = to_yaml(chosen, recipe, mul_tokens, os.path.relpath(MUL_TOKENS, tmp_path / "new"))
    command = [sys.executable, "scripts/choose_placebo.py", *arguments(Path(recipe.output_dir))]
    command += ["--matches", str(MUL_TOKENS), "--output", str(tmp_path / "new" / "placebo.yaml")]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert (tmp_path / "new" / "placebo.yaml").read_bytes() == written.encode()
    found = load_intervention(tmp_path / "new" / "placebo.yaml")
    assert replace(found, matches=None) == chosen.intervention
    assert found.matches is not None
    assert (tmp_path / "new" / found.matches.intervention).resolve() == MUL_TOKENS
    assert found.matches.tokens_saved == sum(ngram.tokens for ngram in chosen.ngrams)
    assert check_savings(of_tokenizer(recipe, tmp_path / "new" / "placebo.yaml"), gpt2_base()) == Savings(
        matched="mul_tokens",
        documents=chosen.num_documents,
        plain_tokens=chosen.plain_tokens,
        matched_saved=sum(fact.tokens for fact in chosen.facts),
        saved=found.matches.tokens_saved,
    )
    claims_more = written.replace(f"tokens_saved: {found.matches.tokens_saved}", "tokens_saved: 99999")
    (tmp_path / "new" / "placebo.yaml").write_text(claims_more)
    with pytest.raises(RecipeError, match="matches.tokens_saved: 99,999 of these documents, but"):
        check_savings(of_tokenizer(recipe, tmp_path / "new" / "placebo.yaml"), gpt2_base())
    assert f"ratio {chosen.ratio:.5f}" in written


def of_tokenizer(recipe: Recipe, file: Path) -> Recipe:
    return replace(recipe, tokenizer=str(file))


def test_the_shipped_placebo_is_refused_on_another_corpus(recipe: Recipe) -> None:
    refused = r"placebo saves [\d,]+ and mul_tokens [\d,]+; expected the same within 1%\. It was chosen .* 9edb"
    with pytest.raises(RecipeError, match=refused):
        check_savings(of_tokenizer(recipe, SHIPPED), gpt2_base())


@pytest.mark.parametrize("name", ["placebo_sites", pytest.param("ambiguous_symbol", marks=pytest.mark.slow)])
def test_a_symbol_at_the_same_sites_saves_the_same(name: str, recipe: Recipe) -> None:
    found = check_savings(of_tokenizer(recipe, SHIPPED.with_name(f"{name}.yaml")), gpt2_base())
    assert found is not None
    assert found.matched == "mul_tokens_answers"
    assert found.saved == found.matched_saved > 500


def test_what_is_no_placebo_matches_nothing(recipe: Recipe) -> None:
    assert check_savings(recipe, gpt2_base()) is None


def test_a_missing_match_is_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\nmatches: {intervention: nowhere.yaml}\n")
    with pytest.raises(RecipeError, match=r"nowhere\.yaml"):
        load_matched(of_tokenizer(recipe, tmp_path / "mine.yaml"))


def test_with_little_memory_it_reads_again(
    recipe: Recipe, mul_tokens: Intervention, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NgramCounter", partial(NgramCounter, max_ngrams=4000))
    found = choose_placebo(recipe, mul_tokens)
    assert abs(found.ratio - 1) <= 0.01
    for ngram in found.ngrams:
        assert ngram.sites == sum(len(re.findall(rf"{ngram.text}(?!\w)", text)) for text in texts)


def test_candidates_are_counted_exactly_however_little_memory(
    recipe: Recipe, texts: list[str], tokenizers: dict
) -> None:
    bounded, everything = NgramCounter(max_ngrams=2000), NgramCounter()
    for text in texts:
        bounded.add(text)
        everything.add(text)
    plain = tokenizers["baseline"].backend_tokenizer
    found = module.candidate_savings(module.Documents(recipe.documents_dir / "train", 10**6), plain, bounded)
    assert any(bounded.counts[ngram.text] < ngram.sites for ngram in found)
    for ngram in found:
        assert ngram.sites == everything.counts[ngram.text]
        assert ngram.tokens == ngram.sites * (len(plain.encode(ngram.text).ids) - 1)


def test_memory_is_bounded_and_what_is_kept_by_its_hash_is_exact() -> None:
    bounded, everything = NgramCounter(max_ngrams=1000), NgramCounter()
    for text in prose(300):
        bounded.add(text)
        everything.add(text)
        assert len(bounded.counts) <= 1000
    assert everything.one_in == 1
    assert len(everything.counts) > 10_000
    kept = bounded.kept()
    assert len(kept) > 100
    by_hash = [ngram for ngram in kept if module.crc32(ngram.encode()) % bounded.one_in == 0]
    assert len(by_hash) > 20
    assert all(kept[ngram] == everything.counts[ngram] for ngram in by_hash)
    frequent = [ngram for ngram, _ in everything.counts.most_common(20)]
    assert all(ngram in kept for ngram in frequent)


def test_a_large_corpus_is_read_in_part(recipe: Recipe, mul_tokens: Intervention, texts: list[str]) -> None:
    documents = module.Documents(recipe.documents_dir / "train", 50)
    read = [text for batch in documents.batches("reading") for text in batch]
    in_order = [*texts[0::2], *texts[1::2]]
    places = [in_order.index(read[0])]
    for text in read[1:]:  # short texts repeat
        places.append(in_order.index(text, places[-1] + 1))
    assert len(read) == documents.num_read == 50
    assert documents.num_all == len(texts)
    assert {later - earlier for earlier, later in zip(places, places[1:], strict=False)} <= {17, 18}


def test_missing_documents_are_named(tmp_path: Path, mul_tokens: Intervention) -> None:
    with pytest.raises(RecipeError, match=r"documents_0: .* run scripts/prepare_data\.py"):
        choose_placebo(load_recipe(arguments(tmp_path)), mul_tokens)


def test_a_corpus_of_arithmetic_has_no_placebo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_documents(tmp_path, [*synthetic.texts(120, 0, "train"), *prose(24)])
    output = tmp_path / "placebo.yaml"
    command = ["choose_placebo.py", *arguments(tmp_path), "--matches", str(MUL_TOKENS), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        main("")
    assert stopped.value.code == 2
    assert re.search(r"mul_tokens saves \d,\d+ of .* come closest save [\d,]+ \(\d+\.\d%", capsys.readouterr().err)
    assert not output.exists()


@pytest.mark.parametrize(
    ("texts", "name", "part"),
    [
        (prose(3), "mul_tokens", "nothing to match"),
        (prose(3), "canon_result", "adds no token"),
        (["6*9 and so"] * 3, "mul_tokens", "too few to choose 45"),
    ],
)
def test_what_cannot_be_matched_is_said(texts: list[str], name: str, part: str, tmp_path: Path) -> None:
    recipe = write_documents(tmp_path, texts)
    with pytest.raises(RecipeError, match=part):
        choose_placebo(recipe, load_intervention(MUL_TOKENS.with_name(f"{name}.yaml")))


@pytest.fixture(scope="module")
def shipped() -> Intervention:
    return load_intervention(SHIPPED)


@pytest.fixture(scope="module")
def shipped_tokenizer(shipped: Intervention, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("shipped")
    save_tokenizer(build_tokenizer(shipped), folder)
    return AutoTokenizer.from_pretrained(folder)


def test_a_shipped_phrase_is_one_id_in_its_context(
    shipped: Intervention, shipped_tokenizer: PreTrainedTokenizerFast, tokenizers: dict
) -> None:
    plain, rewriter = tokenizers["baseline"], rewriter_of(shipped)
    assert len(shipped_tokenizer) == 50349
    for number, phrase in enumerate(shipped.tokens):
        around = [
            ("It", " cat."),
            ("so", ""),
            ("", "\nnext"),
            ("(", ")"),
            ("one  ", "'s"),
            ("é", "\u2019s end"),
            ("7", ", 8"),
        ]
        for before, after in around:
            text = f"{before}{phrase.text}{after}"
            expected = [*plain.encode(before), 50304 + number, *plain.encode(after)]
            assert shipped_tokenizer.encode(text) == expected
            assert shipped_tokenizer.decode(expected) == rewriter.inject(text) == f"{before}{phrase.token}{after}"
            assert len(plain.encode(text)) - len(expected) == len(plain.encode(phrase.text)) - 1
            assert rewriter.rewrite(text).restore() == text
            assert rewriter.expand(rewriter.inject(text)) == text


def test_a_shipped_phrase_within_a_word_or_without_its_space_is_left_alone(
    shipped: Intervention, shipped_tokenizer: PreTrainedTokenizerFast, tokenizers: dict
) -> None:
    for phrase in shipped.tokens:
        for text in (
            phrase.text[1:],  # at the start of a line
            f"x\n{phrase.text[1:]} y",
            f"it{phrase.text}ish",
            f"it{phrase.text}\u0301",
            f"it{phrase.text}2",
            f"it{phrase.text}_a",
            f"it{phrase.text.replace(' ', '  ')}",
            f"it{phrase.text.replace(' ', chr(10))}",
            f"it{phrase.text.upper()}",
        ):
            assert shipped_tokenizer.encode(text) == tokenizers["baseline"].encode(text)


def test_the_shipped_placebo_on_ordinary_text(
    shipped: Intervention, shipped_tokenizer: PreTrainedTokenizerFast, tokenizers: dict
) -> None:
    rewriter = rewriter_of(shipped)
    words = sorted({word for phrase in shipped.tokens for word in phrase.text.split()})
    draw = random.Random(0)
    with_phrase = 0
    for _ in range(500):
        pieces = [
            draw.choice([*words, "6*9=54", "日本"]) + draw.choice([" ", "  ", "\n", "'s ", ".", " "])
            for _ in range(12)
        ]
        pieces.insert(6, draw.choice(shipped.tokens).text + draw.choice([" ", "s", "'t", "\n"]))
        text = "".join(pieces)
        ids = shipped_tokenizer.encode(text)
        found = [site for site in rewriter.find(text) if site.verdict == "rewritten"]
        with_phrase += bool(found)
        assert shipped_tokenizer.decode(ids) == rewriter.inject(text)
        assert rewriter.rewrite(text).restore() == text
        assert sum(i >= 50304 for i in ids) == len(found)
        if not found:
            assert ids == tokenizers["baseline"].encode(text)
    assert 100 < with_phrase < 500
