"""Recipes: what two conditions differ in, what is derived, and what each mistake is answered with."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tiny import run_inside
from transformers import TrainingArguments
from trl import GRPOConfig, SFTConfig

from domain_tokens.corpora.lessons.stories import ONE_PRODUCT
from domain_tokens.recipe import (
    GENERATOR_VERSION,
    RecipeError,
    accumulation_steps,
    flatten,
    load_prereg,
    load_recipe,
    loading,
    parse_arguments,
    to_dict,
    to_yaml,
)
from domain_tokens.tokenization.intervention import load_intervention

SCALES = [[], ["recipes/scales/demo.yaml"], ["recipes/scales/pilot.yaml"]]


@pytest.fixture(autouse=True)
def in_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def recipe_file(folder: Path, text: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("scale", SCALES, ids=["full", "demo", "pilot"])
def test_the_conditions_differ_in_condition_and_tokenizer_only(scale: list[str]) -> None:
    baseline, mul_tokens = (
        flatten(to_dict(load_recipe([f"recipes/{name}.yaml", *scale]))) for name in ("baseline", "mul_tokens")
    )
    assert {key for key in baseline | mul_tokens if baseline.get(key) != mul_tokens.get(key)} == {
        "condition",
        "tokenizer",
    }


@pytest.mark.parametrize("condition", ["baseline", "mul_tokens"])
def test_a_condition_is_three_lines(condition: str) -> None:
    assert len(Path(f"recipes/{condition}.yaml").read_text().splitlines()) == 3


def read_all(arguments: list[str], output_dir: Path) -> None:
    """Read a recipe and every trainer's section, with the precision of a machine without a GPU."""
    recipe = load_recipe(arguments)
    for kind, section in ((TrainingArguments, "pretrain"), (SFTConfig, "sft"), (GRPOConfig, "grpo")):
        values = getattr(recipe, section)
        on_cpu = {key: False if key == "bf16" else None for key in ("bf16", "tf32") if values.get(key) is True}
        parse_arguments(kind, values | on_cpu, section, {"output_dir": str(output_dir)})


@pytest.mark.parametrize("scale", SCALES, ids=["full", "demo", "pilot"])
def test_every_shipped_section_is_read_by_its_library(scale: list[str], tmp_path: Path) -> None:
    read_all(["recipes/mul_tokens.yaml", *scale], tmp_path)


def test_the_full_experiment_is_the_published_one() -> None:
    recipe = load_recipe(["recipes/mul_tokens.yaml"])
    assert recipe.pretrain["max_steps"] * recipe.budget.pretrain_tokens_per_step == 9_999_745_024
    expected = {
        "learning_rate": 6e-4, "warmup_steps": 715, "adam_beta1": 0.9, "adam_beta2": 0.95, "weight_decay": 0.1,
        "max_grad_norm": 1.0, "bf16": True, "per_device_train_batch_size": 64,
    }  # fmt: skip
    assert {key: recipe.pretrain[key] for key in expected} == expected
    assert recipe.pretrain["lr_scheduler_kwargs"] == {"min_lr_rate": 0.1}
    shape = {"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}
    assert {key: recipe.model[key] for key in shape} == shape


def test_overrides_reach_into_dictionaries_and_lists() -> None:
    recipe = load_recipe(
        ["recipes/mul_tokens.yaml", "pretrain.learning_rate=1e-5", "sft_stages.0.sources.0.path=here", "seed=3"]
    )
    assert (recipe.pretrain["learning_rate"], recipe.sft_stages[0].sources[0].path, recipe.seed) == (1e-5, "here", 3)


def test_what_one_recipe_says_is_not_in_the_next() -> None:
    changed = load_recipe(["recipes/baseline.yaml", "seed=3", "seeds.order=7", "corpus.sample=0.5"])
    assert (changed.seed, changed.seeds.order, changed.corpus.sample) == (3, 7, 0.5)
    usual = load_recipe(["recipes/baseline.yaml"])
    assert (usual.seed, usual.seeds.order, usual.corpus.sample) == (0, None, 1.0)


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe(["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", "seed=2"])
    assert load_recipe([recipe_file(tmp_path, to_yaml(recipe))]) == recipe


def test_extends_takes_a_list_and_the_later_wins(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("experiment: one\ncondition: c\ntokenizer: t\nseed: 1\n")
    (tmp_path / "two.yaml").write_text("seed: 2\n")
    recipe = load_recipe([recipe_file(tmp_path, "extends: [one.yaml, two.yaml]\nexperiment: ${condition}_x\n")])
    assert (recipe.experiment, recipe.seed) == ("c_x", 2)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("pretrain.max_stepz=3", ["pretrain.max_stepz", "max_steps"]),
        ("corpus.seeed=3", ["corpus.seeed", "seed"]),
        ("corpus.seed=abc", ["corpus.seed", "abc", "Integer"]),
        ("pretrain.learning_rate=-1", ["pretrain.learning_rate", "above 0", "-1"]),
        ("pretrain.learning_rate=abc", ["pretrain.learning_rate", "'abc'"]),
        ("pretrain.optim=sgdd", ["pretrain.optim", "sgdd"]),
        ("pretrain.save_steps=7.5x", ["pretrain.save_steps", "7.5x"]),
        ("pretrain.bf16=maybe", ["pretrain.bf16", "maybe"]),
        ("pretrain.gradient_accumulation_steps=2", ["pretrain.gradient_accumulation_steps", "budget"]),
        ("grpo.hub_token=abc", ["grpo.hub_token", "HF_TOKEN"]),
        ("grpo.temperature=0", ["grpo.temperature", "at least 0.01"]),
        ("seed=-1", ["seed", "-1"]),
        ("condition=a/b", ["condition", "a/b"]),
        ("corpus.validation_fraction=1.5", ["corpus.validation_fraction", "1.5"]),
        ("corpus.sample=0", ["corpus.sample", "above 0"]),
        ("corpus={sample: 0.5, per_seed: false}", ["corpus.sample", "per_seed: true"]),
        ("corpus.sources.0.kind=htp", ["corpus.sources", "kind", "hub"]),
        ("evaluation.tasks=[gsm9k]", ["evaluation.tasks", "gsm8k"]),
        ("evaluation.data.gsm8k.kind=web", ["evaluation.data.gsm8k.kind", "hub"]),
        ("evaluation.sampling.num_samples=1", ["evaluation.sampling", "num_samples"]),
        ("evaluation.repetition.no_repeat_bytes=1", ["evaluation.repetition.no_repeat_bytes", "at least 2"]),
        ("evaluation.repetition.penalty=0.9", ["evaluation.repetition.penalty", "at least 1"]),
        ("evaluation.models=[best]", ["evaluation.models", "sft_final"]),
        ("evaluation.models=[]", ["evaluation.models", "empty"]),
        ("evaluation.max_samples=0", ["evaluation.max_samples"]),
        ("corpus.sources.0.document_separator='('", ["document_separator"]),
        ("unknown=1", ["unknown"]),
        ("corpus=3", ["corpus"]),
        ("justakey", ["justakey", "key.path=value"]),
    ],
)
def test_a_mistake_is_named_with_its_key(override: str, parts: list[str], tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        read_all(["recipes/mul_tokens.yaml", override], tmp_path)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- a\n- b\n", "expected keys and values"),
        ("a: [1\n", "not readable as YAML"),
        ("seed: 1\nseed: 2\n", "duplicate"),
        ("extends: recipe.yaml\n", "extends itself"),
        ("extends: nowhere.yaml\n", "nowhere.yaml"),
        ("seed: 1\n", "experiment"),
    ],
)
def test_a_broken_file_is_named(text: str, part: str, tmp_path: Path) -> None:
    path = recipe_file(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe([path])
    assert part in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("per_step", "micro_batch", "num_processes", "expected"),
    [(524288, 65536, 8, 1), (524288, 65536, 1, 8), (512, 512, 1, 1), (64, 8, 2, 4)],
)
def test_accumulation_follows_from_the_budget(per_step, micro_batch, num_processes, expected) -> None:
    assert accumulation_steps(per_step, micro_batch, num_processes, "budget.x") == expected


@pytest.mark.parametrize(("per_step", "micro_batch", "num_processes"), [(524288, 65536, 3), (100, 8, 1), (4, 8, 1)])
def test_a_batch_that_does_not_divide_is_refused(per_step: int, micro_batch: int, num_processes: int) -> None:
    with pytest.raises(RecipeError, match=rf"budget\.x: {per_step} does not divide"):
        accumulation_steps(per_step, micro_batch, num_processes, "budget.x")


@pytest.mark.parametrize("script", ["prepare_data", "run_pretrain", "run_sft", "run_grpo", "run_eval"])
def test_every_script_explains_itself(script: str) -> None:
    done = run_inside(f"scripts/{script}.py", "--help")
    assert done.returncode == 0
    assert f"scripts/{script}.py" in done.stdout
    assert "RECIPE" in done.stdout


def test_a_users_mistake_ends_without_a_traceback(tiny: Callable[..., list[str]], root: Path) -> None:
    command = [sys.executable, "scripts/run_pretrain.py", *tiny("baseline", "pretrain.max_stepz=1")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 2
    assert done.stderr.startswith("error: pretrain.max_stepz")
    assert "Traceback" not in done.stderr


CONDITIONS = sorted(Path("recipes/conditions").glob("*.yaml"))
# Conditions that declare a setting outside the tokenizer, by its key.
DECLARED = {
    "mul_tokens_equal_text": "budget.equal_to", "mul_tokens_equal_flops": "budget.equal_to",
    "baseline_equal_text": "budget.equal_to", "mul_tokens_digit_rows": "fact_rows",
    "baseline_number_loss": "number_token_loss", "mul_tokens_frozen_rows": "lora",
}  # fmt: skip
PAIRS = {"mul_81": "baseline_81", "literal": "baseline_81", "mul_20": "baseline_210"}


@cache
def resolved(recipe: str) -> Mapping[str, object]:
    """Return a shipped recipe at the demo's size by dotted key. Baselines are compared with many conditions."""
    return flatten(to_dict(load_recipe([recipe, "recipes/scales/demo.yaml"])))


@pytest.mark.parametrize("path", CONDITIONS, ids=lambda path: path.stem)
def test_a_condition_differs_from_its_baseline_in_its_tokenizer_alone_or_in_what_it_declares(path: Path) -> None:
    partner = PAIRS.get(path.stem)
    baseline = f"recipes/conditions/{partner}.yaml" if partner else "recipes/baseline.yaml"
    if path.stem in PAIRS.values():
        baseline = str(path)
    ours, theirs = resolved(str(path)), resolved(baseline)
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    expected = {"condition", "tokenizer"}
    if path.stem == "baseline_again":
        expected = {"condition", "seed_offset"}
    if (declared := DECLARED.get(path.stem)) is not None:
        settings = {key for key in differing if key == declared or key.startswith(f"{declared}.")}
        assert settings
        differing -= settings
        expected -= {"tokenizer"} if path.stem.startswith("baseline") else set()
    assert differing == (expected if path.stem not in PAIRS.values() else set())
    assert ours["condition"] == path.stem
    sizes = [load_intervention(Path(str(resolved["tokenizer"]))).num_ids for resolved in (ours, theirs)]
    assert sizes[0] == sizes[1]


def test_every_shipped_intervention_has_a_recipe() -> None:
    recipes = [Path("recipes/baseline.yaml"), Path("recipes/mul_tokens.yaml"), *CONDITIONS]
    used = {Path(str(resolved(str(path))["tokenizer"])).name for path in recipes}
    assert used == {path.name for path in Path("recipes/interventions").glob("*.yaml")}


def test_what_answers_are_measured_as_stands_beside_the_recipe() -> None:
    assert load_recipe(["recipes/mul_tokens.yaml"]).canonical_table is None
    canonical_table = load_recipe(["recipes/conditions/mul_20.yaml"]).canonical_table
    assert load_intervention(Path(str(canonical_table))).name == "mul_20"


def test_an_offset_changes_the_training_seed_and_not_the_folder() -> None:
    recipe = load_recipe(["recipes/conditions/baseline_again.yaml", "seed=3"])
    assert (recipe.training_seed, recipe.run_dir.name) == (1003, "seed_3")
    with pytest.raises(RecipeError, match="seed_offset"):
        load_recipe(["recipes/baseline.yaml", "seed_offset=-1"])


def test_the_demo_declares_what_the_experiment_does_without_the_scenes() -> None:
    full = load_prereg(Path("recipes/prereg.yaml"))
    prereg = load_recipe(["recipes/baseline.yaml", "recipes/scales/demo.yaml"]).prereg
    assert prereg == "recipes/scales/demo_prereg.yaml"
    demo = load_prereg(Path(prereg))
    primary, *rest = [endpoint for endpoint in full.endpoints if endpoint.task != "hellaswag"]
    assert demo.endpoints == [replace(primary, group=ONE_PRODUCT), *rest]
    assert len(demo.endpoints) == len(full.endpoints) - 1
    assert demo.exclusions == [text for text in full.exclusions if "HellaSwag" not in text]
    assert demo.contrasts == full.contrasts | {"known loss": ["wrong_numbers", "baseline"]}
    changed = {"endpoints", "exclusions", "tasks_with_exclusions", "other_runs"}
    changed |= {"contrasts", "positive_control", "smallest_effect", "seeds"}
    same = [{key: value for key, value in vars(one).items() if key not in changed} for one in (demo, full)]
    assert same[0] == same[1]


def test_a_file_is_read_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that have not changed are converted once; nobody sees what another reader has done to the values."""
    path = tmp_path / "prereg.yaml"
    path.write_text("endpoints: [{model: grpo_final, task: b}]\nseeds: [0]\n")
    load_prereg(path).seeds.append(7)
    assert load_prereg(path).seeds == [0]
    path.write_text(path.read_text().replace("[0]", "[1]"))
    assert load_prereg(path).seeds == [1]
    path.write_text("name: ${oc.env:NAME_OF_MINE}\n")
    for name in ("one", "two"):
        monkeypatch.setenv("NAME_OF_MINE", name)
        assert load_intervention(path).name == name
    path.unlink()
    with pytest.raises(RecipeError, match="no such file"):
        load_prereg(path)


@pytest.mark.parametrize("name", ["prereg", "scales/demo_prereg", "scales/assay_prereg"])
def test_the_declared_bits_have_a_smallest_effect_that_bits_can_have(name: str) -> None:
    declared = load_prereg(Path(f"recipes/{name}.yaml"))
    assert declared.smallest_effect is not None
    assert declared.smallest_effect.scale in ("logit", "points")
    effects = [one.smallest_effect for one in declared.endpoints if one.task == "gold_bits"]
    assert effects
    assert all(effect is not None and effect.scale == "relative" for effect in effects)


def test_the_seed_of_a_run_seeds_its_data_unless_the_corpus_is_the_same_for_all() -> None:
    recipe = load_recipe(["recipes/baseline.yaml", "seed=3", "seed_offset=10", "corpus.seed=7"])
    assert (recipe.training_seed, recipe.data_seed) == (13, 13)
    assert recipe.corpus_dir == Path("outputs/gpt2_124m/exp_baseline/corpus_7")
    shared = load_recipe(["recipes/baseline.yaml", "seed=3", "corpus.seed=7", "corpus.per_seed=false"])
    assert (shared.training_seed, shared.data_seed) == (3, 7)


def test_each_of_three_seeds_is_the_runs_own_or_a_number_of_its_own() -> None:
    usual = load_recipe(["recipes/baseline.yaml", "seed=3", "seed_offset=10"])
    assert usual.seed_of == {"weights": 13, "order": 13, "sampling": 13}
    for name in usual.seed_of:
        moved = load_recipe(["recipes/baseline.yaml", "seed=3", "seed_offset=10", f"seeds.{name}=0"])
        assert moved.seed_of == usual.seed_of | {name: 0}
        assert moved.data_seed == (0 if name == "order" else 13)
        assert moved.run_dir == usual.run_dir
    with pytest.raises(RecipeError, match="seeds.wieghts.*did you mean 'weights'"):
        load_recipe(["recipes/baseline.yaml", "seeds.wieghts=7"])


@pytest.mark.parametrize("key", ["generator", "rules"])
def test_a_recipe_for_data_of_another_version_is_refused(key: str) -> None:
    assert load_recipe(["recipes/baseline.yaml", "generator=4", "rules=3"]).generator == GENERATOR_VERSION
    with pytest.raises(RecipeError, match=f"{key}: expected \\d, the version of this release, got 9; use the release"):
        load_recipe(["recipes/baseline.yaml", f"{key}=9"])


ENDPOINT = "{model: grpo_final, task: b}"
GOOD = "endpoints: [{model: grpo_final, task: b}]\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("endpoints: []", ["endpoints", "empty"]),
        (
            "endpoints: [{model: grpo_final, task: b}, {model: grpo_final, task: b}]\nseeds: [0]",
            ["endpoints", "twice"],
        ),
        (
            f"endpoints: [{ENDPOINT}, {ENDPOINT[:-1]}, smallest_effect: {{scale: relative, value: 0.1}}}}]",
            ["endpoints", "twice"],
        ),
        (
            "endpoints: [{model: grpo_final, task: b, smallest_effect: {scale: relative, value: 5}}]\nseeds: [0]",
            ["endpoints: smallest_effect.value", "5"],
        ),
        ("endpoints: [{model: grpo_final, task: b}]\nseeds: [0, 0]", ["seeds", "0 twice"]),
        ("endpoints: [{model: grpo_final, task: b}]\nseeds: [0]\nalpha: 5", ["alpha", "5"]),
        ("endpoints: [{model: grpo_final, tsk: b}]\nseeds: [0]", ["tsk"]),
        (
            "endpoints: [{model: grpo_final, task: b}]\nseeds: [0]\ncontrasts: {x: [a]}",
            ["contrasts.x", "two conditions"],
        ),
        ("endpoints: [{model: grpo_finel, task: b}]\nseeds: [0]", ["model", "did you mean 'grpo_final'"]),
        (f"{GOOD}contrasts: {{x: [a, b], y: [b, a]}}", ["contrasts.y", "the same two as 'x'"]),
        (f"{GOOD}other_runs: {{a*: {{kind: study, why: ' '}}}}", ["other_runs.a*.why", "empty"]),
    ],
)
def test_a_bad_declaration_stops_the_run_before_it_begins(text: str, named: list[str], tmp_path: Path) -> None:
    (tmp_path / "prereg.yaml").write_text(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(["recipes/baseline.yaml", f"prereg={tmp_path}/prereg.yaml"])
    assert all(part in str(error.value) for part in ("prereg.yaml", *named))


def test_the_shipped_declaration_names_tasks_and_models_that_the_recipe_evaluates() -> None:
    recipe = load_recipe(["recipes/baseline.yaml"])
    declared = load_prereg(Path(str(recipe.prereg)))
    assert {endpoint.task for endpoint in declared.endpoints} <= set(recipe.evaluation.tasks)
    assert {endpoint.model for endpoint in declared.endpoints} <= set(recipe.evaluation.models)


def test_a_section_that_yaml_writes_once_for_two_is_changed_in_one(root, tmp_path) -> None:
    shared = "evaluation: {data: {one: &mine {name: x, kind: synthetic, what: problems, max_items: 5}, two: *mine}}\n"
    given = [str(root / "recipes/baseline.yaml"), recipe_file(tmp_path, shared)]
    other = tmp_path / "other.yaml"
    other.write_text("evaluation: {data: {one: {kind: file, path: mine.jsonl}}}\n")
    data = load_recipe([*given, str(other)]).evaluation.data
    assert (data["one"].kind, data["one"].max_items) == ("file", None)
    assert (data["two"].kind, data["two"].max_items) == ("synthetic", 5)


def test_files_are_merged_as_omegaconf_merges_them(tmp_path: Path) -> None:
    """Sections key by key; a list, a single value and nothing take the place of what was there."""
    first = {"model": {"a": 1, "b": 2}, "pretrain": {"x": {"y": 1}, "z": [1, 2]}, "condition": "c", "seed": 1}
    second = {"model": {"b": None}, "pretrain": {"x": {"w": 2}, "z": [3]}, "prereg": None, "seed": 2}
    merged = loading._merge(deepcopy(first), deepcopy(second), "")
    assert merged == OmegaConf.to_container(OmegaConf.merge(first, second))
    assert merged["pretrain"] == {"x": {"y": 1, "w": 2}, "z": [3]}
    interpolated = {"model": "${pretrain.x}", **second}
    assert loading._merge(first, interpolated, "") == OmegaConf.to_container(OmegaConf.merge(first, interpolated))


def test_a_section_that_another_stands_for_is_merged_with_what_it_stands_for(root, tmp_path) -> None:
    one = "{name: x, kind: file, path: a.jsonl, max_items: 5}"
    same = recipe_file(tmp_path, f"evaluation: {{data: {{one: {one}, two: '${{evaluation.data.one}}'}}}}\n")
    more = tmp_path / "more.yaml"
    more.write_text("evaluation: {data: {two: {max_items: 3}}}\n")
    data = load_recipe([str(root / "recipes/baseline.yaml"), same, str(more)]).evaluation.data
    assert [(data[name].path, data[name].max_items) for name in ("one", "two")] == [("a.jsonl", 5), ("a.jsonl", 3)]


def test_what_a_source_generates_ends_with_its_being_generated(root, tmp_path) -> None:
    given = [str(root / "recipes/baseline.yaml"), str(root / "recipes/scales/demo.yaml")]
    before = load_recipe(given).evaluation.data["gsm8k"]
    assert (before.kind, before.what) == ("synthetic", "problems")
    assert before.max_items is not None
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("evaluation: {data: {gsm8k: {kind: file, path: mine.jsonl}}}\n")
    keys = ("evaluation.data.gsm8k.path=mine.jsonl", "evaluation.data.gsm8k.kind=file")
    for more in ([str(overlay)], keys, keys[::-1]):
        mine = load_recipe([*given, *more]).evaluation.data["gsm8k"]
        assert (mine.kind, mine.path, mine.what, mine.max_items) == ("file", "mine.jsonl", "text", None)
    kept = load_recipe([*given, "evaluation.data.gsm8k.max_items=7", str(overlay)]).evaluation.data["gsm8k"]
    assert kept.max_items == 7
    more = load_recipe([*given, "evaluation.data.gsm8k.max_items=9"]).evaluation.data["gsm8k"]
    assert (more.kind, more.what, more.max_items) == ("synthetic", "problems", 9)


def test_arguments_of_a_schedule_end_with_it(root, tmp_path) -> None:
    base, linear = root / "recipes/baseline.yaml", "pretrain.lr_scheduler_type=linear"
    overlay = tmp_path / "wsd.yaml"
    overlay.write_text(
        "pretrain: {lr_scheduler_type: warmup_stable_decay, lr_scheduler_kwargs: {num_decay_steps: 9}}\n"
    )

    def kwargs(*arguments: str) -> object:
        return load_recipe([str(base), *arguments]).pretrain.get("lr_scheduler_kwargs")

    assert kwargs("pretrain.lr_scheduler_type=cosine_with_min_lr") == kwargs() == {"min_lr_rate": 0.1}
    assert kwargs(linear) is None
    assert kwargs("pretrain.lr_scheduler_kwargs.num_decay_steps=5", "pretrain.lr_scheduler_type=wsd") == {
        "num_decay_steps": 5
    }
    assert kwargs(str(overlay)) == {"num_decay_steps": 9}
    assert kwargs(str(overlay), linear) is None


WHOLE = [
    ["recipes/baseline.yaml"],
    ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", "evaluation.max_samples=7", "lora={rank: 4}"],
    ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml", "grpo_prompts=[]", "prereg=null"],
    ["recipes/mul_tokens.yaml", "experiment=mine", "output_dir=~/${experiment}", "lora=null"],
]


@pytest.mark.parametrize("arguments", WHOLE, ids=["a file", "overrides", "lists", "interpolated"])
def test_a_recipe_in_sections_is_the_whole_one(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    by_section, in_sections = loading._by_section, []

    def spy(*given: object) -> object:
        in_sections.append(by_section(*given))
        return in_sections[-1]

    monkeypatch.setattr(loading, "_by_section", spy)
    found = [load_recipe(arguments) for _ in range(2)]  # the second time, every section is known
    assert len(in_sections) == 2
    assert None not in in_sections
    monkeypatch.setattr(loading, "_by_section", lambda *_: None)
    whole = load_recipe(arguments)
    assert found == [whole, whole]
    assert repr(found[1]) == repr(whole)  # 1 is not 1.0


def test_recipes_that_say_the_same_share_no_section() -> None:
    arguments = ["recipes/mul_tokens.yaml", "recipes/scales/demo.yaml"]
    one, other = load_recipe(arguments), load_recipe(arguments)
    one.corpus.sources.clear()
    one.evaluation.tasks.append("x")
    one.sft_stages[0].name = "x"
    one.pretrain["max_steps"] = -5
    assert load_recipe(arguments) == other != one
