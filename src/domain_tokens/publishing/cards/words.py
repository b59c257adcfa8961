"""The sentences of a model's card. What a comparison found is said in the report's words, never in stronger ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain_tokens.analysis.report import findings
from domain_tokens.analysis.report.findings import Finding
from domain_tokens.analysis.report.formats import listed, number, printable
from domain_tokens.analysis.report.markdown import not_tokenizer_only
from domain_tokens.analysis.results_model import Results
from domain_tokens.publishing.cards.comparisons import Found
from domain_tokens.publishing.cards.data import contaminations
from domain_tokens.publishing.cards.loading import has_adapters_alone
from domain_tokens.publishing.cards.markup import Markdown, code, prose
from domain_tokens.publishing.cards.run import TrainedModel, base_folder
from domain_tokens.publishing.cards.scores import Score, is_generated
from domain_tokens.publishing.cards.tables import TOGETHER
from domain_tokens.runs.records import Record

PROJECT = "domain-token-gpt2"
QUESTION = "Does changing only the tokenizer change what a small language model can do?"

_MOST_DEPARTURES = 8
_KINDS = {"pretrain": "pretraining", "sft": "fine-tuning", "grpo": "GRPO"}


class _Architecture(Record):
    """What a manifest has of the model's configuration."""

    n_layer: int | None = None
    n_head: int | None = None
    n_embd: int | None = None
    n_positions: int | None = None
    vocab_size: int | None = None


class _Adapters(Record):
    """What a stage's inputs have of its adapters."""

    rank: int
    alpha: float


@dataclass(frozen=True)
class PairVerdict:
    """What one comparison says.

    Attributes:
        reference, other: the names of the conditions.
        headline, sentence: the verdict, as the report has it.
        one_seed: whether the comparison has one seed.
        departures: from the preregistration, the first of them.
        not_tokenizer_only: what else differs between the conditions.
        warnings: what limits the verdict.
        of_another_model: the model of the primary endpoint, if it is not the card's.
    """

    reference: str
    other: str
    headline: str
    sentence: str
    one_seed: bool
    departures: Sequence[str]
    not_tokenizer_only: Sequence[str]
    warnings: Sequence[Finding]
    of_another_model: str | None


def verdict(results: Results, model: TrainedModel | None = None) -> PairVerdict:
    """Return what a comparison says, in the words of its report; `model` is the card's, if it is one of a model."""
    primary = results.primary_endpoint.model
    return PairVerdict(
        reference=results.reference,
        other=results.other,
        headline=findings.headline(results),
        sentence=results.verdict.sentence,
        one_seed=len(results.seeds) == 1,
        departures=_first(results.preregistration.departures),
        not_tokenizer_only=not_tokenizer_only(results),
        warnings=findings.warnings(results),
        of_another_model=None if model is None or primary == model.name else primary,
    )


def _first(lines: Sequence[str]) -> list[str]:
    """Return the first lines, and how many more there are."""
    more = len(lines) - _MOST_DEPARTURES
    return [*lines[:_MOST_DEPARTURES], f"{number(more)} more, listed in the report"] if more > 0 else [*lines]


def summary(model: TrainedModel) -> Markdown:
    """Return in one or two sentences what a model is."""
    matched = model.last.manifest.matched
    shape = _Architecture.parse(matched.get("architecture") or {}, "matched.architecture")
    parameters = matched.get("num_parameters")
    size = f" with {number(parameters)} parameters" if isinstance(parameters, int) else ""
    parts = [
        None if shape.n_layer is None else f"{shape.n_layer} layers",
        None if shape.n_embd is None else f"width {shape.n_embd}",
        None if shape.n_head is None else f"{shape.n_head} heads",
        None if shape.n_positions is None else f"a context of {number(shape.n_positions)} tokens",
        None if shape.vocab_size is None else f"{number(shape.vocab_size)} token ids",
    ]
    shown = listed([part for part in parts if part is not None])
    kinds = dict.fromkeys(stage.entry.kind.partition(" ")[0] for stage in model.stages)
    trained = listed([_KINDS.get(kind, kind) for kind in kinds])
    when = (
        f"after {trained}"
        if model.step is None
        else f"as it was after step {number(model.step)} of {number(model.last.entry.steps)} of its last stage; its "
        f"stages are {trained}"
    )
    return Markdown(
        f"A language model of GPT-2's architecture{size}{f' ({shown})' if shown else ''}: condition "
        f"{code(model.condition)}, seed {model.seed}, {when}."
    )


def differences(model: TrainedModel, compared: Found) -> list[Markdown]:
    """Return what sets the condition apart from those that it was compared with."""
    return list(_differences(model, compared))


def _differences(model: TrainedModel, compared: Found) -> Iterator[Markdown]:
    if model.start is not None:
        yield Markdown(
            f"Training begins with {code(model.start.model)} of condition {code(model.start.condition)}, which was "
            "trained with that condition's tokenizer."
        )
    about = model.intervention.about
    yield Markdown(
        f"{code(model.condition)}, this model: {prose(about) if about else 'the records do not describe it.'}"
    )
    shown: set[str] = set()
    for results in compared.current:
        other = results.other if results.reference == model.condition else results.reference
        what = results.about.get(other)
        if other not in shown:
            yield Markdown(f"{code(other)}: {prose(what) if what else 'the records do not describe it.'}")
        shown.add(other)
    for results in compared.current:
        pair = f"{code(results.other)} and {code(results.reference)}"
        if reasons := not_tokenizer_only(results):
            yield Markdown(f"**Not the tokenizer alone**, {pair}: {prose('; '.join(reasons))}.")
        elif rules := ", ".join(f"{row.equal} in {row.stage}" for row in results.estimands):
            yield Markdown(
                f"Between {pair} only the tokenizer differs, by all that the comparison checks; the stages have "
                f"{prose(rules)}. These are different rules: no single budget is equal over the whole run."
            )


def contamination(model: TrainedModel) -> list[Markdown]:
    """Return in words what was removed from texts that train because it held a question of an evaluation set."""
    said = []
    for stages, record in contaminations(model):
        names = listed([code(stage) for stage in stages])
        sets = prose(listed([f"{name} ({number(count)} questions)" for name, count in record.questions.items()]))
        touched = sum(record.texts.values())
        removed = (
            f"{number(touched)} texts held one; {number(record.whole)} of them were left out, the others lost the "
            "passage."
            if touched
            else "no text was found to hold one."
        )
        said.append(Markdown(f"What trains in {names} was compared with the questions of {sets}: {removed}"))
    return said


def adapters(model: TrainedModel) -> list[Markdown]:
    """Return in words where low-rank adapters were trained, and how the model is saved; nothing if there are none."""
    found = []
    for stage in model.stages:
        if stage.entry.trained_parameters is None:
            continue
        values = stage.manifest.inputs.get("lora")
        lora = None if values is None else _Adapters.parse(values, "inputs.lora")
        size = "" if lora is None else f", rank {lora.rank}, alpha {lora.alpha:g}"
        total = stage.manifest.matched.get("num_parameters")
        of = f" (the model has {number(total)})" if isinstance(total, int) else ""
        trained = number(stage.entry.trained_parameters)
        found.append(
            f"In {code(stage.entry.stage)} low-rank adapters (LoRA{size}) were trained: {trained} parameters{of}."
        )
    if not found and not has_adapters_alone(model):
        return []
    if has_adapters_alone(model):
        where = f", {code(base_folder(model))} of the same experiment" if base_folder(model) else ""
        found.append(
            f"This repository holds the adapters alone. They are nothing without the model on which they rest{where}: "
            "put its repository or its folder in place of `base`."
        )
    else:
        found.append("They are merged into the weights, so the model loads like any other, without `peft`.")
    return [Markdown(one) for one in found]


def caveats(model: TrainedModel, scores: Sequence[Score], compared: Found) -> list[Markdown]:
    """Return what must be known beside the numbers of a card."""
    return [*_of_scores(model, scores, compared), *_of_comparisons(compared, model), *_of_records(model)]


def _of_scores(model: TrainedModel, scores: Sequence[Score], compared: Found) -> Iterator[Markdown]:
    if not scores:
        yield Markdown("This model was not evaluated, so the card has no score of it.")
    else:
        yield Markdown(
            "In brackets are 95% intervals. One training run made this model, and another seed gives another model: "
            f"the interval under seed {model.seed} is for other questions of this kind, not for other runs."
        )
    if any((mean := compared.over_seeds(score, model)) and mean[0] > 1 for score in scores):
        yield Markdown("The interval of the mean is for other seeds, on these questions.")
    if model.num_stale:
        yield Markdown(
            f"Evaluations of weights that were trained again since are left out ({number(model.num_stale)})."
        )
    names = dict.fromkeys(printable(score.data) for score in scores if is_generated(score.source))
    if names:
        yield Markdown(
            f"The questions of {prose(listed(list(names)))} are generated by this project: these are no scores on "
            "a published benchmark."
        )
    if any(score.with_tokenizer for score in scores):
        yield Markdown(
            f"{TOGETHER} Tokenizer and model together: the tokenizer rewrites more than 1% of these prompts, so the "
            "score is not the model's alone."
        )


def _of_comparisons(compared: Found, model: TrainedModel) -> Iterator[Markdown]:
    if not compared.current:
        yield Markdown(
            "**Nothing here says what the tokenizer does**: there is no comparison of this run with another condition."
        )
    if compared.num_other:
        yield Markdown(
            f"Comparisons of this condition with others are left out ({number(compared.num_other)}): they are of "
            "other seeds, or of weights that were trained again since."
        )


def _of_records(model: TrainedModel) -> Iterator[Markdown]:
    first = model.stages[0].entry
    if first.kind != "pretrain":
        yield Markdown(
            f"The records of what came before {code(first.stage)} are missing, so the card does not have it."
        )
    for stage in model.stages:
        name, manifest = code(stage.entry.stage), stage.manifest
        if manifest.changes:
            changed = "; ".join(text for change in manifest.changes for text in change.differences)
            yield Markdown(f"While {name} was unfinished, this was changed: {prose(changed)}.")
        if manifest.answer_ends is not None and manifest.answer_ends.falls:
            yield Markdown(f"{name}: {prose(manifest.answer_ends.describe())}.")
    if model.environment.git_dirty:
        yield Markdown("The code differed from the recorded commit.")


def limits(model: TrainedModel, scores: Sequence[Score], compared: Found) -> list[Markdown]:
    """Return what a model is not to be used for."""
    return list(_limits(scores, compared))


def _limits(scores: Sequence[Score], compared: Found) -> Iterator[Markdown]:
    yield Markdown(
        "For answers that anybody relies on. It was made to be compared with another model of its size. It can be "
        "wrong about any sum and any fact, and it was not trained to be safe."
    )
    budget = (
        " Training had not reached a plateau."
        if any(one.verdict.at_plateau is False for one in compared.current)
        else ""
    )
    yield Markdown(
        "As evidence about tokenizers at another size, another budget or on other data: what was found belongs to "
        f"this one.{budget}"
    )
    if any(is_generated(score.source) for score in scores):
        yield Markdown("Beside published results on a benchmark: its questions are not the benchmark's.")
    yield Markdown(
        "For losses per token beside those of a model with another tokenizer: their tokens are not the same. Bits per "
        "byte can be compared."
    )
    yield Markdown(
        "In a product, before you have read the licences of its data above. This card gives the weights no licence."
    )
