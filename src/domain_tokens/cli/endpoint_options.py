"""The options of `scripts/convert_tinygsm.py --route api`, and what they make."""

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from domain_tokens.cli import options
from domain_tokens.cli.options import above_zero, from_zero, local_path, whole_number
from domain_tokens.recipe import RecipeError, Source

if TYPE_CHECKING:
    from domain_tokens.corpora.endpoint.settings import Endpoint
    from domain_tokens.corpora.solutions.asked import MakeModel

T = TypeVar("T")

_SAMPLE = 200  # rows that the rules convert, to know how long a solution is
_NO_TEMPERATURE = "none"


def add_endpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add the options. None has a default, so that one given with another route is noticed."""
    group = parser.add_argument_group(
        "--route api", "an OpenAI-compatible endpoint writes the solutions; the key is read from OPENAI_API_KEY"
    )
    group.add_argument("--base-url", metavar="URL", help="the endpoint, such as http://localhost:8000/v1")
    group.add_argument("--model", metavar="NAME", help="the model's name there")
    group.add_argument(
        "--structured",
        choices=("schema", "json", "prompt"),
        help="ask for the form of an answer by a JSON schema, as a JSON object, or by words alone (default: schema)",
    )
    group.add_argument("--temperature", type=_temperature, metavar="X", help="or `none` to send none (default: 0)")
    group.add_argument("--max-tokens", type=whole_number, metavar="N", help="of one answer (default: 600)")
    group.add_argument(
        "--limit-name",
        choices=("max_tokens", "max_completion_tokens"),
        help="what the endpoint calls that limit (default: max_tokens)",
    )
    group.add_argument("--at-once", type=whole_number, metavar="N", help="requests at the same time (default: 8)")
    group.add_argument("--attempt-seconds", type=above_zero, metavar="S", help="for one attempt (default: 120)")
    group.add_argument(
        "--budget-seconds",
        type=above_zero,
        metavar="S",
        help="for one request with all attempts and waits (default: 600)",
    )
    group.add_argument(
        "--token-cap", type=whole_number, metavar="N", help="prompt and completion tokens of all runs with this ledger"
    )
    group.add_argument(
        "--ledger", type=local_path, metavar="DIR", help="where answers are kept (default: OUTPUT.ledger)"
    )
    group.add_argument("--skip-unanswered", action="store_const", const=True, help="leave out rows without an answer")
    group.add_argument("--batch", action="store_const", const=True, help="use the Batch API")
    group.add_argument("--poll-seconds", type=above_zero, metavar="S", help="between looks at a batch (default: 60)")
    group.add_argument(
        "--keep-days",
        type=int,
        choices=range(1, 31),
        metavar="N",
        help="how long the endpoint keeps a batch's results",
    )
    group.add_argument("--price-prompt", type=from_zero, metavar="X", help="per million tokens, for --dry-run")
    group.add_argument("--price-completion", type=from_zero, metavar="X", help="per million tokens, for --dry-run")


_NAMES = (
    "base_url", "model", "structured", "temperature", "max_tokens", "limit_name", "at_once", "attempt_seconds",
    "budget_seconds", "token_cap", "ledger", "skip_unanswered", "batch", "poll_seconds", "keep_days", "price_prompt",
    "price_completion",
)  # fmt: skip


def check_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a message if options do not fit the route, or one that it needs is missing."""
    given = [name for name in _NAMES if getattr(arguments, name) is not None]
    if arguments.route != "api":
        if given:
            parser.error(f"{_option(given[0])} is an option of --route api, got --route {arguments.route}")
        return
    needed = ["base_url", "model"] if arguments.dry_run else ["base_url", "model", "token_cap"]
    if missing := [name for name in needed if name not in given]:
        parser.error(f"--route api needs {' and '.join(map(_option, missing))}")
    for name in ("split_products", "verify"):
        if getattr(arguments, name):
            parser.error(
                f"{_option(name)} is an option of --route rules; --route api always compares with the program"
            )
    if arguments.workers != 1:
        parser.error("--workers: --route api takes one process; --at-once sets how many requests are under way")
    if not arguments.batch and (extra := [name for name in ("poll_seconds", "keep_days") if name in given]):
        parser.error(f"{_option(extra[0])} is an option of --batch")
    if ("price_prompt" in given) != ("price_completion" in given):
        parser.error("expected both --price-prompt and --price-completion, or neither")


def model_route(arguments: argparse.Namespace, source: Source) -> "MakeModel":
    """Return the route that the options describe. Raises `RecipeError` if there is no key, or a value is not valid."""
    from domain_tokens.corpora.endpoint.batch import BatchOptions
    from domain_tokens.corpora.endpoint.checking.reaching import Reader
    from domain_tokens.corpora.endpoint.settings import Limits, read_key
    from domain_tokens.corpora.solutions.asked import MakeModel
    from domain_tokens.corpora.solutions.problems import read_problems
    from domain_tokens.evaluation.equations import is_conversion, numbers_of, stated_in

    key = read_key()
    limits = Limits(
        token_cap=arguments.token_cap,
        at_once=_or(arguments.at_once, Limits.at_once),
        attempt_seconds=_or(arguments.attempt_seconds, Limits.attempt_seconds),
        budget_seconds=_or(arguments.budget_seconds, Limits.budget_seconds),
    )
    poll_seconds = _or(arguments.poll_seconds, BatchOptions.poll_seconds)
    batches = BatchOptions(poll_seconds, arguments.keep_days) if arguments.batch else None
    return MakeModel(
        _endpoint(arguments), limits, key, ledger_of(arguments), Reader(stated_in, numbers_of, is_conversion),
        batches, partial(read_problems, source), bool(arguments.skip_unanswered), arguments.allow_without_seccomp,
    )  # fmt: skip


def ledger_of(arguments: argparse.Namespace) -> Path:
    """Return the folder of the ledger."""
    output: Path = arguments.output
    return arguments.ledger or output.with_name(f"{output.name}.ledger")


def estimate_lines(arguments: argparse.Namespace, source: Source) -> list[str]:
    """Return what asking would take, in words. Asks for nothing, needs no key, and writes nothing."""
    from domain_tokens.corpora.endpoint.estimate import estimate
    from domain_tokens.corpora.endpoint.requests import Problem
    from domain_tokens.corpora.endpoint.settings import Prices
    from domain_tokens.corpora.programs.conversion import code_in
    from domain_tokens.corpora.solutions.problems import read_problems
    from domain_tokens.corpora.solutions.route import Solved
    from domain_tokens.corpora.solutions.rules import MakeRules
    from domain_tokens.evaluation.equations import all_hold

    rows = (row for row in read_problems(source) if row.question and row.program)
    first = list(itertools.islice(rows, _SAMPLE))
    if not first:
        raise RecipeError("no rows; expected questions with programs")
    with MakeRules(all_hold, allow_without_seccomp=arguments.allow_without_seccomp)() as rules:
        solutions = [outcome.answer for outcome in rules.solve(first) if isinstance(outcome, Solved)]
    problems = (Problem(row.question, code_in(row.program), 0) for row in itertools.chain(first, rows))
    prices = None
    if arguments.price_prompt is not None:
        prices = Prices(arguments.price_prompt, arguments.price_completion)
    found = estimate(problems, _endpoint(arguments), ledger_of(arguments), solutions)
    return [*found.lines(prices), "Rows whose program returns no number are not asked for; they are counted here."]


def _endpoint(arguments: argparse.Namespace) -> "Endpoint":
    from domain_tokens.corpora.endpoint.settings import Endpoint

    temperature = _or(arguments.temperature, Endpoint.temperature)
    return Endpoint(
        base_url=arguments.base_url,
        model=arguments.model,
        structured=_or(arguments.structured, Endpoint.structured),
        temperature=None if temperature == _NO_TEMPERATURE else temperature,
        max_tokens=_or(arguments.max_tokens, Endpoint.max_tokens),
        limit_name=_or(arguments.limit_name, Endpoint.limit_name),
    )


def _or(given: T | None, default: T) -> T:
    return default if given is None else given


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _temperature(text: str) -> float | str:
    return _NO_TEMPERATURE if text == _NO_TEMPERATURE else options.temperature(text)
