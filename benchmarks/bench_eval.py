"""Compare the run time of tasks with lm-evaluation-harness, on the same untrained model and the same items.

make bench-eval
.venv/bin/python benchmarks/bench_eval.py --model-size 124m --items 40 --questions 8 --rounds 1

`ours` is the whole task as run by `scripts/run_eval.py`: prompts, answers and scores, through lighteval. `lm-eval` is
only the harness's model class, `HFLM` with the same batch size, without the rest of the harness. Both run on a few
items before timing starts. In each round both run once, and the order alternates between rounds. The table shows
medians over the rounds; a ratio above 1 means that `ours` is faster by that factor.

    hellaswag   four endings per context, by log-likelihood
    gsm8k       greedy answers; an untrained model never ends an answer, so all have the full length
"""

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # otherwise lighteval and lm_eval check for updates

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from domain_tokens.cli.options import whole_number
from domain_tokens.corpora import synthetic
from domain_tokens.evaluation.answers.answer import AnswerReader
from domain_tokens.evaluation.models.lighteval_adapter import run_task
from domain_tokens.evaluation.tasks import load_task
from domain_tokens.evaluation.tasks._generative import STOP
from domain_tokens.recipe.schema import Evaluation
from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
from domain_tokens.tokenization.contract import load_tokenizer
from domain_tokens.tokenization.facts import VOCAB_SIZE
from domain_tokens.tokenization.intervention import default_intervention, load_intervention

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DOMAIN_TOKENS_DATA", ROOT.parent / "shared" / "data"))
SIZES = {"tiny": (2, 4, 128), "124m": (12, 12, 768)}  # layers, heads, width; tiny is the demo's size

Row = dict[str, Any]
Run = Callable[[list[Row]], list]
Seconds = tuple[float, float]  # CPU time over all threads of the process, and wall time


def main() -> None:
    """Parse the command line, run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model-size", choices=SIZES, default="tiny", help="the demo's size or GPT-2's (default: tiny)"
    )
    parser.add_argument("--rounds", type=whole_number, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--items", type=whole_number, default=200, help="number of HellaSwag items (default: 200)")
    parser.add_argument("--questions", type=whole_number, default=64, help="number of GSM8K questions (default: 64)")
    parser.add_argument("--new-tokens", type=whole_number, default=64, help="length of an answer (default: 64)")
    parser.add_argument("--batch-size", type=whole_number, default=32, help="batch size of both (default: 32)")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as work:
        save_tokenizer(build_tokenizer(load_intervention(ROOT / "recipes/interventions/none.yaml")), Path(work))
        tokenizer = load_tokenizer(Path(work))
    model = untrained(arguments.model_size)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=arguments.batch_size, max_length=1024)
    for name, rows, theirs in (
        ("hellaswag", scenes(arguments.items), partial(log_likelihoods, harness)),
        ("gsm8k", problems(arguments.questions), partial(answers, harness, arguments.new_tokens)),
    ):
        ours = partial(of_task, name, arguments.new_tokens, arguments.batch_size, model, tokenizer)
        compare(f"{name}, {len(rows)} items, {arguments.model_size}", rows, ours, theirs, arguments.rounds)


def compare(name: str, rows: list[Row], ours: Run, theirs: Run, num_rounds: int) -> None:
    """Time both on the rows, alternating, and print medians and ratios."""
    runs = {"ours": ours, "lm-eval": theirs}
    for run in runs.values():
        run(rows[:4])
    seconds: dict[str, list[Seconds]] = {key: [] for key in runs}
    found: dict[str, list] = {}
    for number in range(num_rounds):
        for key in list(runs)[:: -1 if number % 2 else 1]:
            started = time.process_time(), time.perf_counter()
            found[key] = runs[key](rows)
            seconds[key].append((time.process_time() - started[0], time.perf_counter() - started[1]))
    say(f"\n{name}, {num_rounds} rounds")
    say(f"{'seconds':10} {'CPU':>8} {'clock':>8}")
    for key, measured in seconds.items():
        medians = [statistics.median(one[kind] for one in measured) for kind in (0, 1)]
        say(f"{key:10} {medians[0]:8.2f} {medians[1]:8.2f}")
    pairs = list(zip(seconds["lm-eval"], seconds["ours"], strict=True))
    ratios = [statistics.median(other[kind] / one[kind] for other, one in pairs) for kind in (0, 1)]
    say(f"{'ratio':10} {ratios[0]:8.2f} {ratios[1]:8.2f}")
    equal = sum(one == other for one, other in zip(found["ours"], found["lm-eval"], strict=True))
    say(f"the same choice or text: {equal} of {len(rows)}")


def of_task(
    name: str,
    num_new_tokens: int,
    batch_size: int,
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: list[Row],
) -> list:
    """Run one of our tasks and return the choices or the texts."""
    answers = AnswerReader(default_intervention(), default_intervention())
    config = load_task(name).config(Evaluation(max_new_tokens=num_new_tokens), answers)
    responses = [detail.model_response for detail in run_task(config, rows, model, tokenizer, batch_size)]
    if name == "hellaswag":
        return [response.logprobs.index(max(response.logprobs)) for response in responses]
    return [response.text[0] for response in responses]


def log_likelihoods(harness: HFLM, rows: list[Row]) -> list[int]:
    """Return the harness's choices."""
    requests = [
        Instance("loglikelihood", row, (row["question"], f" {choice}"), place)
        for row in rows
        for place, choice in enumerate(row["choices"])
    ]
    scores = iter(harness.loglikelihood(requests, disable_tqdm=True))
    logprobs = [[next(scores)[0] for _ in row["choices"]] for row in rows]
    return [values.index(max(values)) for values in logprobs]


def answers(harness: HFLM, num_new_tokens: int, rows: list[Row]) -> list[str]:
    """Return the harness's greedy answers."""
    arguments = {"until": [STOP, harness.tokenizer.eos_token], "max_gen_toks": num_new_tokens, "do_sample": False}
    task = load_task("gsm8k")
    requests = [
        Instance("generate_until", row, (task.prompt(row, "gsm8k").query, arguments), 0)  # type: ignore[attr-defined]
        for row in rows
    ]
    return harness.generate_until(requests, disable_tqdm=True)


def untrained(size: str) -> GPT2LMHeadModel:
    """Return a model with larger weights than a newly initialized one, so that its choices vary."""
    torch.manual_seed(0)
    num_layers, num_heads, width = SIZES[size]
    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_layer=num_layers, n_head=num_heads, n_embd=width, n_positions=1024,
        bos_token_id=50256, eos_token_id=50256, initializer_range=0.1, activation_function="gelu_pytorch_tanh",
    )  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return GPT2LMHeadModel(config).eval().to(device)


def scenes(number: int) -> list[Row]:
    """Return items as long as HellaSwag's: contexts of two to five generated scenes, endings of one or two."""
    drawn = synthetic.clozes(number * 6, 0, "test")
    rows = []
    for index in range(number):
        first, *others = islice(drawn, 6)
        context = " ".join([*(str(scene["ctx"]) for scene in others[: 1 + index % 4]), str(first["ctx"])])
        endings = [
            f"{ending} {others[place]['ctx']}" if (index + place) % 2 else str(ending)
            for place, ending in enumerate(first["endings"])  # type: ignore[arg-type]
        ]
        rows.append({"id": str(index), "question": context, "choices": endings, "label": int(str(first["label"]))})
    return rows


def problems(number: int) -> list[Row]:
    """Return the first test problems of GSM8K, or generated ones if it is not available."""
    file = DATA / "gsm8k" / "test.jsonl"
    if file.is_file():
        raw = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:number]]
        pairs = [(row["question"], row["answer"]) for row in raw]
    else:
        pairs = [(problem.question, problem.answer) for problem in synthetic.problems(number, 0, "test")]
    return [
        {"id": str(index), "group": None, "question": question, "gold": answer.rpartition("####")[2].strip()}
        for index, (question, answer) in enumerate(pairs)
    ]


def say(line: str) -> None:
    """Print a line and flush, so that a log can be followed."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
