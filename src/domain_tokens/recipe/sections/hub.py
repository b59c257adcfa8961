"""The section of a recipe that says where its models are published, if `push_to_hub` is on."""

import re
from dataclasses import dataclass

from domain_tokens.recipe.errors import RecipeError

_NAMESPACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


@dataclass
class Hub:
    """Where every training stage publishes its final folder; no number of a run depends on it.

    Attributes:
        namespace: a user or an organization on the Hub. Required where `push_to_hub` is on.
        private: whether repositories that are created can be seen by members of the namespace alone. One that exists
            stays as it is.
        checkpoints: whether the checkpoints that are kept are published too, each as the revision `step-<n>` of its
            stage's repository.
    """

    namespace: str | None = None
    private: bool = True
    checkpoints: bool = False

    def check(self, where: str, *, pushes: bool) -> None:
        """Check what the types do not say. Raises `RecipeError` naming the key.

        Args:
            where (`str`): the section's key.
            pushes (`bool`): whether the recipe asks for publishing.
        """
        if self.namespace is not None:
            check_namespace(f"{where}.namespace", self.namespace)
        elif pushes:
            raise RecipeError(
                f"{where}.namespace: push_to_hub is on, but it is not said where to; expected a user or an "
                f"organization on the Hub, for example {where}.namespace=my-name"
            )


def check_namespace(where: str, namespace: str) -> None:
    """Check that a text can name a user or an organization. Raises `RecipeError` saying what was expected."""
    if not _NAMESPACE.fullmatch(namespace):
        raise RecipeError(
            f"{where}: expected the name of a user or an organization on the Hub, letters, digits and '-', got "
            f"{namespace!r}"
        )
