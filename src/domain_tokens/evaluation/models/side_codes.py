"""The codes of the side record that an evaluation uses: what training taught about spellings, and nothing else."""

from dataclasses import replace
from functools import partial

from domain_tokens.corpora.documents import neutralize
from domain_tokens.corpora.examples import read_examples
from domain_tokens.corpora.held_out import Known, gate_of, kept_rows, refuse_test_data
from domain_tokens.recipe import Recipe, RecipeError
from domain_tokens.runs.layout import SIDE_CODE
from domain_tokens.runs.records import SideCodeRecord, read_record
from domain_tokens.tokenization.contract import intervention_of, load_tokenizer
from domain_tokens.tokenization.prompts import render_prompt
from domain_tokens.tokenization.rewriter import rewriter_of
from domain_tokens.tokenization.side_record.code import SideCode
from domain_tokens.tokenization.side_record.record import record_of

_MOST_EXAMPLES = 20_000  # of a source; more would teach a few hundred contexts nothing


def corpus_side_code(recipe: Recipe) -> SideCode:
    """Read what the corpus of a run's condition taught.

    Raises:
        RecipeError: if the file is missing or damaged.
    """
    path = recipe.corpus_dir / SIDE_CODE
    if not path.is_file():
        raise RecipeError(f"{path}: no such file; run scripts/prepare_data.py with the same recipe first")
    return SideCode.of(read_record(path, SideCodeRecord))


def answer_side_code(recipe: Recipe) -> SideCode:
    """Return the code of answers: what the corpus taught, and then the examples of the fine-tuning stages.

    Raises:
        RecipeError: as `corpus_side_code`, or if examples are missing, damaged or those of a test set.
    """
    code = corpus_side_code(recipe)
    intervention = intervention_of(load_tokenizer(recipe.tokenizer_dir))
    if not intervention.entries():
        return code
    rewriter = rewriter_of(intervention)
    known: Known = {}
    for stage in recipe.sft_stages:
        where = f"sft_stages.{stage.name}"
        refuse_test_data(recipe, stage.portions, where, known=known)
        keep = partial(kept_rows, gate_of(recipe, where, stage.portions, known=known))
        for source in stage.portions:
            limit = min(source.max_items or _MOST_EXAMPLES, _MOST_EXAMPLES)
            limited = replace(source, max_items=limit)
            for example in read_examples(limited, recipe.data_seed, "train", f"{where}.{source.name}", keep=keep):
                for question, answer in example.exchanges:
                    text = f"{render_prompt(neutralize(question)[0])} {neutralize(answer)[0].strip()}"
                    rewriting = rewriter.rewrite(text)
                    code.learn(rewriting.text, record_of(rewriting, intervention))
    return code
