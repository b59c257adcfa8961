"""Each invariant of the comparison, broken: training does not begin, and the message says what is wrong and where."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast, TrainingArguments

from domain_tokens.corpora.sources import describe
from domain_tokens.recipe import Recipe, RecipeError, flatten, load_recipe
from domain_tokens.runs.layout import PLAN, stage_paths
from domain_tokens.runs.records import SourceRecord
from domain_tokens.runs.stage_folder import StageFolder
from domain_tokens.training import stage
from domain_tokens.training.model import new_model, weights_sha256
from domain_tokens.training.preflight import check_no_leak, check_others, invariant, preflight

pytestmark = pytest.mark.invariants
Run = Callable[..., "Begun"]


class Begun:
    """A run that is about to take its first step of pretraining, of a real recipe, tokenizer and model."""

    def __init__(self, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        self.paths = stage_paths(recipe)["pretrain"]
        self.work, self.folder = self.paths.work, self.paths.final
        model = new_model(recipe, len(tokenizer))
        self.config = model.config
        arguments = stage.build_arguments(TrainingArguments, recipe, "pretrain", recipe.pretrain, self.work, 1)
        self.matched = stage.matched_settings(recipe, "pretrain", model, arguments) | {
            "steps": arguments.max_steps,
            "tokens_per_step": 256,
            "flops": 1e9,
            "initial_weights_sha256": weights_sha256(model),
            "documents_sha256": "d" * 64,
            "document_order_sha256": "o" * 64,
        }
        self.sources = [SourceRecord.model_validate(describe(source)) for source in recipe.corpus.sources]

    def check(self) -> None:
        preflight(self.recipe, self.paths, self.tokenizer, self.config, self.matched, self.sources)

    def refusal(self) -> str:
        with pytest.raises(RecipeError) as caught:
            self.check()
        return str(caught.value)

    def finish(self) -> Path:
        """Leave the manifest of a run that has been trained; returns it."""
        with StageFolder("pretrain", self.folder, {}).writing(self.recipe) as (_, manifest):
            manifest["matched"] = self.matched
            manifest["reported"] = {"seed_offset": self.recipe.seed_offset}
        return self.folder / "manifest.json"


@pytest.fixture
def run(tiny: Callable[..., list[str]], tokenizers: dict[str, PreTrainedTokenizerFast]) -> Run:
    """A function from a condition and overrides to a run of one experiment that is about to begin."""
    return lambda condition, *overrides: Begun(load_recipe(tiny(condition, *overrides)), tokenizers[condition])


def test_a_run_alone_begins_and_so_does_one_of_equal_conditions(run: Run) -> None:
    one, two = run("baseline"), run("mul_tokens")
    one.check()
    one.finish()
    two.check()
    two.check()  # and again, when it is resumed


def test_declared_budgets_begin_beside_each_other_and_let_nothing_else_differ(run: Run) -> None:
    usual, text, flops = run("baseline"), run("mul_tokens"), run("mul_tokens", "condition=of_flops")
    for one, measure, steps in ((text, "text", 3), (flops, "flops", 5)):
        declared = {"measure": measure, "reference": "baseline", "measured_on": "mul_tokens"}
        one.matched = {**one.matched, "settings": {"equal_to": declared}, "steps": steps, "flops": 1e8 * steps}
    for one in (usual, text, flops):
        one.check()
        one.finish()
    flops.matched = {**flops.matched, "tokens_per_step": 999}
    assert "preflight, compute: tokens_per_step is 999 in " in flops.refusal()
    text.matched = {**text.matched, "settings": {}}
    assert "steps is 3 in " in text.refusal()


def test_vocabulary_of_the_model(run: Run) -> None:
    one = run("mul_tokens")
    one.config.vocab_size = 50257
    message = one.refusal()
    assert message.startswith("preflight, vocabulary: model.config.vocab_size is 50257 in ")
    assert " and 50349 in " in message
    assert "recipes/interventions/mul_tokens.yaml; " in message


def test_vocabulary_of_another_intervention(run: Run, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    one = run("mul_tokens")
    one.tokenizer = tokenizers["baseline"]
    assert one.refusal().startswith("preflight, vocabulary: intervention.name is 'none' in ")


def test_vocabulary_whose_facts_stand_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    one = run("mul_tokens")
    tokens = one.tokenizer.convert_ids_to_tokens(list(range(50304, 50349)))
    tokens[0], tokens[1] = tokens[1], tokens[0]
    monkeypatch.setattr(one.tokenizer, "convert_ids_to_tokens", lambda ids: tokens)
    assert one.refusal().startswith("preflight, vocabulary: id.50304 is '<MUL_1_2_2>' in ")


def test_architecture_of_the_recipe(run: Run) -> None:
    one = run("baseline")
    one.config.n_layer = 3
    assert one.refusal().startswith("preflight, architecture: model.n_layer is 3 in ")


@pytest.mark.parametrize(
    ("name", "override", "field"),
    [
        ("architecture", "model.n_embd=32", "architecture.n_embd"),
        ("compute", "pretrain.max_steps=5", "trainer.max_steps"),
        ("optimizer", "pretrain.learning_rate=0.001", "trainer.learning_rate"),
        ("optimizer", "pretrain.warmup_steps=2", "trainer.warmup_steps"),
        ("optimizer", "pretrain.adam_beta2=0.9", "trainer.adam_beta2"),
        ("seeds", "seed_offset=1000", "trainer.data_seed"),
        ("seeds", "seeds.weights=7", "seeds.weights"),
        ("seeds", "seeds.order=7", "trainer.data_seed"),
        ("seeds", "seeds.sampling=7", "trainer.seed"),
    ],
)
def test_another_recipe_than_the_other_condition(run: Run, name: str, override: str, field: str) -> None:
    one, two = run("baseline"), run("mul_tokens", override)
    one.finish()
    if override == "seed_offset=1000":  # as if a run with another seed called itself a run with this one
        two.recipe.seed_offset = 0
    message = two.refusal()
    found = {flatten(side.matched)[field] for side in (one, two)}
    assert len(found) == 2
    assert message.startswith(f"preflight, {name}: ")
    assert f"{field} is {flatten(two.matched)[field]!r} in {two.folder} and " in message
    assert f" and {flatten(one.matched)[field]!r} in {one.folder}; " in message or name == "architecture"
    assert f"remove {one.folder} first" in message


def test_every_field_of_a_manifest_is_compared_and_belongs_to_an_invariant(run: Run) -> None:
    manifest, two = run("baseline").finish(), run("mul_tokens")
    others = two.recipe, two.paths, two.matched
    kept = json.loads(manifest.read_text())
    fields = flatten(kept["matched"])
    assert len(fields) > 100
    for field in fields:
        changed = json.loads(json.dumps(kept))
        place = changed["matched"]
        *parents, last = field.split(".")
        for key in parents:
            place = place[key]
        place[last] = "another"
        manifest.write_text(json.dumps(changed))
        if field == "architecture.vocab_size":
            check_others(*others)  # a condition of another vocabulary is never compared with this one
            continue
        with pytest.raises(RecipeError, match=f"preflight, {invariant(field)}: {re.escape(field)} is "):
            check_others(*others)
    manifest.write_text(json.dumps(kept))
    check_others(*others)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("num_parameters", "architecture"),
        ("stages.0.trainer.bf16", "optimizer"),
        ("trainer.tf32", "optimizer"),
        ("trainer.lr_scheduler_kwargs.min_lr_rate", "optimizer"),
        ("stages.1.trainer.data_seed", "seeds"),
        ("seed", "seeds"),
        ("seeds.weights", "seeds"),
        ("stages.0.example_order_sha256", "data"),
        ("documents_sha256", "data"),
        ("stages.0.examples_per_step", "compute"),
        ("completions_per_step", "compute"),
        ("trainer.per_device_train_batch_size", "compute"),
        ("num_processes", "compute"),
    ],
)
def test_the_invariant_that_a_field_belongs_to(field: str, name: str) -> None:
    assert invariant(field) == name


def test_all_that_differs_is_hinted_at_and_the_first_invariant_leads(run: Run) -> None:
    one, two = run("baseline"), run("mul_tokens", "pretrain.weight_decay=0.2", "pretrain.max_steps=9")
    one.finish()
    message = two.refusal()
    assert message.startswith("preflight, compute: trainer.max_steps is 9 in ")
    assert "(also different: steps, trainer.weight_decay)" in message


def test_a_repetition_with_declared_seeds_begins(run: Run) -> None:
    one, again = run("baseline"), run("baseline", "condition=again", "seed_offset=1000")
    one.finish()
    assert one.matched["initial_weights_sha256"] != again.matched["initial_weights_sha256"]
    again.check()
    again.matched["steps"] = 5
    assert again.refusal().startswith("preflight, compute: steps is 5")


def test_of_two_that_begin_at_once_the_second_sees_the_first(run: Run) -> None:
    one, two = run("baseline"), run("mul_tokens", "pretrain.learning_rate=0.001")
    one.check()
    message = two.refusal()
    assert f"and 0.005 in {one.work}; " in message
    assert not (two.work / PLAN).exists()
    one.check()  # the run that did not begin is not in the way of the one that did
    shutil.rmtree(one.work)  # what the message says to do if the other one is to be made anew
    two.check()


def test_what_a_finished_run_records_counts_and_not_what_it_began_with(run: Run) -> None:
    one, two = run("baseline", "pretrain.max_steps=5"), run("mul_tokens")
    one.check()
    one.matched = one.matched | run("baseline").matched
    one.finish()
    two.check()


def test_a_manifest_of_an_older_version_is_no_partner(run: Run) -> None:
    one, two = run("baseline"), run("mul_tokens")
    del one.matched["architecture"]
    one.finish()
    assert "preflight, vocabulary: architecture.vocab_size is 50349 in" in (message := two.refusal())
    assert "and '(absent)' in" in message


@pytest.mark.parametrize("other", ["seed=1", "experiment=another"])
def test_other_seeds_and_experiments_are_not_looked_at(run: Run, other: str) -> None:
    run("baseline", other, "pretrain.max_steps=5").finish()
    run("mul_tokens").check()


def test_a_file_that_is_evaluated_on_is_not_trained_on(run: Run, tmp_path: Path) -> None:
    test_set, renamed = tmp_path / "test.jsonl", tmp_path / "notes.jsonl"
    test_set.write_text('{"question": "How many?", "answer": "#### 1"}\n')
    shutil.copy(test_set, renamed)
    source = f"evaluation.data.gsm8k={{name: test, kind: file, path: {test_set}}}"
    one = run("mul_tokens", f"corpus.sources.0={{name: notes, kind: file, path: {renamed}}}")
    one.check()
    one.recipe = run("mul_tokens", source).recipe  # evaluated on since its corpus was prepared
    message = one.refusal()
    assert message.startswith("preflight, data: source notes is 'sha256 ")
    assert "evaluation.data.gsm8k; evaluation data must not be used for training" in message
    test_set.unlink()
    one.check()  # data that is not here yet is asked for when it is needed


def test_a_data_set_of_the_hub_that_is_evaluated_on_is_not_trained_on(run: Run) -> None:
    where = "kind: hub, path: Rowan/hellaswag, split:"
    one = run("baseline", f"evaluation.data.hellaswag={{name: h, {where} validation}}")
    train, validation = (
        SourceRecord.model_validate(
            describe(run("baseline", f"corpus.sources.0={{name: h, {where} {split}}}").recipe.corpus.sources[0])
        )
        for split in ("train", "validation")
    )
    check_no_leak(one.recipe, one.folder, [train])
    with pytest.raises(RecipeError, match="data: source h is 'Rowan/hellaswag"):
        check_no_leak(one.recipe, one.folder, [validation])
