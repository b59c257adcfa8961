"""The command line of `scripts/run_seal.py`."""

import argparse
import sys

from domain_tokens.cli.common import add_strict, new_parser
from domain_tokens.recipe import load_recipe, user_errors
from domain_tokens.stopping.parent import end_with_launcher
from domain_tokens.stopping.signals import end_by_signals

_ARGUMENTS = """arguments:
  RECIPE          YAML or JSON file, e.g. recipes/baseline.yaml
  OVERLAY         file with changes to the recipe, e.g. recipes/scales/seal_demo.yaml; may be repeated
  KEY.PATH=VALUE  override of a single key, e.g. seal.rounds=3; may be repeated

settings, in the recipe's section `seal`:
  enabled                   must be true
  model                     which is adapted: pretrain_final (default), sft_final or grpo_final
  policy                    who writes edits: language_model (default) or choice
  reward                    answer_bits (default) or validation_loss
  train_passages, rounds    on which the policy learns, and how often
  edits_per_passage         edits for each of them in a round; on a test passage, draws until one can be read
  inner_seeds               how often each edit is carried out, at least 5
  test_passages, chain      on which policy and controls are compared, and how many are learned in a row
  steps, ranks, learning_rates, repeats
                            among which an edit chooses
  tokens_per_step           tokens of an inner step
  temperature, warmup_edits, policy_epochs, policy_learning_rate
                            of the policy
  validation_documents      held-out documents on which forgetting is measured
  seed                      of passages, edits and inner loops
  device, workers           where, and in how many processes
defaults and meanings: docs/SEAL.md

scripts/analyze_adaptation.py reads the results, finished or not.
"""


def main(description: str | None) -> None:
    """Run `scripts/run_seal.py`. A user's mistake ends the program with a single error message.

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
            from domain_tokens.seal.plan import plan

            sys.stdout.writelines(f"{line}\n" for line in plan(recipe))
            return
        from domain_tokens.cli.display import stage_progress
        from domain_tokens.seal.run import adapt

        with stage_progress("self-adaptation"):
            folder = adapt(recipe, arguments.allow_change)
        sys.stdout.write(f"{folder}\nnext: python scripts/analyze_adaptation.py {recipe.run_dir}\n")


def _read_command_line(description: str | None) -> argparse.Namespace:
    parser = new_parser(description)
    parser.usage = "%(prog)s [-h] [--dry-run] [--strict] [--allow-change] RECIPE [OVERLAY ...] [KEY.PATH=VALUE ...]"
    parser.epilog = _ARGUMENTS
    parser.add_argument("recipe", nargs="+", metavar="RECIPE", help=argparse.SUPPRESS)
    add_strict(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="check the recipe, and print what would be done; change nothing"
    )
    parser.add_argument(
        "--allow-change",
        action="store_true",
        help="go on with interrupted work although the code, the device or the number of threads has changed; the "
        "manifest records the change. Other settings or weights are refused all the same",
    )
    return parser.parse_intermixed_args()
