"""`scripts/preregister.py`: freezes, refuses a contradiction with both ways out, and amends."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import ROOT, tiny_arguments

from domain_tokens.cli.preregister import main
from domain_tokens.experiment.preregister import bind, content_of, describe_frozen, preview_bind, refuse_contradictions
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.preregistration import FrozenContent, content_differences, freeze, read_frozen

Run = Callable[..., tuple[int, str, str]]
FEW = (
    "evaluation.tasks=[gsm8k]", "evaluation.ablation_tasks=[]", "evaluation.encoding_tasks=[]",
    "evaluation.sampling.tasks=[]", "evaluation.checkpoint_tasks=[]",
)  # fmt: skip


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A function that returns the arguments of a tiny recipe that declares one seed, with overrides."""
    monkeypatch.chdir(ROOT)
    declared = tmp_path / "declared.yaml"
    declared.write_text("endpoints: [{model: grpo_final, task: gsm8k}]\nseeds: [0]\n")
    return lambda *overrides: tiny_arguments(
        tmp_path / "outputs", "mul_tokens", f"prereg={declared}", *FEW, *overrides
    )


@pytest.fixture
def run(arguments: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Run:
    """A function that runs the command and returns its exit code and output."""

    def call(*options: str, overrides: tuple[str, ...] = ()) -> tuple[int, str, str]:
        recipe, overlay, *settings = arguments(*overrides)
        command = ["preregister.py", recipe, "--overlay", overlay, *options, "--set", *settings]
        monkeypatch.setattr(sys, "argv", command)
        code = 0
        try:
            main("what it does")
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return call


def test_it_says_with_what_power_conditions_are_compared(
    arguments: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    recipe, overlay, *settings = arguments()
    both = [recipe, "recipes/baseline.yaml", "--overlay", overlay, "--dry-run", "--set", *settings]
    monkeypatch.setattr(sys, "argv", ["preregister.py", *both])
    main("what it does")
    out = capsys.readouterr().out
    assert "baseline: " in out
    assert "power: not known, since no smallest effect is declared" in out


def test_it_freezes_refuses_a_contradiction_and_amends(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "tiny"
    code, out, _ = run("--dry-run")
    assert code == 0
    assert "gsm8k: 8 items" in out
    assert "nothing was written (--dry-run)" in out
    assert not folder.exists()
    for _ in range(2):  # the same command again changes nothing
        code, out, _ = run()
        assert code == 0
        assert str(folder / "preregistration.json") in out
    frozen = read_frozen(folder)
    assert frozen is not None
    assert frozen.original.time_utc in out
    other = ("sft.learning_rate=0.5",)
    code, out, error = run(overrides=other)
    assert (code, out) == (2, "")
    for part in ("sft.learning_rate: 0.002 frozen, 0.5 used (mul_tokens)", "--amend", "experiment=NAME"):
        assert part in error
    assert "--amend: nothing differs" in run("--amend", "why")[2]
    assert read_frozen(folder) == frozen
    code, out, _ = run("--amend", "it diverged", overrides=other)
    assert code == 0
    assert "changed: sft.learning_rate: 0.002 frozen, 0.5 used (mul_tokens)" in out
    amended = read_frozen(folder)
    assert amended is not None
    assert (amended.original, amended.amendments[0].reason) == (frozen.original, "it diverged")


def test_a_reason_is_needed_and_a_record_changed_by_hand_is_refused(run: Run, tmp_path: Path) -> None:
    assert "--amend: empty; expected the reason" in run("--amend", " ")[2]
    assert r"--amend: expected printable characters in one line, got 'a\x1b[2J'" in run("--amend", "a\x1b[2J")[2]
    assert "no such file; freeze first, without --amend" in run("--amend", "why")[2]
    run()
    path = tmp_path / "outputs/tiny/preregistration.json"
    path.write_text(path.read_text().replace('"num_items": 8', '"num_items": 7'))
    code, _, error = run()
    assert code == 2
    assert "changed by hand (its hashes do not fit); restore it from a copy" in error


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_the_record_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    code, _, error = run()
    assert code == 2
    assert f"error: output_dir: {tmp_path / 'outputs'} is a file; expected a folder" in error
    (tmp_path / "outputs").unlink()
    (tmp_path / "outputs/tiny/preregistration.json").mkdir(parents=True)
    code, _, error = run()
    assert (code, "preregistration.json: damaged" in error) == (2, True)


def test_other_code_can_be_amended_and_is_announced(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    monkeypatch.setattr("domain_tokens.experiment.preregister.CODE_SHA256", "f" * 64)
    code, out, _ = run("--amend", "a mended reward")
    assert code == 0
    assert "changed: the code that trains" in out
    frozen = read_frozen(tmp_path / "outputs/tiny")
    assert frozen is not None
    assert frozen.latest.code_sha256 == "f" * 64
    now = frozen.original.content
    line = describe_frozen(tmp_path / "outputs/tiny", frozen, now, [0], is_new=False)
    assert "note: the code that trains differs from what was frozen" in line


def test_conditions_of_one_comparison_have_one_declaration(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text((tmp_path / "declared.yaml").read_text())
    assert content_of([arguments(), arguments("condition=second")], [0]).conditions.keys() == {"mul_tokens", "second"}
    with pytest.raises(RecipeError, match=r"prereg: expected .*declared\.yaml, as in .*, got .*other\.yaml"):
        content_of([arguments(), arguments("condition=second", f"prereg={other}")], [0])


def test_whatever_defines_the_run_or_the_measurement_is_frozen(
    arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    rows = [{"question": f"What is {number} plus 1?", "answer": f"#### {number + 1}"} for number in range(12)]
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row | {"from": name}) + "\n" for row in rows))
    sources = (
        f"evaluation.data.gsm8k={{name: q, kind: file, path: '{tmp_path}/test.jsonl'}}",
        f"sft_stages.0.sources.0={{name: own, kind: file, path: '{tmp_path}/train.jsonl'}}",
    )
    first = content_of([arguments(*sources)], [0])
    frozen, _ = freeze(tmp_path / "tiny", first)
    assert frozen.latest.conditions["mul_tokens"].tasks["gsm8k"].num_items == 8
    now = content_of(
        [arguments(*sources, "evaluation.max_new_tokens=9", "evaluation.max_samples=5", "grpo.max_steps=2")], [0]
    )
    found = content_differences(first, now)
    for key in (
        "task gsm8k.generation.max_new_tokens: 8 frozen, 9 used",
        "task gsm8k.max_samples: 8 frozen, 5 used",
        "task gsm8k.num_items: 8 frozen, 5 used",
        "grpo.max_steps: 1 frozen, 2 used",
    ):
        assert f"{key} (mul_tokens)" in found
    with pytest.raises(RecipeError, match="with other values than this command's"):
        refuse_contradictions(tmp_path / "tiny", frozen, now)
    for name in ("test.jsonl", "train.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    moved = content_of([arguments(*sources, "experiment=other", "output_dir=elsewhere")], [0])
    keys = [one.partition(":")[0] for one in content_differences(first, moved)]
    assert keys == ["source own", "task gsm8k.data_sha256"]


def test_binding_says_what_is_frozen_and_warns_of_some_seeds_and_of_new_conditions(tmp_path: Path) -> None:
    condition = {"recipe": {}, "by_seed": {}, "intervention": {}, "sources": {}, "tasks": {}}
    prereg = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"seeds": [0, 1, 2]}}
    alone = FrozenContent.model_validate({"prereg": prereg, "conditions": {"a": condition}, "scorer_sha256": "x"})
    both = alone.model_copy(update={"conditions": {**alone.conditions, "b": alone.conditions["a"]}})
    before, head = preview_bind(tmp_path, both, [0]), "preregistration: would be frozen before the first step"
    assert before.startswith(f"{head}: {tmp_path / 'preregistration.json'}; note: of the declared seeds, 1, 2 are not")
    assert list(tmp_path.iterdir()) == []
    line = bind(tmp_path, alone, [0, 1, 2])
    assert line.startswith(f"preregistration: frozen now: {tmp_path / 'preregistration.json'} (sha256 ")
    assert "note" not in line
    line = bind(tmp_path, both, [0])
    assert line.startswith("preregistration: frozen at 20")
    assert "of the declared seeds, 1, 2 are not in this command" in line
    assert "not frozen, so exploratory: b (--amend adds them)" in line
    assert preview_bind(tmp_path, both, [0]) == line
    line = bind(tmp_path, alone, [7])  # a pilot with other seeds
    assert line.endswith("; note: not declared, so the verdict will be exploratory: seeds 7")


@pytest.mark.parametrize(
    ("commit", "is_dirty", "said"),
    [
        (None, False, ", without git, so no commit)"),
        ("a" * 40, False, f", commit {'a' * 12})"),
        ("a" * 40, True, f", commit {'a' * 12} with changes)"),
    ],
)
def test_the_code_that_froze_is_named(
    commit: str | None, is_dirty: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain_tokens.runs.preregistration.git_commit", lambda: commit)
    monkeypatch.setattr("domain_tokens.runs.preregistration.git_is_dirty", lambda: is_dirty)
    prereg = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"seeds": [0]}}
    content = FrozenContent.model_validate({"prereg": prereg, "conditions": {}, "scorer_sha256": "x"})
    assert said in bind(tmp_path, content, [0])


NOTHING_ELSE = {"by_seed": {"0": {}}, "intervention": {}, "sources": {}, "tasks": {}}


def test_a_run_that_never_began_does_not_bind_the_next_one(tmp_path: Path) -> None:
    condition = {"recipe": {"corpus.sources.0.max_items": 10}, **NOTHING_ELSE}
    prereg = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"seeds": [0]}}
    typo = FrozenContent.model_validate({"prereg": prereg, "conditions": {"a": condition}, "scorer_sha256": "x"})
    meant = FrozenContent.model_validate(
        typo.as_json() | {"conditions": {"a": condition | {"recipe": {"corpus.sources.0.max_items": 1000}}}}
    )
    bind(tmp_path, typo, [0])
    changed = "before the first stage: corpus.sources.0.max_items: 10 frozen, 1000 used (a)"
    assert preview_bind(tmp_path, meant, [0]).endswith(f"; would be amended, {changed}")
    assert "amended 1 times" in bind(tmp_path, meant, [0])
    frozen = read_frozen(tmp_path)
    assert frozen is not None
    assert frozen.is_intact
    assert [(entry.reason, entry.stages_before) for entry in frozen.entries] == [(None, ()), (changed, ())]
    assert frozen.blind == frozen.latest == meant
    assert "amended 1 times" in bind(tmp_path, meant, [0])  # the same again changes nothing
    assert read_frozen(tmp_path) == frozen
    begun = tmp_path / "exp_a" / "seed_0" / "checkpoints" / "pretrain"
    begun.mkdir(parents=True)
    (begun / "inputs.json").write_text("{}")
    with pytest.raises(RecipeError, match="with other values than this command's"):
        bind(tmp_path, typo, [0])


def test_what_a_person_froze_binds_at_once(tmp_path: Path) -> None:
    condition = {"recipe": {"a": 1}, **NOTHING_ELSE}
    prereg = {"file": "prereg.yaml", "sha256": "a" * 64, "declared": {"seeds": [0]}}
    first = FrozenContent.model_validate({"prereg": prereg, "conditions": {"a": condition}, "scorer_sha256": "x"})
    freeze(tmp_path, first)
    other = FrozenContent.model_validate(first.as_json() | {"conditions": {"a": condition | {"recipe": {"a": 2}}}})
    with pytest.raises(RecipeError, match="with other values than this command's"):
        bind(tmp_path, other, [0])
