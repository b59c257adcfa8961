"""Groups the repositories of an experiment in a collection, where the Hub has collections."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from domain_tokens.publishing.contents import Contents
from domain_tokens.publishing.problems import HubProblem, hub_problems

if TYPE_CHECKING:
    from huggingface_hub import HfApi

logger = logging.getLogger(__name__)

_LONGEST_TITLE = 59  # the Hub's limit


def group(api: "HfApi", namespace: str, experiment: str, contents: Sequence[Contents], *, private: bool) -> None:
    """Put repositories into the experiment's collection, which is made if there is none. No failure stops a push.

    Args:
        api (`HfApi`): the Hub.
        namespace (`str`): whose collection it is.
        experiment (`str`): its title.
        contents (`Sequence[Contents]`): what was pushed.
        private (`bool`): whether a collection that is made is private.
    """
    items = dict.fromkeys((one.repository, one.kind) for one in contents)
    try:
        with hub_problems(f"the collection {experiment} of {namespace}", "push again to group the repositories"):
            found = api.create_collection(
                experiment[:_LONGEST_TITLE], namespace=namespace, private=private, exists_ok=True
            )
            there = {(item.item_id, item.item_type) for item in found.items}
            for repository, kind in items:
                if (repository, kind) not in there:
                    api.add_collection_item(found.slug, repository, kind, exists_ok=True)
    except HubProblem as problem:
        logger.warning("%s; the repositories themselves are complete", problem)
        return
    logger.info("collection: %s", found.slug)
