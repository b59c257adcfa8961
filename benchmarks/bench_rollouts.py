"""Measure sampling for GRPO: the library's, which computes for ended rows until the last ends, and ours.

make bench-rollouts
.venv/bin/python benchmarks/bench_rollouts.py --only demo --rounds 9

Both sample from the same untrained model, whose end has a fixed probability, so that lengths are geometric. Rounds
alternate. Tokens are counted up to the end, per second of CPU time or, on a GPU, of time. Beside the speeds stands
what a round of ours spends it on: the layers, the head, and the rest, which is drawing tokens, the cache and Python.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from domain_tokens.cli.options import whole_number
from domain_tokens.training.model import prepare_to_train
from domain_tokens.training.reinforcement.rollouts import let_ended_rows_leave

END, PROMPT = 0, 40  # tokens of a prompt


@dataclass(frozen=True)
class Shape:
    """A model, and a batch of completions whose mean length is a fourth of the longest."""

    layers: int
    heads: int
    width: int
    vocabulary: int
    rows: int
    tokens: int


SHAPES = {"demo": Shape(2, 4, 128, 1837, 64, 48), "gpt2_124m": Shape(12, 12, 768, 50349, 32, 96)}
GPU_SHAPES = {"gpt2_124m": Shape(12, 12, 768, 50349, 1024, 256)}


def build(shape: Shape) -> GPT2LMHeadModel:
    """Return a model that ends a completion after a fourth of the longest length, in the mean."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            n_layer=shape.layers, n_head=shape.heads, n_embd=shape.width, vocab_size=shape.vocabulary,
            bos_token_id=END, eos_token_id=END,
        )
    )  # fmt: skip
    prepare_to_train(model)
    with torch.no_grad():  # every position has the same logits: 0, and one for the end
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(torch.eye(shape.width)[0])
        model.transformer.wte.weight[:, 0] = 0
        model.transformer.wte.weight[END, 0] = torch.tensor(4 / shape.tokens * shape.vocabulary).log()
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def now() -> float:
    """Return CPU time in seconds, or the time when the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


@contextmanager
def timed_parts(model: GPT2LMHeadModel) -> Iterator[dict[str, float]]:
    """Time the layers and the head of every call."""
    seconds, begun = {"layers": 0.0, "head": 0.0}, {"layers": 0.0, "head": 0.0}

    def begin(name: str) -> Callable[..., None]:
        return lambda *_: begun.update({name: now()})

    def end(name: str) -> Callable[..., None]:
        return lambda *_: seconds.update({name: seconds[name] + now() - begun[name]})

    parts = {"layers": model.transformer, "head": model.lm_head}
    hooks = [part.register_forward_pre_hook(begin(name)) for name, part in parts.items()]
    hooks += [part.register_forward_hook(end(name)) for name, part in parts.items()]
    yield seconds
    for hook in hooks:
        hook.remove()


def sample(model: GPT2LMHeadModel, shape: Shape, seed: int) -> tuple[float, int]:
    """Sample a batch; return the seconds and the number of tokens up to the ends."""
    torch.manual_seed(seed)
    ids = torch.randint(1, shape.vocabulary, (shape.rows, PROMPT), device=model.device)
    settings = GenerationConfig(
        max_new_tokens=shape.tokens,
        do_sample=True,
        top_k=0,
        eos_token_id=[END],
        pad_token_id=END,
        disable_compile=True,
    )
    begun = now()
    with torch.no_grad():
        written = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    seconds = now() - begun
    ended = (written[:, PROMPT:] == END).cumsum(dim=1)
    return seconds, int((ended == 0).sum() + (ended[:, -1] > 0).sum())


def measure(shape: Shape, rounds: int) -> str:
    """Alternate rounds of both; return a row of medians, without the first round."""
    library, ours = build(shape), build(shape)
    let_ended_rows_leave(ours)
    speeds: list[tuple[float, float]] = []
    shares: list[list[float]] = []
    for seed in range(rounds + 1):
        seconds, tokens = sample(library, shape, seed)
        with timed_parts(ours) as parts:
            own_seconds, own_tokens = sample(ours, shape, seed)
        speeds.append((tokens / seconds, own_tokens / own_seconds))
        shares.append([part / own_seconds for part in parts.values()])
    medians = [statistics.median(column) for column in zip(*speeds[1:], strict=True)]
    ratios = sorted(own / library for library, own in speeds[1:])
    layers, head = (statistics.median(column) for column in zip(*shares[1:], strict=True))
    ratio = f"{statistics.median(ratios):>8.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    return f"{medians[0]:>11,.0f}{medians[1]:>11,.0f}{ratio}{layers:>9.0%}{head:>7.0%}{1 - layers - head:>7.0%}"


def main() -> None:
    """Read the command line, measure every shape, print a row each."""
    shapes = SHAPES | (GPU_SHAPES if torch.cuda.is_available() else {})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=shapes, default=list(shapes), help="shapes (default: all)")
    parser.add_argument("--rounds", type=whole_number, default=5, help="rounds that count (default: 5)")
    arguments = parser.parse_args()
    print(f"{'tokens/s':<12}{'library':>11}{'ours':>11}   {'ratio':<20}{'layers':>6}{'head':>7}{'rest':>7}")  # noqa: T201
    for name in arguments.only:
        print(f"{name:<12}{measure(shapes[name], arguments.rounds)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
