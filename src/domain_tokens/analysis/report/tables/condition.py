"""Tables with a column for each condition: accuracy by group of items, and by how a question is spelled."""

from collections.abc import Iterator, Sequence

from domain_tokens.analysis.report.formats import DASH, Scale, percent, printable
from domain_tokens.analysis.report.tables.table import Table
from domain_tokens.analysis.report.words.names import metric_of, names_in
from domain_tokens.analysis.results_model import EncodingRow, Endpoint, ResultRow, Results
from domain_tokens.runs.layout import Mode
from domain_tokens.runs.results import ALL_ITEMS

_MARK = "*"
_REWRITTEN = f"{_MARK}: the condition's tokenizer rewrites at least one of these prompts."


def group_table(found: Sequence[Results]) -> Table:
    """Return the primary metric in each group of items; no rows if the items have no groups.

    Args:
        found (`Sequence[Results]`): the pairs of an experiment, which share the reference.
    """
    endpoint = found[0].primary_endpoint
    plain = [_by_group(results, endpoint) for results in found]
    shown = plain[0] if len(plain[0]) > 1 else {}
    rows = [[group, str(row.num_items), *_cells(plain, group)] for group, row in shown.items()]
    declared = "" if endpoint.group == ALL_ITEMS else f", but for the declared {endpoint.group}"
    what = metric_of(endpoint.task, endpoint.metric, found[0].primary.source, first=True)
    note = f"{what} of {endpoint.model}, means over seeds. {_REWRITTEN} Exploratory{declared}."
    return Table("How does each condition do on each kind of item?", ["items", "N", *_names(found)], rows, note)


def spelling_table(found: Sequence[Results]) -> Table:
    """Return the accuracy in each spelling of a question, as each tokenizer reads it and plainly encoded.

    Args:
        found (`Sequence[Results]`): as for `group_table`.
    """
    model, names = found[0].primary_endpoint.model, names_in(found[0].rows)
    rows = []
    for task in dict.fromkeys(row.task for row in found[0].encodings if row.model == model):
        metric = next(row.metric for row in found[0].rows if (row.model, row.task) == (model, task))
        endpoint = Endpoint(model=model, task=task, metric=metric, group=ALL_ITEMS)
        plain = [_by_group(results, endpoint) for results in found]
        crossed = [_plainly_encoded(results, endpoint) for results in found]
        for group, row in plain[0].items():
            if group == ALL_ITEMS:
                continue
            labels = names[task], group, str(row.num_items)
            rows.append([*labels, "as its tokenizer reads it", *_cells(plain, group)])
            if any(group in one for one in crossed):
                rows.append([*labels, "plain", *_encoded_cells(crossed, group)])
    note = (
        f"Accuracy of {model}, means over seeds. Plain: the question is encoded without the intervention; a spelling "
        "without such a row is plain in every condition."
    )
    return Table(
        "How does each condition do on each spelling?",
        ["task", "spelling", "N", "question", *_names(found)],
        [[printable(cell) for cell in row] for row in rows],
        f"{note} {_REWRITTEN} Exploratory.",
        labels=4,
    )


def _names(found: Sequence[Results]) -> list[str]:
    return [printable(name) for name in (found[0].reference, *(results.other for results in found))]


def _by_group(results: Results, endpoint: Endpoint) -> dict[str, ResultRow]:
    """Return the rows of an endpoint's task and metric at the end of training, by group."""
    wanted = endpoint.model, endpoint.task, endpoint.metric, 1
    return {
        row.group: row for row in results.rows if (row.model, row.task, row.metric, row.last_checkpoints) == wanted
    }


def _plainly_encoded(results: Results, endpoint: Endpoint) -> dict[str, EncodingRow]:
    wanted = endpoint.model, endpoint.task, Mode.PLAIN_QUESTION
    return {row.group: row for row in results.encodings if (row.model, row.task, row.encoding) == wanted}


def _cells(plain: Sequence[dict[str, ResultRow]], group: str) -> Iterator[str]:
    """Yield the reference's value and those of the other conditions, marked where prompts are rewritten."""
    for index, side in _sides(len(plain)):
        row = plain[index].get(group)
        if row is None:
            yield DASH
            continue
        rewritten = row.prompts is not None and row.prompts.rewritten[side] > 0
        value = (row.reference, row.other)[side].accuracy
        yield Scale(row.unit).value(value) + _MARK * rewritten


def _encoded_cells(crossed: Sequence[dict[str, EncodingRow]], group: str) -> Iterator[str]:
    for index, side in _sides(len(crossed)):
        row = crossed[index].get(group)
        yield DASH if row is None else percent((row.reference, row.other)[side])


def _sides(number: int) -> list[tuple[int, int]]:
    """Return where a pair's number is found: the reference's in the first pair, then the other's in each."""
    return [(0, 0), *((index, 1) for index in range(number))]
