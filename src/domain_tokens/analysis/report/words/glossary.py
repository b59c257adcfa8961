"""What the words mean that tables use without saying it; docs/STATISTICS.md has the same list."""

from typing import Final

WORDS: Final = {
    "site": (
        "a place in a text that states, or seems to state, a fact of the table, such as `6 * 9` or `6*9=54`; a "
        "condition's tokenizer rewrites some of them"
    ),
    "weak, strict": (
        "two rules for which sites a tokenizer rewrites: a weak one rewrites the product with or without its result, "
        "a strict one only where the right result is stated"
    ),
    "fact token": "a token that stands for a product with its result, such as `<MUL_6_9_54>`",
    "gold bits": (
        "how many bits per byte a model needs for a problem's right worked solution, given the question; fewer mean "
        "that it finds the solution likelier"
    ),
    "record": (
        "the side record: how the original text spelled what a tokenizer rewrote; its bits are counted in the upper "
        "end of a loss, since a model of the rewritten text does not have to predict them"
    ),
    "cluster": "items that share a template and its numbers, and so count as one question asked several times",
    "floor": (
        "the accuracy if each question of a problem were given the same run's answers to the problem's other "
        "questions; what a model reaches that writes numbers of the problem whatever the question says"
    ),
    "taught": (
        "of a question: it is in every split of the generated text, as the times table is, so that a right answer "
        "shows what was learned and says nothing about questions that no training text holds"
    ),
    "crossed": (
        "of a test: it treats training runs (seeds) and questions (items) as two samples at once, so that the result "
        "should hold for other runs and other questions; of an encoding: a question encoded as another condition's "
        "tokenizer would"
    ),
    "main comparison": (
        "a contrast between two conditions that was declared to be tested first; other endpoints and contrasts are "
        "tested only if a main comparison shows a difference"
    ),
    "p (family)": (
        "the p-value corrected for all tests of the declared family, on which the verdict rests; a dash means that "
        "the row is not in the family"
    ),
    "p (Holm)": (
        "the p-value corrected, by Holm's method, for the number of rows of the table alone; exploratory, no verdict "
        "rests on it"
    ),
    "detectable": (
        "the smallest true difference that the test would find with the declared power; a smaller one may exist and "
        "be missed"
    ),
    "equivalent": "the difference is shown to be smaller than the smallest effect that was declared to matter",
    "positive control": (
        "a contrast or a way of evaluating that is known to change the primary endpoint; if it does not move it here, "
        "a result that finds nothing says nothing"
    ),
    "not sensitive": (
        "the comparison found nothing and could not have found enough: its power for the smallest effect is below the "
        "declared one, or the positive control does not move, or was not run"
    ),
    "exploratory": "not declared in advance, or run otherwise than declared, so no test and no verdict",
    "plateau": "the end of a training curve at which more training no longer improves it by an amount that matters",
}
"""The words and their meanings, each half a sentence."""
