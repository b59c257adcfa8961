"""Bits of worked solutions: exact sums on models whose probabilities are known, and what belongs to sites."""

import json
import math
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.evaluate import evaluate
from domain_tokens.evaluation.models.answer_bits import AnswerBits, AnswerEncoder, EncodedAnswer, measure_answers
from domain_tokens.evaluation.models.side_codes import answer_side_code
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks.gold_bits import TASK, _item
from domain_tokens.recipe import Recipe, RecipeError, SFTStage, Source
from domain_tokens.runs.records import AnswerBitsItem, read_items, write_record
from domain_tokens.tokenization import inject, load_intervention
from domain_tokens.tokenization.builder import build_tokenizer
from domain_tokens.tokenization.facts import VOCAB_SIZE
from domain_tokens.tokenization.intervention import default_intervention
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import Dropped, record

END = 50256
QUICK = ("literal", "canon_result")  # rewritten text in place of tokens, and tokens that are the text
SHIPPED = sorted((Path(__file__).parents[2] / "recipes" / "interventions").glob("*.yaml"))
QUESTION = "Ana has 6 bags of 9 pens, 3*7 cards and finds 2 more. How many?"
PROMPT = render_prompt(QUESTION)
ANSWER = "6 x 9 = 54 pens\n54+2=56\n#### 56"


def gpt2(n_positions: int = 128) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_layer=2, n_head=2, n_embd=8, n_positions=n_positions, bos_token_id=END,
        eos_token_id=END, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.5,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def encoder(tokenizer: PreTrainedTokenizerFast, *taught: str) -> AnswerEncoder:
    code = SideCode()
    for text in taught:
        code.learn(inject(text), record(text))
    return AnswerEncoder(tokenizer, default_intervention(), code)


@pytest.fixture
def mul_tokens(tokenizers: dict[str, PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    return tokenizers["mul_tokens"]


@pytest.fixture
def baseline(tokenizers: dict[str, PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
    return tokenizers["baseline"]


def at_site(answer: EncodedAnswer, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    ids = answer.ids[answer.num_prompt :][answer.at_site]
    return [tokenizer.decode([one]) for one in ids]


def test_the_tokens_are_those_of_fine_tuning(tokenizers: dict[str, PreTrainedTokenizerFast], condition: str) -> None:
    tokenizer = tokenizers[condition]
    found = encoder(tokenizer).encode(PROMPT, ANSWER)
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    trained = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    assert found.ids.tolist() == list(trained["input_ids"])
    asked = tokenizer.apply_chat_template(turns[:1], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert found.ids[: found.num_prompt].tolist() == list(asked)
    assert found.num_bytes == len(ANSWER) == 31


def test_which_tokens_belong_to_a_site(baseline: PreTrainedTokenizerFast, mul_tokens: PreTrainedTokenizerFast) -> None:
    plain, rewritten = (encoder(tokenizer).encode(PROMPT, ANSWER) for tokenizer in (baseline, mul_tokens))
    assert at_site(plain, baseline) == [" 6", " x", " 9", " =", " 54"]
    assert at_site(rewritten, mul_tokens) == [" ", "<MUL_6_9_54>"]  # the space before the product is of the site too
    rest = [one.ids[one.num_prompt :][~one.at_site].tolist() for one in (plain, rewritten)]
    assert rest[0] == rest[1]  # and what is left is the same in both
    assert rest[0][-1] == END
    assert plain.num_sites == rewritten.num_sites == 1  # the question's `3*7` is none of the answer's


def test_a_known_model_by_hand(baseline: PreTrainedTokenizerFast, mul_tokens: PreTrainedTokenizerFast) -> None:
    model = gpt2()
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
    one = math.log2(VOCAB_SIZE)
    for tokenizer, at in ((baseline, 5), (mul_tokens, 2)):
        answer = encoder(tokenizer).encode(PROMPT, ANSWER)
        (bits,) = measure_answers(model, [answer])
        assert len(answer.at_site) == 11 + at  # Ġpens, \n, 54, +, 2, =, 56, \n, ####, Ġ56 and the end
        assert bits.all == pytest.approx(len(answer.at_site) * one, rel=1e-6)
        assert bits.sites == pytest.approx(at * one, rel=1e-6)


def test_the_record_is_paid_for_the_answer_after_the_question(mul_tokens: PreTrainedTokenizerFast) -> None:
    untaught = encoder(mul_tokens).encode(PROMPT, ANSWER)
    # The question's form `{a}*{b}` was seen once, which the reader has: one bit of escape, and then the spelling.
    assert untaught.side_bits == untaught.site_side_bits == 1 + 8 * (len("{a} x {b} = {c}") + 1)
    knows = "bags, 3*7 cards. Then 6 x 9 = 54 pens"
    taught = encoder(mul_tokens, *[knows] * 20).encode(PROMPT, ANSWER)
    assert 0 < taught.side_bits < 0.2
    without = encoder(mul_tokens).encode(render_prompt("How many pens?"), ANSWER)
    assert without.side_bits == 8 * 16


def test_baseline_pays_for_no_record(baseline: PreTrainedTokenizerFast) -> None:
    found = encoder(baseline).encode(PROMPT, ANSWER)
    assert (found.side_bits, found.site_side_bits) == (0, 0)


def test_a_rewriting_that_is_no_site_of_the_table(mul_tokens: PreTrainedTokenizerFast) -> None:
    """The table says what a site is, in every condition: with another table the same tokens belong to the rest."""
    table = load_intervention(SHIPPED[0].parent / "none.yaml")
    found = AnswerEncoder(mul_tokens, table, SideCode()).encode(PROMPT, ANSWER)
    assert (found.num_sites, found.at_site.sum(), found.site_side_bits) == (0, 0, 0)
    assert found.side_bits == 1 + 8 * 16


def test_each_token_against_a_forward_pass_of_its_own(mul_tokens: PreTrainedTokenizerFast) -> None:
    model = gpt2()
    answer = encoder(mul_tokens).encode(PROMPT, ANSWER)
    expected = []
    for place in range(answer.num_prompt, len(answer.ids)):
        with torch.no_grad():
            logits = model(torch.from_numpy(answer.ids[None, :place])).logits[0, -1]
        expected.append(-float(torch.log_softmax(logits.double(), dim=0)[answer.ids[place]]) / math.log(2))
    (bits,) = measure_answers(model, [answer])
    assert bits.all == pytest.approx(sum(expected), rel=1e-5)
    assert bits.sites == pytest.approx(float(np.array(expected)[answer.at_site].sum()), rel=1e-5)


def test_the_batch_changes_nothing(tokenizers: dict[str, PreTrainedTokenizerFast], condition: str) -> None:
    model, encode = gpt2(), encoder(tokenizers[condition]).encode
    answers = [encode(PROMPT, ANSWER), encode(render_prompt("?"), "7*8=56\n#### 56"), encode(PROMPT * 2, "#### 1")]
    together = measure_answers(model, answers)
    for answer, found in zip(answers, together, strict=True):
        (alone,) = measure_answers(model, [answer])
        assert found.all == pytest.approx(alone.all, abs=1e-3)
        assert found.sites == pytest.approx(alone.sites, abs=1e-3)
    assert len({round(found.all) for found in together}) == 3


def test_an_answer_beyond_the_models_positions_is_read_in_windows(mul_tokens: PreTrainedTokenizerFast) -> None:
    long = "\n".join(f"{a}*7={7 * a}" for a in range(2, 9)) + "\n#### 56"
    answer = encoder(mul_tokens).encode(PROMPT, long)
    assert len(answer.ids) > 32
    (bits,) = measure_answers(gpt2(n_positions=16), [answer])
    assert math.isfinite(bits.all)
    assert 0 < bits.sites < bits.all


@pytest.mark.parametrize(
    "name",
    [
        "literal",
        "canon_result",
        *(pytest.param(path.stem, marks=pytest.mark.slow) for path in SHIPPED if path.stem not in QUICK),
    ],
)
def test_every_intervention_accounts_for_all_bytes(name: str) -> None:
    """Sites are the same bytes in every condition, and prompts do not depend on answers."""
    tokenizer = build_tokenizer(load_intervention(SHIPPED[0].parent / f"{name}.yaml"))
    encode = encoder(tokenizer).encode
    for answer in (ANSWER, "7*8=56", "She was able to, 9×6=54: é 日\n#### 54", "2 * 2 = 4 and 4x4", "54\n#### 54"):
        found = encode(PROMPT, answer)
        assert found.num_sites == len(record(answer))
        assert found.at_site.any() == (found.num_sites > 0)
        assert len(found.at_site) == len(found.ids) - found.num_prompt
        assert found.site_side_bits <= found.side_bits


def test_a_prompt_that_depends_on_the_answer_is_refused(mul_tokens: PreTrainedTokenizerFast) -> None:
    with pytest.raises(RuntimeError, match="the tokens of the prompt depend on the answer"):
        encoder(mul_tokens).encode("so 6 *", "9")


# --- The task --------------------------------------------------------------------------------------------------------

ROWS = [
    {"question": QUESTION, "answer": "6 x 9 = <<6*9=54>>54 pens\n54+2=56\n#### 56"},
    {"question": "Ben has 2 pens and finds 3. How many?", "answer": "2+3=5\n#### 5"},
]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    tokenizer_dirs: dict[str, Path],
    make_run: Callable[..., Recipe],
    write_source: Callable[..., Source],
) -> dict[str, Recipe]:
    """Both conditions, evaluated on two problems; the corpus taught nothing, one fine-tuning example one form."""
    found, tmp_path = {}, tmp_path_factory.mktemp("gold_bits")
    (tmp_path / "train").mkdir()
    train = write_source(tmp_path / "train", [{"question": "Well?", "answer": "so 6 x 9 = 54 pens\n#### 54"}])
    for condition, folder in tokenizer_dirs.items():
        recipe = make_run(tmp_path, condition, ["gold_bits"], data={"gsm8k": write_source(tmp_path, ROWS)})
        recipe.sft_stages = [SFTStage("one", [train])]
        shutil.copytree(folder, recipe.tokenizer_dir)
        recipe.corpus_dir.mkdir(parents=True)
        write_record(recipe.corpus_dir / "side_code.json", SideCode().record(0, 0))
        evaluate(recipe)
        found[condition] = recipe
    return found


def test_what_is_dropped_outside_sites_belongs_to_the_others() -> None:
    encoded = EncodedAnswer(
        ids=np.arange(5), num_prompt=1, at_site=np.array([True, False, False, False]), num_bytes=10, num_sites=1,
        side_bits=7.0, site_side_bits=4.0,
    )  # fmt: skip
    item = _item({"id": "0", "question": "q", "answer": "a"}, encoded, AnswerBits(all=20.0, sites=5.0))
    assert (item.sites_bits_per_byte, item.others_bits_per_byte) == (0.9, 1.8)  # 5 + 4, and 15 + 3, of 10 bytes
    assert item.bits_per_byte == 2.7


def test_the_task_end_to_end(runs: dict[str, Recipe], read_outputs: Callable) -> None:
    results, items = zip(*(read_outputs(recipe, "gold_bits") for recipe in runs.values()), strict=True)
    for result, rows in zip(results, items, strict=True):
        assert result["lower_is_better"] == list(result["outcomes"]) == list(result["metrics"])
        assert set(result["units"].values()) == {"bits per byte"}
        assert [row["group"] for row in rows] == ["with sites", "without sites"]
        assert [row["gold"] for row in rows] == ["6 x 9 = 54 pens\n54+2=56\n#### 56", "2+3=5\n#### 5"]
        assert [row["num_bytes"] for row in rows] == [31, 12]
        for row in rows:
            assert row["bits_per_byte"] == pytest.approx((row["model_bits"] + row["side_bits"]) / row["num_bytes"])
            assert row["model_bits_per_byte"] == pytest.approx(row["model_bits"] / row["num_bytes"])
            parts = row["sites_bits_per_byte"] + row["others_bits_per_byte"]
            assert row["bits_per_byte"] == pytest.approx(parts)
            sites = (row["site_model_bits"] + row["site_side_bits"]) / row["num_bytes"]
            assert row["sites_bits_per_byte"] == pytest.approx(sites)
        for metric in result["metrics"]:
            assert result["metrics"][metric] == pytest.approx(np.mean([row[metric] for row in rows]))
        assert result["groups"]["with sites"]["accuracy"] == pytest.approx(rows[0]["bits_per_byte"])
    plain, rewritten = items
    assert [row["side_bits"] for row in plain] == [0, 0]
    # The fine-tuning example taught the form as the first of its text and the question has `3*7` before it: at the
    # level without context one of two was this form.
    assert rewritten[0]["side_bits"] == pytest.approx(-math.log2(1 / 3), abs=1e-6)
    assert [row["num_tokens"] for row in plain] == [16, 9]
    assert [row["num_tokens"] for row in rewritten] == [13, 9]
    assert results[0]["side_code_sha256"] != results[1]["side_code_sha256"]


def test_fine_tuning_examples_teach_and_test_data_does_not(runs: dict[str, Recipe]) -> None:
    recipe = deepcopy(runs["mul_tokens"])
    (counted,) = answer_side_code(recipe).record(0, 0).counts
    assert counted == ("", " ", " ", "{a} x {b} = {c}", 1)
    recipe.sft_stages[0].sources = [recipe.evaluation.data["gsm8k"]]
    with pytest.raises(RecipeError, match="sft_stages.one: source rows: .* is a test set"):
        answer_side_code(recipe)


def test_items_are_read_as_what_they_are(runs: dict[str, Recipe]) -> None:
    path = runs["mul_tokens"].run_dir / "eval" / "sft_final" / "gold_bits_items.jsonl"
    (_, first), _ = read_items(path)
    assert isinstance(first, AnswerBitsItem)
    assert first.value("bits_per_byte") == json.loads(path.read_text().splitlines()[0])["bits_per_byte"]


def test_a_solution_that_spells_a_token_is_refused(tmp_path: Path, write_source: Callable[..., Source]) -> None:
    source = write_source(tmp_path, [{"question": "What?", "answer": "<MUL_6_9_54>\n#### 54"}])
    recipe = Recipe(experiment="test", condition="baseline")
    recipe.evaluation.data["gsm8k"] = source
    with pytest.raises(RecipeError, match="row 0: the text holds '<MUL_6_9_54>'"):
        TASK.read_rows(recipe)


def test_generated_problems_have_solutions_and_clusters() -> None:
    recipe = Recipe(experiment="test", condition="baseline")
    recipe.evaluation.data["gsm8k"] = Source(name="problems", kind="synthetic", what="problems", max_items=5)
    rows = load_task("gold_bits").read_rows(recipe)
    assert len(rows) == 5
    assert all("####" in row["answer"] and row["cluster"] for row in rows)


def test_ablations_need_a_written_answer(tmp_path: Path, make_run: Callable[..., Recipe]) -> None:
    recipe = make_run(tmp_path, "baseline", ["gold_bits"], ablation_tasks=["gold_bits"])
    with pytest.raises(RecipeError, match="gold_bits is not among evaluation.tasks, or is not answered in writing"):
        evaluate(recipe)


def test_what_it_taught_makes_results_stale(runs: dict[str, Recipe], read_outputs: Callable) -> None:
    recipe = runs["mul_tokens"]  # whose files change: the last test that reads them
    before, _ = read_outputs(recipe, "gold_bits")
    path = recipe.run_dir / "eval" / "sft_final" / "gold_bits_results.json"
    written = path.stat().st_mtime_ns
    evaluate(recipe)
    assert path.stat().st_mtime_ns == written
    code = SideCode()
    code.learn("", [Dropped("{a} x {b} = {c}", 0, 0)])
    write_record(recipe.corpus_dir / "side_code.json", code.record(1, 1))
    evaluate(recipe)
    after, items = read_outputs(recipe, "gold_bits")
    assert after["side_code_sha256"] != before["side_code_sha256"]
    assert items[0]["side_bits"] == pytest.approx(-math.log2(2 / 4), abs=1e-6)
