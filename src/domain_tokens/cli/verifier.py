"""The command line of `scripts/run_verifier.py`."""

import argparse
import sys

from domain_tokens.cli.common import add_strict, new_parser, to_rich, wide_console
from domain_tokens.recipe import load_recipe, user_errors
from domain_tokens.stopping.parent import end_with_launcher
from domain_tokens.stopping.signals import end_by_signals

_ARGUMENTS = """arguments:
  RECIPE          YAML or JSON file, e.g. recipes/mul_tokens.yaml
  OVERLAY         file with changes to the recipe, e.g. recipes/scales/demo.yaml; may be repeated
  KEY.PATH=VALUE  override of a single key, e.g. verifier.num_samples=64; may be repeated

settings, in the recipe's section `verifier`:
  model                  whose samples are judged: sft_final (default) or grpo_final
  problems               training problems; those of grpo_prompts if none are given
  validation_problems    how many of them do not train
  samples_per_problem    samples of each of them
  tasks, num_samples     evaluation tasks, and samples of each of their questions
  temperature, seed      of all samples
  loss                   mse (default) or bce, after every token of a solution
  language_model_weight  weight of the language model's loss on right solutions
  solutions_per_step     solutions of one optimizer step
  args                   arguments of transformers.TrainingArguments
"""


def main(description: str | None) -> None:
    """Run `scripts/run_verifier.py`. A user's mistake ends the program with a single error message.

    Args:
        description (`str`): the script's docstring, shown by `--help`.
    """
    arguments = _read_command_line(description)
    if not arguments.dry_run:
        end_with_launcher()
        end_by_signals()
    with user_errors():
        recipe = load_recipe([*arguments.recipe, *arguments.strict])
        # Imported after parsing, so that --help and usage errors appear at once.
        if arguments.dry_run:
            from domain_tokens.verifier.plan import plan

            sys.stdout.writelines(f"{line}\n" for line in plan(recipe))
            return
        from domain_tokens.cli.display import stage_progress
        from domain_tokens.verifier.comparison import tables
        from domain_tokens.verifier.run import train_and_choose

        with stage_progress("verifier"):
            comparisons = train_and_choose(recipe, arguments.allow_change)
        console = wide_console(140)
        for comparison in comparisons:
            for table in tables(comparison):
                console.print(to_rich(table))


def _read_command_line(description: str | None) -> argparse.Namespace:
    parser = new_parser(description)
    parser.usage = "%(prog)s [-h] [--dry-run] [--strict] [--allow-change] RECIPE [OVERLAY ...] [KEY.PATH=VALUE ...]"
    parser.epilog = _ARGUMENTS
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help=argparse.SUPPRESS)
    add_strict(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="check the recipe, and print what would be sampled; change nothing"
    )
    parser.add_argument(
        "--allow-change",
        action="store_true",
        help="go on with interrupted samples or training although recipe, code or libraries have changed; the "
        "manifest records the change",
    )
    return parser.parse_intermixed_args()
