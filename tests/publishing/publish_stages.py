"""What the script of a training stage does before and after its training if its recipe publishes, without training.

Run as `publish_stages.py KIND RECIPE [OVERRIDE ...]` in a process that works with the tests' Hub.
"""

import logging
import sys

from domain_tokens.publishing.stages import check_publishing, publish_stages
from domain_tokens.recipe import load_recipe, user_errors

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        recipe = load_recipe(sys.argv[2:])
        check_publishing(recipe)
        publish_stages(recipe, sys.argv[1])
