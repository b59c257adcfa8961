"""Equations summed up over answers.

Reads items as result files hold them, so that a count can be repeated from the file alone: `equations` is a list of
`Equation.as_json()`, and `products_needed` the list that `in_table_products` gives for the gold solution, or `None` if
there is no solution.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

Item = dict[str, Any]

_FIELDS = ("kind", "in_table", "form", "origin")


def summarize_equations(items: Iterable[Item]) -> dict[str, Any]:
    """Return how many equations the answers state and how many are right, which facts, and which products.

    Args:
        items (`Iterable[dict]`): one for each answer, with `equations` and, if gold solutions are known,
            `products_needed`.

    Returns:
        `dict`: `num_answers`, `num_equations`, `num_right` (`num_rounded` of them by rounding), and
        - `by_type`: a row of `kind`, `in_table`, `form`, `origin`, `num`, `right` for every combination that occurs;
        - `facts`: see `facts_emitted`;
        - `products`: see `products_found`.
    """
    items = list(items)
    equations = [equation for item in items for equation in item["equations"]]
    counts = Counter(tuple(equation[field] for field in _FIELDS) for equation in equations)
    right = Counter(tuple(equation[field] for field in _FIELDS) for equation in equations if equation["right"])
    return {
        "num_answers": len(items),
        "num_equations": len(equations),
        "num_right": right.total(),
        "num_rounded": sum(equation["rounded"] for equation in equations),
        "by_type": [
            {**dict(zip(_FIELDS, type_, strict=True)), "num": counts[type_], "right": right[type_]}
            for type_ in sorted(counts)
        ],
        "facts": facts_emitted(items),
        "products": products_found(items),
    }


def facts_emitted(items: Iterable[Item]) -> dict[str, Any]:
    """Return how good the facts are that answers state by a token.

    A token for a true fact is right wherever it stands; what can be wrong is to use it there. So, beside `num` and
    `right`, `fitting` counts the facts that the gold solution of the item needs, among the `judged` ones of items with
    a gold solution.

    Returns:
        `dict`: `num`, `right`, `judged`, `fitting`, and the shares `right_share` of all and `precision` of the judged
        ones that fit; a share of nothing is `None`.
    """
    num = right = judged = fitting = 0
    for item in items:
        needed = _needed(item)
        facts = [equation for equation in item["equations"] if equation["form"] == "fact"]
        num += len(facts)
        right += sum(fact["right"] for fact in facts)
        if needed is not None:
            judged += len(facts)
            fitting += sum(fact["pair"] is not None and tuple(fact["pair"]) in needed for fact in facts)
    return {
        "num": num,
        "right": right,
        "judged": judged,
        "fitting": fitting,
        "right_share": _share(right, num),
        "precision": _share(fitting, judged),
    }


def products_found(items: Iterable[Item]) -> dict[str, Any]:
    """Return how many of the table's products that gold solutions need are stated, rightly, by the answers.

    A product counts once for each item, whether a token or digits state it.

    Returns:
        `dict`: `needed`, `found`, `found_as_facts`, and the shares `recall` and `recall_as_facts`; a share of nothing
        is `None`.
    """
    total = found = found_as_facts = 0
    for item in items:
        needed = _needed(item) or set()
        stated = [one for one in item["equations"] if one["right"] and one["pair"] is not None]
        total += len(needed)
        found += len(needed & {tuple(one["pair"]) for one in stated})
        found_as_facts += len(needed & {tuple(one["pair"]) for one in stated if one["form"] == "fact"})
    return {
        "needed": total,
        "found": found,
        "found_as_facts": found_as_facts,
        "recall": _share(found, total),
        "recall_as_facts": _share(found_as_facts, total),
    }


def _needed(item: Item) -> set[tuple[int, int]] | None:
    needed = item.get("products_needed")
    return None if needed is None else {(a, b) for a, b in needed}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
