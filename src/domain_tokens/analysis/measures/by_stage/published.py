"""Which number of an earlier, published run belongs beside a stage."""

from domain_tokens.analysis.report.words.names import is_stand_in
from domain_tokens.analysis.results_model import PublishedResults, PublishedRow, ResultRow


def counterpart(earlier: PublishedResults, stages: tuple[str, ...], row: ResultRow) -> PublishedRow | None:
    """Return the published result of the same task after the stages that are most like those of a run.

    A published result names the stages that it came after. It fits a run whose last stages have these names in this
    order; of several that fit, the one that names the most stages is taken: GSM8K after drills and word problems is a
    curriculum, and after anything else it is GSM8K.

    Args:
        earlier (`PublishedResults`): the published run.
        stages (`tuple[str, ...]`): the names of the stages that made the model, the last one last.
        row (`ResultRow`): the result. Beside generated data, which is no benchmark, no published number belongs.
    """
    if is_stand_in(row.source):
        return None
    fitting = [
        one
        for one in earlier.results
        if one.after and one.task == f"{row.task} {row.metric}" and stages[-len(one.after) :] == one.after
    ]
    return max(fitting, key=lambda one: len(one.after), default=None)
