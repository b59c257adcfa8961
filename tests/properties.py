"""How hard property tests search: one profile for every run, one small one for the inner loop, one for the night.

`HYPOTHESIS_PROFILE` chooses: `ci` (the default; the same examples every time, so that more would find nothing new the
next time), `dev` (a sixth of them) or `nightly` (sixteen times as many, other ones each time; a failure prints how to
repeat it). None keeps a database of examples, so a test run leaves nothing in the checkout.
"""

import os

from hypothesis import HealthCheck, configuration, settings

SCALES = {"dev": 0.1, "ci": 0.6, "nightly": 10.0}
DEFAULT_EXAMPLES = 100

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")


def examples(number: int) -> int:
    """Return how many examples the profile tries of a usual `number`: for `settings(max_examples=...)`."""
    return max(5, round(number * SCALES[PROFILE]))


def load_profile(storage: str) -> None:
    """Load the profile of `HYPOTHESIS_PROFILE`; what hypothesis computes about Unicode is kept in `storage`.

    Raises:
        ValueError: if there is no such profile.
    """
    if PROFILE not in SCALES:
        raise ValueError(f"HYPOTHESIS_PROFILE is {PROFILE!r}; expected one of {', '.join(SCALES)}")
    configuration.set_hypothesis_home_dir(storage)
    is_random = PROFILE == "nightly"
    settings.register_profile(
        PROFILE,
        derandomize=not is_random,
        database=None,
        deadline=None,
        max_examples=examples(DEFAULT_EXAMPLES),
        print_blob=is_random,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile(PROFILE)
