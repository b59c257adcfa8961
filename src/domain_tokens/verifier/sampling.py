"""Samples several solutions of each of many questions, for a verifier and for curves over temperatures.

Questions are answered some at a time, and each time all solutions are added to a file on the disk. Interrupted
sampling goes on where it stopped and ends with the file of an undisturbed run: a draw depends on the question's
index, the sample's number and the seed alone, and the questions that are answered together are the same.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from domain_tokens.evaluation.answers.answer import Answer, AnswerReader, is_correct
from domain_tokens.evaluation.evaluate import load_model
from domain_tokens.evaluation.models.inference import Decoding, generate
from domain_tokens.evaluation.tasks._generative import STOP, trim
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.recipe.sections.repetition import Repetition
from domain_tokens.runs.files import link_file, sha256_file, sha256_json
from domain_tokens.runs.layout import MANIFEST, SAMPLES, VERIFIER, StagePaths, sample_paths
from domain_tokens.runs.ledger import differences
from domain_tokens.runs.progress import Work
from domain_tokens.runs.provenance import CODE_SHA256
from domain_tokens.runs.records import Fields, Manifest, ModelIdentity, read_record, read_rows
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.tokenization.contract import intervention_of
from domain_tokens.tokenization.intervention import load_canonical_table
from domain_tokens.training.model import computed_parameters, flops_per_token
from domain_tokens.verifier.records import SampleCounts, SampledQuestion, SampledSolution

logger = logging.getLogger(__name__)

_BATCHES_AT_A_TIME = 4  # between two additions to the file: an interruption loses at most so much


@dataclass(frozen=True)
class Question:
    """What is asked: a training problem, or a question of an evaluation set."""

    id: str
    question: str
    gold: str
    prompt: str
    cluster: str | None = None


@dataclass(frozen=True)
class Part:
    """A list of questions and how they are answered, the same in every condition.

    Attributes:
        name: of its folder: `problems` for the training problems, or a task.
        questions: in their order.
        num_samples: solutions of each.
        max_new_tokens: the longest solution.
        temperature: 0 takes the likeliest token.
        seed: of the draws.
        room: the folder of a run in which its own folder lies.
        beginning: how every solution begins: the end of the prompt, read as a part of the solution.
        limits: what a solution may not repeat.
    """

    name: str
    questions: Sequence[Question]
    num_samples: int
    max_new_tokens: int
    temperature: float
    seed: int
    room: str = VERIFIER
    beginning: str = ""
    limits: Repetition = field(default_factory=Repetition)

    @cached_property
    def questions_sha256(self) -> str:
        """A hash of the prompts and right answers, in order."""
        return sha256_json([[one.id, one.prompt, one.gold] for one in self.questions])

    @property
    def settings(self) -> Fields:
        """How solutions are sampled."""
        return {
            "num_samples": self.num_samples,
            "temperature": self.temperature,
            "seed": self.seed,
            "max_new_tokens": self.max_new_tokens,
            "stop": STOP,
            **({"beginning": self.beginning} if self.beginning else {}),
            **self.limits.as_fields(),
        }

    @property
    def matched(self) -> Fields:
        """What must be equal in every condition."""
        number = len(self.questions)
        return {"questions_sha256": self.questions_sha256, "num_questions": number, **self.settings}

    def paths(self, recipe: Recipe) -> StagePaths:
        """Return the folders of a run's samples."""
        return sample_paths(recipe, self.name, self.room)


@dataclass(frozen=True)
class Sampled:
    """The samples of a part.

    Attributes:
        part: the part.
        rows: its questions with their samples.
        sha256: of the file.
        counts: what sampling consumed and produced.
    """

    part: Part
    rows: list[SampledQuestion]
    sha256: str
    counts: SampleCounts


@dataclass(frozen=True)
class Generator:
    """The model that writes the solutions, and what reads them."""

    recipe: Recipe
    identity: ModelIdentity
    tokenizer: PreTrainedTokenizerFast

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model, loaded when it is first asked something."""
        return load_model(self.recipe.run_dir / self.identity.model)

    @cached_property
    def reader(self) -> AnswerReader:
        """Reads the number of a solution, as rewards and evaluation do."""
        return AnswerReader(intervention_of(self.tokenizer), load_canonical_table(self.recipe))

    def read(self, solution: SampledSolution, beginning: str = "") -> Answer:
        """Return a solution as rewards and evaluation read it, behind what the prompt began it with."""
        return self.reader.read(beginning + solution.text)

    def is_right(self, solution: SampledSolution, gold: str, beginning: str = "") -> bool:
        """Return whether a solution gives the right number."""
        return is_correct(self.read(solution, beginning), gold)


def sample(part: Part, generator: Generator, allow_change: bool = False) -> Sampled:
    """Return the samples of a part: those of a finished folder, or what is drawn now.

    Args:
        part (`Part`): what is asked.
        generator (`Generator`): the model.
        allow_change (`bool`, *optional*, defaults to `False`): go on with unfinished samples although the code has
            changed; the manifest records it.

    Raises:
        RecipeError: if there are samples of other questions, settings or weights, or another condition was asked
            something else.
    """
    recipe, paths, identity = generator.recipe, part.paths(generator.recipe), generator.identity
    matched = part.matched
    inputs: Fields = {
        **matched,
        "weights": {identity.model: identity.weights_sha256},
        "tokenizer_sha256": identity.tokenizer_sha256,
    }
    folder = StageFolder(f"samples of {part.name}", paths.final, inputs)
    if not folder.is_complete():
        check_others(recipe, part)
        file = paths.work / SAMPLES
        folder.open_work(paths.work, recipe, {"code_sha256": CODE_SHA256}, allow_change, has_results=file.is_file())
        _draw(part, generator, file)
        _finish(part, generator, folder, file)
    recorded, path = read_record(paths.final / MANIFEST, Manifest), paths.final / SAMPLES
    if (found := sha256_file(path)) != recorded.files[SAMPLES]:
        raise RecipeError(f"{path}: not the file that was written here; remove {paths.final} to sample again")
    return Sampled(part, _read(path), found, SampleCounts.parse(recorded.reported, paths.final / MANIFEST))


def _finish(part: Part, generator: Generator, folder: StageFolder, file: Path) -> None:
    """Write the final folder of samples, and remove the unfinished file."""
    counts = _count(part, generator, _read(file))
    with folder.writing(generator.recipe) as (partial, manifest):
        link_file(file, partial / SAMPLES)
        manifest["matched"], manifest["reported"] = part.matched, counts.as_json()
    file.unlink()
    logger.info("%s: %s of %s samples right", folder.name, f"{counts.right:,}", f"{counts.num_samples:,}")


def check_others(recipe: Recipe, part: Part) -> None:
    """Check that the finished samples of a part, of any condition and this seed, are of these questions and settings.

    Raises:
        RecipeError: naming both folders, and what differs.
    """
    final, matched = part.paths(recipe).final, part.matched
    place = final.relative_to(recipe.run_dir)
    for run in sorted(recipe.experiment_dir.glob(f"exp_*/{recipe.run_dir.name}")):
        if not (run / place / MANIFEST).is_file():
            continue
        theirs = read_record(run / place / MANIFEST, Manifest).matched
        for difference in differences(matched, theirs):
            ours, why = str(final), "the two conditions would not be asked the same; use the same recipe for both"
            if run == recipe.run_dir:
                ours, why = "this recipe", "these samples are finished; use the recipe they were drawn by"
            raise RecipeError(
                f"{difference.describe(ours, str(run / place))}; {why}, or remove {run / place} to sample again"
            )


def _read(path: Path) -> list[SampledQuestion]:
    return list(read_rows(path, SampledQuestion))


def _draw(part: Part, generator: Generator, file: Path) -> None:
    """Add to a file what it lacks of a part."""
    at_a_time = max(1, _BATCHES_AT_A_TIME * generator.recipe.evaluation.batch_size // part.num_samples)
    done = _keep_whole(file, at_a_time)
    work = Work(len(part.questions) * part.num_samples, "sample")
    if done:
        logger.info("samples of %s: goes on behind question %d of %d", part.name, done, len(part.questions))
    work.advance(done * part.num_samples)
    for start in range(done, len(part.questions), at_a_time):
        rows = _answer(part, generator, start, start + at_a_time)
        with file.open("a", encoding="utf-8") as out:
            out.writelines(f"{row.model_dump_json(exclude_unset=True)}\n" for row in rows)
            out.flush()
            os.fsync(out.fileno())
        work.advance(len(rows) * part.num_samples)


def _keep_whole(file: Path, at_a_time: int) -> int:
    """Cut from a file what an interruption left of the last addition; return how many questions it has then."""
    if not file.is_file():
        return 0
    lines = file.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n")]
    kept = whole[: len(whole) // at_a_time * at_a_time]
    if len(kept) < len(lines):
        os.truncate(file, sum(map(len, kept)))
    return len(kept)


def _answer(part: Part, generator: Generator, start: int, stop: int) -> list[SampledQuestion]:
    questions, tokenizer = part.questions[start:stop], generator.tokenizer
    decoding = Decoding(
        part.max_new_tokens,
        STOP,
        part.num_samples,
        part.temperature,
        seed=part.seed,
        no_repeat_bytes=part.limits.no_repeat_bytes,
        repetition_penalty=part.limits.penalty,
    )
    written = generate(
        generator.model,
        tokenizer,
        [one.prompt for one in questions],
        decoding,
        generator.recipe.evaluation.batch_size,
        first=start,
    )
    return [
        SampledQuestion(
            id=one.id,
            question=one.question,
            gold=one.gold,
            cluster=one.cluster,
            samples=tuple(_solution(ids, tokenizer) for ids in answers),
        )
        for one, answers in zip(questions, written, strict=True)
    ]


def _solution(token_ids: list[int], tokenizer: PreTrainedTokenizerFast) -> SampledSolution:
    kept, finished = trim(token_ids, tokenizer)
    return SampledSolution(ids=tuple(kept), text=tokenizer.decode(kept), finished=finished)


def _count(part: Part, generator: Generator, rows: list[SampledQuestion]) -> SampleCounts:
    prompts = [len(ids) for ids in generator.tokenizer([one.prompt for one in part.questions])["input_ids"]]
    lengths = [len(one.ids) + one.finished for row in rows for one in row.samples]
    whole = [
        prompt + len(one.ids) + one.finished for prompt, row in zip(prompts, rows, strict=True) for one in row.samples
    ]
    config, size = generator.model.config, computed_parameters(generator.model)
    return SampleCounts(
        num_samples=len(lengths),
        right=sum(generator.is_right(one, row.gold, part.beginning) for row in rows for one in row.samples),
        unfinished=sum(not one.finished for row in rows for one in row.samples),
        generated_tokens=sum(lengths),
        prompt_tokens=sum(prompts) * part.num_samples,
        flops=sum(length * flops_per_token(config, size, length) / 3 for length in whole),  # a forward pass
        batch_size=generator.recipe.evaluation.batch_size,
    )
