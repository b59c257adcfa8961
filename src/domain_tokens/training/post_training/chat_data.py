"""Questions and answers in the trainers' format: the same examples in the same order for every condition."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from domain_tokens.corpora.contamination.gate import Gate
from domain_tokens.corpora.documents import neutralize
from domain_tokens.corpora.examples import Example, Exchange, read_examples
from domain_tokens.corpora.held_out import (
    Known,
    evaluated_in,
    gate_of,
    generated_questions,
    kept_rows,
    log_removals,
    refuse_test_data,
    refuse_test_files,
)
from domain_tokens.corpora.synthetic import PROMPTS
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.modes import load_tasks
from domain_tokens.recipe import Recipe, RecipeError, Source
from domain_tokens.runs.files import sha256_json
from domain_tokens.runs.progress import begin
from domain_tokens.runs.records import Contamination, Fields, PortionRecord, Removal
from domain_tokens.tokenization.builder import base_encoder
from domain_tokens.tokenization.facts import END_OF_TEXT
from domain_tokens.tokenization.prompts import assistant_message, render_prompt, user_message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExampleAccount:
    """The account of a stage's examples in its manifest.

    Attributes:
        examples: number of examples used.
        examples_too_long: number of examples left out.
        examples_held_out: number of examples that were kept for validation (`sft_stages.validation_items`).
        neutralized_markers: number of token names in the texts that were broken up.
        example_order_sha256: hash of the examples in order.
        by_source: how many of the examples each source of a mixture gave.
        left_out: conversations that cannot be used, by reason.
        examples_contaminated: how many were removed because they hold a question of an evaluation set, if any.
        examples_decided: how many prompts of GRPO were left out because they are always or never solved, if asked for.
        contamination: what was compared with evaluation sets.
        removals: the questions of evaluation sets for which examples were removed.
        mixture: of sources with weights, what was drawn and is used of each.
    """

    examples: int
    examples_too_long: int
    neutralized_markers: int
    example_order_sha256: str
    examples_held_out: int = 0
    by_source: dict[str, int] | None = None
    left_out: dict[str, int] | None = None
    examples_contaminated: int | None = None
    examples_decided: int | None = None
    contamination: Contamination | None = None
    removals: tuple[Removal, ...] = ()
    mixture: dict[str, PortionRecord] | None = None

    def without_decided(self, kept: list[Example]) -> "ExampleAccount":
        """Return the account of what is left of the examples after those were left out that teach GRPO nothing."""
        sources = None if self.by_source is None else dict(Counter(example.source for example in kept))
        return replace(
            self,
            examples=len(kept),
            examples_decided=self.examples - len(kept),
            example_order_sha256=order_sha256(kept),
            by_source=sources,
        )

    def as_fields(self) -> Fields:
        """Return what there is and follows from the data alone, for inputs and manifests."""
        apart = ("contamination", "removals", "mixture")
        return {key: value for key, value in vars(self).items() if value is not None and key not in apart}


def training_examples(
    recipe: Recipe,
    sources: list[Source],
    stage: str,
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
    prompts_alone: bool = False,
) -> tuple[list[Example], ExampleAccount]:
    """Read the examples of a stage and seed. Some are left out, the same ones in every condition.

    An example that holds a question of an evaluation set, in whatever column, is left out (`corpora.contamination`).

    An example fits if its question and answer take at most `max_length` tokens of the base vocabulary, without the
    condition's rules, so the selection does not depend on the condition. No example is cut; each ends with the
    end-of-text token. With `prompts_alone`, answers are only used for comparison, and only the prompts have to fit.

    Returns:
        `tuple[list[Example], ExampleAccount]`: the examples, and an account of them for the manifest.

    Raises:
        RecipeError: if a source is a test set or is missing, or no example fits; with `contamination: refuse`, if an
            example holds a question of an evaluation set; with `prompts_alone`, if an answer does not end with a
            number.
    """
    if not sources:
        raise RecipeError(f"{stage}: no sources; expected at least one data set of questions and answers")
    gate = gate_of(recipe, stage, sources)
    examples, num_neutralized = [], 0
    left_out: Counter[str] = Counter()
    for example in _read(recipe, sources, stage, prompts_alone, left_out, gate):
        clean, number = neutral(example)
        num_neutralized += number
        examples.append(clean)
    by_number = generated_questions(recipe, stage, (example.cluster for example in examples))
    fitting = _fitting(examples, stage, tokenizer, max_length, prompts_alone)
    _say_what_is_left_out(stage, examples, fitting, max_length, left_out)
    account = ExampleAccount(
        examples=len(fitting),
        examples_too_long=len(examples) - len(fitting),
        neutralized_markers=num_neutralized,
        example_order_sha256=order_sha256(fitting),
        by_source=dict(Counter(example.source for example in fitting)) if len(sources) > 1 else None,
        left_out=dict(left_out.most_common()) or None,
        examples_contaminated=gate.removed.total() or None,
        contamination=gate.account(*by_number),
        removals=tuple(gate.removals),
        mixture=_portions(sources, fitting),
    )
    return fitting, account


def _portions(sources: list[Source], used: list[Example]) -> dict[str, PortionRecord] | None:
    """Return what the weights of a mixture became; `None` for sources without weights."""
    weights = {source.name: source.weight for source in sources if source.weight is not None}
    if not weights:
        return None
    largest = max(weights.values())  # their sum may be no number
    total = sum(weight / largest for weight in weights.values())
    counts = Counter(example.source for example in used)
    return {
        source.name: PortionRecord(
            weight=weights[source.name] / largest / total,
            drawn=source.max_items or 0,
            used=counts[source.name],
            share=counts[source.name] / len(used),
        )
        for source in sources
        if source.name in weights
    }


def _fitting(
    examples: list[Example], stage: str, tokenizer: PreTrainedTokenizerFast, max_length: int, prompts_alone: bool
) -> list[Example]:
    lengths = base_lengths(examples, tokenizer, prompts_alone)
    fitting = [example for example, length in zip(examples, lengths, strict=True) if length <= max_length]
    if not fitting:
        length, shortest = min(zip(lengths, examples, strict=True), key=lambda one: one[0])
        where = f"{stage}: source {shortest.source}"
        raise none_fits(where, len(examples), max_length, f"{shortest.place}, takes {length}")
    return fitting


def base_lengths(
    examples: list[Example], tokenizer: PreTrainedTokenizerFast, prompts_alone: bool = False
) -> list[int]:
    """Return the tokens of each example under the base vocabulary alone, the same numbers in every condition."""
    plain = base_encoder(tokenizer.backend_tokenizer.to_str())
    texts = [rendered(example, prompts_alone) for example in examples]
    return [len(encoding.ids) for encoding in plain.encode_batch_fast(texts)]


def _say_what_is_left_out(
    stage: str, examples: list[Example], fitting: list[Example], max_length: int, left_out: Counter[str]
) -> None:
    """Log what is left out, by source. Raises `RecipeError` if nothing of a source is left: the mixture is another."""
    kept = Counter(example.source for example in fitting)
    for source, number in Counter(example.source for example in examples).items():
        if not kept[source]:
            raise RecipeError(
                f"{stage}: source {source}: none of its {number:,} examples fits in {max_length} tokens; raise the "
                "limit, shorten the rows or remove the source"
            )
        if kept[source] < number:
            most = 2 * kept[source] < number
            logger.log(
                logging.WARNING if most else logging.INFO,
                "%s: source %s: left out %d of %d examples, longer than %d tokens%s",
                stage, source, number - kept[source], number, max_length,
                ": most of them; a higher max_length keeps more" if most else "",
            )  # fmt: skip
    for reason, number in left_out.most_common():
        logger.info("%s: left out %d conversations: %s", stage, number, reason)


def order_sha256(examples: list[Example]) -> str:
    """Return a hash of all texts of examples, in their order."""
    return sha256_json([example.texts for example in examples])


def neutral(example: Example) -> tuple[Example, int]:
    """Return an example whose texts hold no token's name, and how many were broken up."""
    clean = [neutralize(text) for text in example.texts]
    texts = [text for text, _ in clean]
    exchanges = tuple(map(Exchange._make, zip(texts[::2], texts[1::2], strict=True)))
    whole = replace(example, question=texts[-2], answer=texts[-1], earlier=exchanges[:-1])
    return whole, sum(number for _, number in clean)


def rendered(example: Example, prompt_alone: bool) -> str:
    """Return an example as the chat template renders it."""
    prompts = [render_prompt(exchange.question) for exchange in example.exchanges]
    answers = [f" {exchange.answer.strip()}{END_OF_TEXT}" for exchange in example.exchanges]
    if prompt_alone:
        answers[-1] = ""
    return "".join(prompt + answer for prompt, answer in zip(prompts, answers, strict=True))


def none_fits(where: str, number: int, max_length: int, shortest: str) -> RecipeError:
    """Return the error of examples none of which fits.

    Args:
        where (`str`): the stage's key and the source.
        number (`int`): how many there are.
        max_length (`int`): the most tokens that one may take.
        shortest (`str`): the place of the shortest and how many it takes.
    """
    limit = "model.n_positions - grpo.max_completion_length" if where.startswith("grpo") else "max_length"
    return RecipeError(
        f"{where}: none of the {number} examples fits in {max_length} tokens ({limit}); the shortest, {shortest}; "
        "raise the limit, or shorten the rows"
    )


def _read(
    recipe: Recipe, sources: list[Source], stage: str, prompts_alone: bool, left_out: Counter[str], gate: Gate
) -> Iterator[Example]:
    """Yield the examples of a stage as its sources have them, those that may train."""
    refuse_test_files(recipe, sources, stage)
    # A part of a test set is refused too, however few of its rows are drawn.
    refuse_test_data(recipe, [source for source in sources if source.max_items is not None], stage)
    for source in sources:
        split, check = PROMPTS if prompts_alone else "train", answer_check(source, prompts_alone)
        unusable: Counter[str] = Counter()
        stream, keep = f"{stage}.{source.name}", partial(kept_rows, gate)
        examples = read_examples(source, recipe.data_seed, split, stream, check, unusable, keep)
        left_out.update(unusable)
        check_share(f"{stage}.{source.name}", source, len(examples) + unusable.total() + gate.removed[source.name])
        yield from examples
    gate.finish()
    log_removals(stage, gate.removals, gate.warnings)


def answer_check(source: Source, prompts_alone: bool) -> Callable[[str, str], object] | None:
    """Return what refuses an answer: one that has to end with a number and does not."""
    final = source.final_key is not None or source.answers == "final"
    return require_gold if prompts_alone or final else None


def check_share(where: str, source: Source, found: int) -> None:
    """Check that a source of a mixture has as many rows as its share of the stage.

    Raises:
        RecipeError: naming the source, its rows and its share.
    """
    if source.weight is not None and found < (source.max_items or 0):
        raise RecipeError(
            f"{where}.weight: the source has {found:,} rows, its share of the stage's max_items is "
            f"{source.max_items:,}; reduce max_items or the weight"
        )


def write_list(examples: list[Example], path: Path) -> None:
    """Write which examples were used, in their order: source, place and, if the data has one, id; one in a line."""
    with path.open("w", encoding="utf-8") as file:
        for one in examples:
            entry = {"source": one.source, "place": one.place} | ({} if one.id is None else {"id": one.id})
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def check_training_data(*recipes: Recipe) -> None:
    """Check before the first stage what would stop a later one: local evaluation sets, and local examples that train.

    Of several conditions, what they share is read and compared once.

    Raises:
        RecipeError: if a row of an evaluation set is damaged, a source of fine-tuning or GRPO is a test set, or an
            answer of GRPO's prompts does not end with a number; with `contamination: refuse`, if a source holds a
            question.
    """
    known: Known = {}
    gates: dict[str, Gate] = {}
    said, read = set[tuple[str, str]](), set[str]()
    for recipe in recipes:
        for task in load_tasks(recipe).values():
            if task.data is not None and task.source(recipe).kind == "file":
                task.rows(recipe)
        for name, sources in (
            *((f"sft_stages.{stage.name}", stage.portions) for stage in recipe.sft_stages),
            ("grpo_prompts", recipe.grpo_prompts),
        ):
            every_row = [replace(source, max_items=None, weight=None) for source in sources]
            compared = f"{evaluated_in(recipe, False)} {every_row}"
            if compared not in gates:
                gates[compared] = refuse_test_data(recipe, sources, name, local=False, known=known)
            if (name, compared) not in said:
                said.add((name, compared))
                log_removals(name, gates[compared].removals, gates[compared].warnings)
        for source in recipe.grpo_prompts:
            whole = replace(source, max_items=None)
            if source.kind == "file" and str(whole) not in read:
                read.add(str(whole))
                begin(f"reading the answers of {source.name}")
                read_examples(whole, recipe.data_seed, PROMPTS, f"grpo_prompts.{source.name}", require_gold)


def prompt_completion(examples: list[Example]) -> Dataset:
    """Return examples for `SFTTrainer`, which computes the loss only on the completion."""
    return Dataset.from_list(
        [
            {"prompt": user_message(example.question), "completion": assistant_message(example.answer)}
            for example in examples
        ]
    )


def conversations(examples: list[Example]) -> Dataset:
    """Return examples for `SFTTrainer` with `assistant_only_loss`: the loss is computed on every answer.

    The ids and the labels of a single exchange are those of `prompt_completion`.
    """
    rows = []
    for example in examples:
        turns = [user_message(question) + assistant_message(answer) for question, answer in example.exchanges]
        rows.append({"messages": [message for turn in turns for message in turn]})
    return Dataset.from_list(rows)


def prompts_with_gold(examples: list[Example]) -> Dataset:
    """Return prompts for `GRPOTrainer`, with the correct answer in the column `gold`.

    Raises:
        RecipeError: if an answer does not end with `#### <number>`.
    """
    rows = []
    for example in examples:
        gold = require_gold(example.answer, "grpo_prompts")
        rows.append({"prompt": user_message(example.question), "gold": gold})
    return Dataset.from_list(rows)
