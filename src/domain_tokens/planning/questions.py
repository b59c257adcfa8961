"""Which declared endpoints would measure tokenizer and model together: whose prompts a condition rewrites.

The report says the same of a finished comparison, from the items; this says it before the first step, when the wording
of a question can still be changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain_tokens.analysis.report.tables.table import WITH_TOKENIZER
from domain_tokens.analysis.report.words.names import metric_of
from domain_tokens.analysis.results_model import REWRITTEN_SHARE
from domain_tokens.evaluation.answers.answer import AnswerReader, is_correct
from domain_tokens.evaluation.modes import load_tasks
from domain_tokens.evaluation.tasks._base import AnyTask
from domain_tokens.evaluation.tasks.gold_bits import WITH_SITES, WITHOUT_SITES
from domain_tokens.evaluation.tasks.hellaswag import has_product
from domain_tokens.recipe import Recipe, RecipeError, load_prereg
from domain_tokens.recipe.prereg import Endpoint
from domain_tokens.tokenization.intervention import Intervention, load_canonical_table, load_intervention
from domain_tokens.tokenization.rewriter import Rewriter, rewriter_of

_Row = Mapping[str, object]


@dataclass(frozen=True)
class Reading:
    """How one condition reads the items of an endpoint.

    Attributes:
        condition: its name.
        num_rewritten: items of which its tokenizer changes a prompt.
        num_unwritable: items whose right answer it writes as another number.
    """

    condition: str
    num_rewritten: int
    num_unwritable: int


@dataclass(frozen=True)
class EndpointQuestions:
    """The prompts of a declared endpoint as the conditions read them.

    Attributes:
        endpoint: the endpoint.
        num_items: its items.
        readings: one for each condition, in their order.
        source: the name of the items' data source, as results record it.
    """

    endpoint: Endpoint
    num_items: int
    readings: tuple[Reading, ...]
    source: str | None = None

    @property
    def with_tokenizer(self) -> bool:
        """Whether it would measure tokenizer and model together, as `ResultRow.with_tokenizer` says afterwards."""
        return max(reading.num_rewritten for reading in self.readings) > REWRITTEN_SHARE * self.num_items

    def line(self) -> str:
        """Return one line that says which share of the prompts each condition rewrites."""
        one = self.endpoint
        name = f"{metric_of(one.task, one.metric, self.source, first=True)} of {one.model}" + (
            "" if one.group is None else f" ({one.group})"
        )
        found = [
            f"{reading.condition} rewrites {self._share(reading.num_rewritten, 'prompts')}"
            for reading in self.readings
            if reading.num_rewritten
        ] + [
            f"{reading.condition} cannot write {self._share(reading.num_unwritable, 'right answers')}"
            for reading in self.readings
            if reading.num_unwritable
        ]
        if not found:
            return f"endpoint {name}: no condition rewrites any of its {self.num_items:,} prompts"
        measures = f"warning: it would measure {WITH_TOKENIZER}: " if self.with_tokenizer else ""
        return f"endpoint {name}: {measures}{', '.join(found)}"

    def _share(self, number: int, what: str) -> str:
        return f"{number:,} of {self.num_items:,} {what} ({number / self.num_items:.1%})"


def endpoint_questions(recipes: Sequence[Recipe], *, local: bool = False) -> list[EndpointQuestions]:
    """Return how the conditions read the prompts of the declared endpoints that the recipes evaluate.

    Args:
        recipes (`Sequence[Recipe]`): one for each condition; the first says what is declared and where the data is.
        local (`bool`, *optional*): leave out endpoints whose data is on the Hub, where reading it may download it.

    Raises:
        RecipeError: if the declaration, an intervention or a task's data is invalid or missing, or an endpoint has
            no items.
    """
    first = recipes[0]
    if first.prereg is None:
        return []
    tasks, table = load_tasks(first), load_canonical_table(first)
    interventions = {recipe.condition: load_intervention(Path(recipe.tokenizer)) for recipe in recipes}
    found, read = [], {}
    for endpoint in load_prereg(Path(first.prereg)).endpoints:
        task = tasks.get(endpoint.task)
        if task is None or (local and task.data is not None and task.source(first).kind == "hub"):
            continue
        if task.name not in read:
            read[task.name] = task.rows(first)[: first.evaluation.max_samples]
        rows = [row for row in read[task.name] if _belongs(row, task.texts(row)[0], endpoint.group, table)]
        if not rows:
            groups = sorted({str(row["group"]) for row in read[task.name] if row.get("group") is not None})
            raise RecipeError(
                f"{first.prereg}: endpoints: {endpoint.task}, group {endpoint.group!r}: none of the "
                f"{len(read[task.name]):,} items of {task.source_name(first)} counts; groups there: "
                f"{', '.join(groups) or 'none'}; declare one of these, leave the group out, or evaluate other data"
            )
        readings = tuple(_reading(name, one, task, rows, table) for name, one in interventions.items())
        found.append(EndpointQuestions(endpoint, len(rows), readings, task.source_name(first)))
    return found


def _belongs(row: _Row, prompt: str, group: str | None, table: Intervention) -> bool:
    """Return whether a row counts and is of a group; worked solutions get theirs only when they are measured."""
    choices = row.get("choices")
    if isinstance(choices, list) and has_product(prompt, choices):
        return False
    if "answer" in row and group in (WITH_SITES, WITHOUT_SITES):
        sites = rewriter_of(table).rewritten(f"{prompt} {row['answer']}")
        return any(site.end > len(prompt) for site in sites) is (group == WITH_SITES)
    return group is None or row.get("group") == group


def _reading(
    condition: str, intervention: Intervention, task: AnyTask, rows: Sequence[_Row], table: Intervention
) -> Reading:
    rewriter, answers = rewriter_of(intervention), AnswerReader(intervention, table)
    return Reading(
        condition,
        sum(any(rewriter.inject(text) != text for text in task.texts(row)) for row in rows),
        sum(_is_unwritable(str(row["gold"]), rewriter, answers) for row in rows if "gold" in row),
    )


def _is_unwritable(gold: str, rewriter: Rewriter, answers: AnswerReader) -> bool:
    written = rewriter.inject(gold)
    if written == gold:
        return False
    return is_correct(answers.read(f"#### {gold}"), gold) and not is_correct(answers.read(f"#### {written}"), gold)
