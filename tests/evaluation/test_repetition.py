"""What an answer may not repeat: the same text in every condition, whatever its tokens are."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.analysis.matching import Recorded, mismatches
from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.models.repetition import NoRepeatedBytes, TokenTexts, repeated_at
from domain_tokens.evaluation.modes import read_task_runs
from domain_tokens.recipe import Recipe
from domain_tokens.recipe.sections.repetition import Repetition
from domain_tokens.runs.records import TaskResult, read_record
from domain_tokens.tokenization.contract import intervention_of

PIECES = ["6*9=54", " 6*9=54", "3*4=12", " so", " the", "6", "*9", "54", "\n", "é", ". ", " is"]
SIZES = st.integers(2, 12)
WRITTEN = st.lists(st.sampled_from(PIECES), max_size=12)


@pytest.fixture(scope="module")
def texts(tokenizers: dict[str, PreTrainedTokenizerFast]) -> dict[str, TokenTexts]:
    return {condition: TokenTexts.of(tokenizer) for condition, tokenizer in tokenizers.items()}


def has_repeat(text: bytes, size: int) -> bool:
    """Whether any sequence of so many bytes stands in a text twice."""
    found = [text[start : start + size] for start in range(len(text) - size + 1)]
    return len(set(found)) < len(found)


@given(st.text("ab6", max_size=20), st.text("ab6", max_size=8), st.integers(2, 6))
def test_the_first_repetition_is_found(text: str, added: str, size: int) -> None:
    before, after = text.encode(), added.encode()
    if has_repeat(before, size):
        return
    ends = [end for end in range(1, len(after) + 1) if has_repeat(before + after[:end], size)]
    assert repeated_at(before, after, size) == (ends[0] if ends else 0)


def test_a_repetition_that_overlaps_counts() -> None:
    assert repeated_at(b"aaa", b"a", 3) == 1
    assert repeated_at(b"ab", b"abab", 3) == 3
    assert repeated_at(b"abc", b"abd", 3) == 0


def test_tokens_stand_for_the_bytes_of_their_text(
    tokenizers: dict[str, PreTrainedTokenizerFast], texts: dict[str, TokenTexts]
) -> None:
    written = "Ein Übel × 3: 6*9=54 and 9 x 6 = 54, 日本\n"
    ids = {condition: tokenizer.encode(written) for condition, tokenizer in tokenizers.items()}
    assert ids["baseline"] != ids["mul_tokens"]
    assert texts["baseline"].text(ids["baseline"]) == written.encode()
    assert texts["mul_tokens"].text(ids["mul_tokens"]) == written.replace("9 x 6 = 54", "6*9=54").encode()
    assert texts["mul_tokens"].text([tokenizers["mul_tokens"].eos_token_id]) == b""


def test_ids_are_found_by_how_their_texts_begin(texts: dict[str, TokenTexts]) -> None:
    found, all_texts = texts["mul_tokens"], texts["mul_tokens"]._texts
    for start in (b"6*9", b" th", b"\xff", b"6*9=54", b"no token begins so"):
        assert sorted(found.beginning_with(start)) == [
            index for index, text in enumerate(all_texts) if text.startswith(start)
        ]
    assert found.beginning_with(b"6*9")


def encodings(pieces: list[str], tokenizers: dict[str, PreTrainedTokenizerFast]) -> dict[str, list[int]]:
    """One text as `mul_tokens` writes it, with its facts as tokens and in digits, and as `baseline` does."""
    facts, plain = tokenizers["mul_tokens"], tokenizers["baseline"]
    return {
        "facts": [token for piece in pieces for token in facts.encode(piece)],
        "digits": [token for piece in pieces for token in plain.encode(piece)],  # base ids are shared
        "baseline": plain.encode("".join(pieces)),
    }


@given(WRITTEN, SIZES)
def test_the_same_next_texts_are_blocked_however_an_answer_is_written(
    tokenizers: dict[str, PreTrainedTokenizerFast], texts: dict[str, TokenTexts], pieces: list[str], size: int
) -> None:
    written = encodings(pieces, tokenizers)
    before = [texts["mul_tokens"].text(written["facts"]), texts["mul_tokens"].text(written["digits"])]
    before.append(texts["baseline"].text(written["baseline"]))
    added = [*PIECES, *intervention_of(tokenizers["mul_tokens"]).token_names()]
    blocked = [
        {
            text
            for one in added
            if repeated_at(so_far, text := texts["mul_tokens"].text(tokenizers["mul_tokens"].encode(one)), size)
        }
        for so_far in before
    ]
    assert blocked[0] == blocked[1] == blocked[2]


def chosen(texts: TokenTexts, ids: list[int], scores: torch.Tensor, size: int, padding: int) -> int:
    """The token that is taken behind an answer, after a prompt that has the same text."""
    block = NoRepeatedBytes(texts, size)
    prompt = torch.tensor([[padding, padding, *ids]])
    block(prompt, scores[None])  # the first step, which tells the prompt's length
    return int(block(torch.tensor([[*prompt[0].tolist(), *ids]]), scores[None]).argmax())


def test_the_best_token_that_repeats_nothing_is_taken_however_an_answer_is_written(
    tokenizers: dict[str, PreTrainedTokenizerFast], texts: dict[str, TokenTexts]
) -> None:
    found, end, rng = texts["mul_tokens"], tokenizers["baseline"].eos_token_id, random.Random(0)
    num_blocked = 0
    for _ in range(8):
        pieces, size = rng.choices(PIECES, k=8), rng.randint(2, 5)
        written = encodings(pieces, tokenizers)
        scores = torch.randn(len(tokenizers["mul_tokens"]), generator=torch.Generator().manual_seed(size))
        again = [token for token in (*written["facts"], *written["digits"]) if len(found[token]) >= size]
        scores[again] += 10.0
        text = found.text(written["facts"])
        free = [index for index in range(len(scores)) if not repeated_at(text, found[index], size)]
        best = max(free, key=lambda index: float(scores[index]))
        num_blocked += int(scores.argmax()) in again
        assert chosen(found, written["facts"], scores, size, end) == best
        assert chosen(found, written["digits"], scores, size, end) == best
    assert num_blocked > 4


@pytest.fixture(scope="module")
def model(save_model: Callable[..., GPT2LMHeadModel], tmp_path_factory: pytest.TempPathFactory) -> GPT2LMHeadModel:
    return save_model(tmp_path_factory.mktemp("model"), initializer_range=0.3, n_positions=64).eval()


PROMPTS = ["the dog runs", "6*9=54", "the the the the the the", "a"]


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_answers_repeat_nothing_and_nothing_else_changes(
    model: GPT2LMHeadModel,
    tokenizers: dict[str, PreTrainedTokenizerFast],
    texts: dict[str, TokenTexts],
    temperature: float,
) -> None:
    tokenizer, found = tokenizers["mul_tokens"], texts["mul_tokens"]
    # Only a few tokens may be written, so that an answer comes round.
    few = {token for piece in PIECES for token in tokenizer.encode(piece)}
    others = tuple(index for index in range(len(tokenizer)) if index not in few)
    free = Decoding(12, None, 2, temperature, others)
    blocked = Decoding(12, None, 2, temperature, others, no_repeat_bytes=4)
    written = [
        [one for answers in generate(model, tokenizer, PROMPTS, decoding, size) for one in answers]
        for decoding, size in ((free, 8), (blocked, 8), (blocked, 3))
    ]
    assert written[1] == written[2]
    repeats = [[has_repeat(found.text(ids), 4) for ids in side] for side in written[:2]]
    assert any(repeats[0])
    assert not any(repeats[1])
    for before, after in zip(*written[:2], strict=True):
        same = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
        if same is not None:  # where they part, the free answer repeats something
            assert repeated_at(found.text(before[:same]), found[before[same]], 4)


def penalized(model: GPT2LMHeadModel, prompt: list[int], num_ignored: int) -> list[int]:
    """Eight tokens with a penalty of 3 on those behind the first so many, by hand."""
    ids = list(prompt)
    while len(ids) < len(prompt) + 8 and 50256 not in ids:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        seen = sorted(set(ids[num_ignored:]))
        logits[seen] = torch.where(logits[seen] < 0, logits[seen] * 3, logits[seen] / 3)
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def test_the_penalty_is_the_librarys_over_the_answer_alone(
    model: GPT2LMHeadModel, tokenizers: dict[str, PreTrainedTokenizerFast]
) -> None:
    tokenizer = tokenizers["mul_tokens"]
    free = [ids for (ids,) in generate(model, tokenizer, PROMPTS, Decoding(8), 4)]
    # What would be written stands in the prompts too.
    prompts = [[*free[row], *tokenizer.encode(prompt)] for row, prompt in enumerate(PROMPTS)]
    decoding = Decoding(8, repetition_penalty=3.0)
    found = generate(model, tokenizer, PROMPTS, decoding, 4, encode=lambda _: prompts)
    assert [ids for (ids,) in found] == [penalized(model, ids, len(ids)) for ids in prompts]
    for num_ignored in (lambda ids: 0, lambda ids: len(ids) + 8):  # all counts, nothing does
        assert [ids for (ids,) in found] != [penalized(model, ids, num_ignored(ids)) for ids in prompts]


def generation(recipe: Recipe) -> list[dict[str, object] | None]:
    return [run.identify(recipe).generation for run in read_task_runs(recipe)]


def test_what_is_set_is_recorded_and_what_is_not_changes_no_result(
    make_run: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = make_run(tmp_path, "baseline", ["notations"])
    (before,) = generation(recipe)
    assert before == {"max_new_tokens": 256, "temperature": 0, "stop": ["\nUser:"]}
    recipe.evaluation.repetition = Repetition(no_repeat_bytes=32)
    assert generation(recipe) == [{**before, "no_repeat_bytes": 32}]
    recipe.evaluation.repetition = Repetition(penalty=1.2)
    assert generation(recipe) == [{**before, "repetition_penalty": 1.2}]


def test_results_are_made_anew_when_it_is_set_and_kept_when_it_is_not(
    make_run: Callable[..., Recipe], read_outputs: Callable[..., tuple[dict, list[dict]]], tmp_path: Path
) -> None:
    recipe = make_run(tmp_path, "mul_tokens", ["arithmetic"], max_samples=2, max_new_tokens=12)
    evaluate(recipe)
    free, free_items = read_outputs(recipe, "arithmetic")
    recipe.evaluation.repetition = Repetition(no_repeat_bytes=4)
    evaluate(recipe)
    blocked, blocked_items = read_outputs(recipe, "arithmetic")
    assert blocked["generation"] == {**free["generation"], "no_repeat_bytes": 4}
    repeats = [[has_repeat(item["answer"].encode(), 4) for item in items] for items in (free_items, blocked_items)]
    assert any(repeats[0])
    assert not any(repeats[1])
    evaluate(recipe)
    assert read_outputs(recipe, "arithmetic") == (blocked, blocked_items)  # its time and environment too


def test_conditions_with_other_settings_are_not_compared(make_run: Callable[..., Recipe], tmp_path: Path) -> None:
    results = []
    for condition, limits in (("baseline", Repetition()), ("mul_tokens", Repetition(no_repeat_bytes=32))):
        recipe = make_run(tmp_path, condition, ["arithmetic"], max_samples=1, max_new_tokens=1, repetition=limits)
        evaluate(recipe)
        folder = recipe.run_dir / "eval" / "sft_final"
        results.append(read_record(folder / "arithmetic_results.json", TaskResult))
    sides = [Recorded(result.condition, {0: {}}, {0: {"eval/sft_final/arithmetic": result}}) for result in results]
    found = [one.field for one in mismatches(*sides)]
    assert found == ["generation.no_repeat_bytes"]
    assert mismatches(sides[0], sides[0]) == []
