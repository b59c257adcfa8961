"""Whether a model of one condition can go on as another: no row may stand for two tokens."""

import json
from pathlib import Path

import pytest

from domain_tokens.recipe import RecipeError
from domain_tokens.tokenization.intervention import load_intervention
from domain_tokens.tokenization.vocabulary import Vocabulary, read_vocabulary, vocabulary

FOLDER = Path(__file__).parents[2] / "recipes/interventions"


def of(name: str, base: object = "gpt2") -> Vocabulary:
    return vocabulary(base, load_intervention(FOLDER / f"{name}.yaml"))


@pytest.mark.parametrize("other", ["mul_tokens", "mul_bare", "canon_bare", "placebo", "single_digit"])
def test_reserved_ids_may_become_tokens_and_the_reverse(other: str) -> None:
    plain, tokens = of("none"), of(other)
    assert plain.tokens == ()
    assert plain.num_ids == tokens.num_ids
    assert plain.conflict(tokens) is None
    assert tokens.conflict(plain) is None


@pytest.mark.parametrize("same", ["mul_tokens_strict", "mul_tokens_answers", "mul_tokens_no_x"])
def test_other_rules_for_the_same_tokens_fit(same: str) -> None:
    assert len(of(same).tokens) == 45
    assert of("mul_tokens").conflict(of(same)) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ("mul_tokens", "mul_81", "numbers of rows after the base's differ (81 there, 45 here)"),
        ("none", "none_81", "numbers of rows"),
        ("mul_tokens", "mul_tokens_permuted", "stands for <MUL_"),
        ("mul_tokens", "mul_tokens_space", "row 0 after the base's stands for  <MUL_1_1_1> there and for <MUL_1_1_1>"),
        ("mul_tokens", "mul_bare", "row 0 after the base's stands for <MUL_1_1> there and for <MUL_1_1_1> here"),
        ("mul_tokens", "placebo", "row 0 after the base's stands for <"),
    ],
)
def test_what_does_not_fit_is_named(ours: str, theirs: str, message: str) -> None:
    conflict = of(ours).conflict(of(theirs))
    assert conflict is not None
    assert message in conflict
    assert of(theirs).conflict(of(ours)) is not None


def test_another_base_does_not_fit() -> None:
    conflict = of("none").conflict(of("mul_tokens", "trained"))
    assert conflict == "the base vocabularies differ (trained there, gpt2 here)"


def test_a_saved_tokenizer_says_what_its_ids_stand_for(tokenizer_dirs: dict[str, Path], tmp_path: Path) -> None:
    for condition, name in (("baseline", "none"), ("mul_tokens", "mul_tokens")):
        found = read_vocabulary(tokenizer_dirs[condition])
        assert found.tokens == of(name).tokens
        assert found.num_ids == 45
    assert read_vocabulary(tokenizer_dirs["baseline"]).base == read_vocabulary(tokenizer_dirs["mul_tokens"]).base
    with pytest.raises(RecipeError, match=r"tokenizer_config.json: no such file"):
        read_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 8}))
    with pytest.raises(RecipeError, match="no tokenizer of this experiment"):
        read_vocabulary(tmp_path)
