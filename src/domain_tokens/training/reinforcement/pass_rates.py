"""How often the fine-tuned model solves GRPO's prompts: measured before training, kept in a file, and judged.

A group of answers without a right one teaches nothing by `exact_match`, and where nearly all groups are so, training
goes nowhere: an earlier study's 80,000 answers at 2% changed nothing. Nor does a group of right answers teach.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.integrations import is_deepspeed_zero3_enabled

from domain_tokens.corpora.examples import Example
from domain_tokens.evaluation.answers.answer import AnswerReader, is_correct
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.tasks._generative import pass_at_k
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.progress import Progress, report
from domain_tokens.runs.records import Fields, PassRates, PromptRate, read_record, write_record
from domain_tokens.tokenization.prompts import render_prompt

logger = logging.getLogger(__name__)

PROMPTS_AT_A_TIME = 16  # for each process; the file is written after so many


@dataclass(frozen=True)
class Sampler:
    """A model that answers prompts as GRPO samples from it.

    Attributes:
        model: the fine-tuned model, on the device of training.
        tokenizer: its tokenizer.
        answers: reads what it writes.
        decoding: how it writes: GRPO's temperature and longest answer.
        batch_size: answers at a time, fewer as long as they do not fit into memory.
        bf16: whether it computes in bf16, as in training.
    """

    model: GPT2LMHeadModel
    tokenizer: PreTrainedTokenizerFast
    answers: AnswerReader
    decoding: Decoding
    batch_size: int
    bf16: bool = False

    def num_right(self, examples: Sequence[Example], first: int) -> list[int]:
        """Return how many answers to each prompt are right.

        Args:
            examples (`Sequence[Example]`): the prompts, with their right answers.
            first (`int`): the number of the first among all, so that a part draws what the whole would.
        """
        prompts = [render_prompt(example.question) for example in examples]
        with _whole(self.model), torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.bf16):
            drawn = generate(self.model, self.tokenizer, prompts, self.decoding, self.batch_size, first=first)
        numbers = []
        for example, samples in zip(examples, drawn, strict=True):
            gold = require_gold(example.answer, "grpo_prompts")
            # As TRL decodes a completion for the rewards.
            written = self.tokenizer.batch_decode(samples, skip_special_tokens=True)
            numbers.append(sum(is_correct(self.answers.read(text), gold) for text in written))
        return numbers


def _whole(model: GPT2LMHeadModel) -> AbstractContextManager[object]:
    """Return a context in which each process has all weights; under ZeRO stage 3 it otherwise holds a part of them."""
    if not is_deepspeed_zero3_enabled():
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(list(model.parameters()))


def measure(
    path: Path, sampler: Sampler, examples: Sequence[Example], of_model: Fields, replace: bool = False
) -> PassRates:
    """Measure how often prompts are solved, or go on with what a file has, and keep the rates in it.

    All processes take part; the first one writes. An interrupted measurement is continued.

    Args:
        path (`Path`): the file.
        sampler (`Sampler`): the model.
        examples (`Sequence[Example]`): the prompts.
        of_model (`Fields`): the hashes of the weights and the tokenizer.
        replace (`bool`, *optional*, defaults to `False`): whether the rates of another measurement may be lost.

    Raises:
        RecipeError: if the file has those of another measurement, which may not be lost.
    """
    rates, state = _begun(path, _conditions(sampler.decoding, examples, of_model), replace), PartialState()
    state.wait_for_everyone()  # all have read the file before the first one writes it
    size = PROMPTS_AT_A_TIME * state.num_processes
    report(Progress("pass rates", len(rates.prompts), len(examples), "prompt"))
    while (done := len(rates.prompts)) < len(examples):
        asked = examples[done : done + size]
        share = math.ceil(len(asked) / state.num_processes)
        first = state.process_index * share
        part = asked[first : first + share]
        right = gather_object(sampler.num_right(part, done + first) if part else [])
        new = [_rate(*one, sampler.decoding.num_samples) for one in zip(asked, right, strict=True)]
        rates = rates.model_copy(update={"prompts": (*rates.prompts, *new)})
        if state.is_main_process:
            write_record(path, rates)
        report(Progress("pass rates", len(rates.prompts), len(examples), "prompt"))
    return rates


def _conditions(decoding: Decoding, examples: Sequence[Example], of_model: Fields) -> Fields:
    """Return what rates depend on."""
    return {
        **of_model,
        "temperature": decoding.temperature,
        "max_completion_length": decoding.max_new_tokens,
        "num_samples": decoding.num_samples,
        "seed": decoding.seed,
        "num_prompts": len(examples),
        "prompts_sha256": sha256_json([[example.question, example.answer] for example in examples]),
    }


def _begun(path: Path, measured: Fields, replace: bool) -> PassRates:
    """Return what a file has of this measurement, nothing if there is none."""
    none = PassRates(measured=measured, prompts=())
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        return none
    found = read_record(path, PassRates)
    changed = [key for key in measured if found.measured.get(key) != measured[key]]
    if not changed:
        return found
    if not replace:
        raise RecipeError(
            f"{path}: has the pass rates of another measurement (other {', '.join(changed)}); remove it, or name "
            "another file"
        )
    logger.info("%s: of another measurement (other %s); measured again", path, ", ".join(changed))
    return none


def _rate(example: Example, num_right: int, num_samples: int) -> PromptRate:
    return PromptRate(
        source=example.source,
        place=example.place,
        question_sha256=_question_sha256(example),
        num_samples=num_samples,
        num_right=num_right,
    )


def _question_sha256(example: Example) -> str:
    return sha256_json(example.question)


@dataclass(frozen=True)
class Judgement:
    """pass@k of measured prompts: the chance that a group of k answers holds a right one.

    Attributes:
        k: the size of a group.
        value: the mean over prompts of the unbiased estimate.
        interval: Wilson's 95% interval, with prompts as the sample. A prompt's estimate varies at most as a coin of
            the same mean, so it is not too narrow.
        num_prompts: how many prompts.
        num_samples: answers to each.
    """

    k: int
    value: float
    interval: tuple[float, float]
    num_prompts: int
    num_samples: int

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"pass@{self.k} is {self.value:.1%} (95% interval {low:.1%} to {high:.1%}; {self.num_prompts} prompts, "
            f"{self.num_samples} answers each)"
        )

    def as_fields(self, forced: bool) -> Fields:
        """Return it for the manifest, with whether training went on although it was too low."""
        return {**vars(self), "interval": list(self.interval), "forced": forced}


def judge(rates: PassRates, k: int) -> Judgement:
    """Return pass@k of measured prompts, each answered at least k times."""
    from domain_tokens.analysis.statistics.paired import wilson_interval  # a second of imports

    values = [pass_at_k(one.num_samples, one.num_right, k) for one in rates.prompts]
    interval = wilson_interval(math.fsum(values), len(values))
    return Judgement(k, fmean(values), interval, len(values), rates.prompts[0].num_samples)


def refuse_too_low(path: Path, found: Judgement, least: float, force: bool) -> bool:
    """Stop the stage if pass@k is too low, unless it was forced, now or before it was interrupted.

    Args:
        path (`Path`): the file of the rates, which records that the stage was forced.
        found (`Judgement`): what was measured.
        least (`float`): the least pass@k.
        force (`bool`): whether to go on.

    Returns:
        `bool`: whether it is too low, and the stage goes on all the same.

    Raises:
        RecipeError: if it is too low and was not forced.
    """
    if found.value >= least:
        logger.info("grpo: %s", found)
        return False
    rates = read_record(path, PassRates)
    if not force and not rates.forced:
        raise RecipeError(
            f"grpo: the model it starts with solves too few of its prompts: {found}, less than rollouts.min_pass_at_k "
            f"({least:.1%}). A group without a right answer teaches nothing by exact_match; in an earlier study, "
            "80,000 answers at 2% changed nothing. Train it longer before, choose easier prompts or "
            f"sample more (grpo.num_generations); or go on with --force, which the manifest records ({path})"
        )
    logger.warning("grpo: goes on by --force, although %s", found)
    PartialState().wait_for_everyone()  # all have read the file before it is written again
    if PartialState().is_main_process:
        write_record(path, rates.model_copy(update={"forced": True}))
    return True


def evenly_spaced(examples: Sequence[Example], number: int) -> list[Example]:
    """Return a number of the examples, evenly spaced, the same in every condition; all if there are no more."""
    number = min(number, len(examples))
    return [examples[index * len(examples) // number] for index in range(number)]


def undecided(examples: Sequence[Example], files: Sequence[Path]) -> list[Example]:
    """Return the prompts that are sometimes solved and sometimes not, by all files of pass rates together.

    The files, not the run, decide: the same files leave out the same prompts in every condition. If each condition
    left out what its own model always or never solves, they would train on different questions, each on those that
    suit its own tokenizer. Prompts without a rate stay.

    Raises:
        RecipeError: if a file is damaged, or they have none of the prompts.
    """
    right, drawn = Counter[str](), Counter[str]()
    for file in files:
        rates = read_record(file, PassRates)
        found, asked = len(rates.prompts), rates.measured.get("num_prompts")
        if isinstance(asked, int) and found < asked:
            raise RecipeError(
                f"rollouts.pass_rates: {file}: has {found} of {asked} rates, of a measurement that was interrupted; "
                "go on with it by the command that began it"
            )
        for one in rates.prompts:
            right[one.question_sha256] += one.num_right
            drawn[one.question_sha256] += one.num_samples
    keys = [_question_sha256(example) for example in examples]
    if not any(drawn[key] for key in keys):
        raise RecipeError(
            f"rollouts.pass_rates: {', '.join(map(str, files))}: none of the {len(examples)} prompts has a rate; "
            "measure those of this recipe with scripts/run_grpo.py --measure"
        )
    kept = [
        example for example, key in zip(examples, keys, strict=True) if not drawn[key] or 0 < right[key] < drawn[key]
    ]
    logger.info(
        "grpo_prompts: left out %d of %d prompts, always or never solved; %d have no rate",
        len(examples) - len(kept), len(examples), sum(not drawn[key] for key in keys),
    )  # fmt: skip
    return kept
