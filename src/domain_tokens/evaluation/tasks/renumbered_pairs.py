"""Word problems in pairs: one template with a product of the multiplication table, and with one beyond it.

`scripts/renumber_gsm8k.py` writes them. The problems of a pair have the same words and steps, and products with as
many digits, so that their difference is what the table is worth. The factors' digits are the difference that remains.
"""

from collections import defaultdict

from domain_tokens.corpora.renumbering.records import IN_TABLE, OUT_OF_TABLE
from domain_tokens.corpora.sources import read_rows
from domain_tokens.evaluation.answers.extraction import require_gold
from domain_tokens.evaluation.tasks._base import EVALUATION_SEED, SPLIT, Row, check_text
from domain_tokens.evaluation.tasks._columns import Columns
from domain_tokens.evaluation.tasks._generative import GenerativeTask
from domain_tokens.recipe import Recipe, RecipeError

_SIDES = [IN_TABLE, OUT_OF_TABLE]


class RenumberedPairs(GenerativeTask):
    """Rows of `pair`, `group`, `cluster`, `question` and `answer`; a group is a side of the pairs."""

    name = "renumbered_pairs"
    data = "renumbered_pairs"

    def read_rows(self, recipe: Recipe) -> list[Row]:
        """Read the problems of all pairs. Raises `RecipeError` naming source, row and column, or a broken pair."""
        source = self.source(recipe)
        rows: list[Row] = []
        sides: dict[str, list[str]] = defaultdict(list)
        for index, raw in enumerate(read_rows(source, EVALUATION_SEED, SPLIT)):
            row = Columns(raw, f"evaluation.data.{self.data}: source {source.name}: row {index}")
            group, pair, answer = row.text("group"), row.text("pair"), row.text("answer")
            if group not in _SIDES:
                raise row.error("group", f"{IN_TABLE} or {OUT_OF_TABLE}", group)
            sides[pair].append(group)
            rows.append(
                {
                    "id": f"{pair} {group}",
                    "group": group,
                    "cluster": row.text("cluster"),
                    "question": row.text("question"),
                    "gold": require_gold(answer, f"{row.where}: column 'answer'"),
                    "steps": answer.rpartition("####")[0].strip(),
                }
            )
            check_text(rows[-1]["question"], f"{row.where}: column 'question'")
        for pair, found in sides.items():
            if sorted(found) != _SIDES:
                raise RecipeError(
                    f"evaluation.data.{self.data}: source {source.name}: pair {pair!r}: expected one problem of each "
                    f"of {IN_TABLE} and {OUT_OF_TABLE}, got {', '.join(found)}; write the pairs again"
                )
        return rows


TASK = RenumberedPairs()
