"""Problems in the manner of GSM8K, written for this project: for the page of examples and for tests."""

from collections.abc import Iterator
from itertools import islice

from domain_tokens.corpora.renumbering.variants import Problem, variants

SAMPLES = (
    Problem(
        "boxes",
        "Mira packs three crates with 6 jars of honey each. Each jar sells for $4.50. If she gives 2 jars to a "
        "neighbour and sells the rest, how many dollars does she earn?",
        "Mira packs 3*6 = <<3*6=18>>18 jars.\nShe sells 18-2 = <<18-2=16>>16 jars.\n"
        "She earns 16*4.50 = $<<16*4.5=72>>72.\n#### 72",
    ),
    Problem(
        "school",
        "A school has 1,200 pupils. 35% of them come by bus, and twice as many of the rest walk as cycle. Half of the "
        "200 teachers come by train. How many pupils do not come by bus?",
        "By bus come 1200*35/100 = <<1200*35/100=420>>420 pupils.\n"
        "The other 1200-420 = <<1200-420=780>>780 pupils do not.\n#### 780",
    ),
    Problem(
        "ages",
        "Omar is 12 years old. His aunt is three times as old as Omar. How old will his aunt be in 8 years?",
        "His aunt is 12*3 = <<12*3=36>>36 years old.\nIn 8 years she will be 36+8 = <<36+8=44>>44 years old.\n#### 44",
    ),
    Problem(
        "race",
        "Ines runs 24 laps, which is twice as many laps as Jon runs. An 8-minute lap is slow for both of them. How "
        "many laps do they run altogether?",
        "Jon runs 24/2 = <<24/2=12>>12 laps.\nAltogether they run 24+12 = <<24+12=36>>36 laps.\n#### 36",
    ),
    Problem(
        "week",
        "A bakery sells 45 loaves a day and is closed on Sundays. On Friday it sells 15 loaves more than on other "
        "days. How many loaves does it sell on Friday and Saturday?",
        "On Friday it sells 45 + 15 = <<45+15=60>>60 loaves.\n"
        "On both days it sells 60 + 45 = <<60+45=105>>105 loaves.\n#### 105",
    ),
)


def examples(num_examples: int, seed: int) -> Iterator[str]:
    """Yield variants of the problems above, one of each in turn."""
    each = -(-num_examples // len(SAMPLES))
    found = [variants(problem, seed, each, lambda answer, final: True) for problem in SAMPLES]
    turns = (f"{one.question}\n{one.answer}" for turn in zip(*found, strict=True) for one in turn)
    return islice(turns, num_examples)
