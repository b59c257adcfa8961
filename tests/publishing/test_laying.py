"""What was downloaded is laid out as the run that it is of, or not at all: by hashes, names and what is there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import RUN

from domain_tokens.publishing.contents import Contents, checkpoint_contents, results_contents, stage_at, stage_contents
from domain_tokens.publishing.laying import lay
from domain_tokens.publishing.names import Placement, check_repository, read_placement
from domain_tokens.recipe import RecipeError
from domain_tokens.runs.files import read_json

Change = Callable[[bytes], bytes] | None


@pytest.fixture
def stage(trained: Path, tmp_path: Path) -> Path:
    """The repository of the pretrained model, as it is downloaded."""
    return downloaded(stage_contents(stage_at(trained / RUN / "pretrain_final"), "me", str), tmp_path / "stage")


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path) -> Path:
    """The revision of its first checkpoint."""
    first, _ = checkpoint_contents(stage_at(trained / RUN / "pretrain_final"), "me")
    return downloaded(first, tmp_path / "checkpoint")


@pytest.fixture
def results(trained: Path, tmp_path: Path) -> Path:
    """The repository of the experiment's results."""
    return downloaded(results_contents(trained / "tiny", "me", str), tmp_path / "results")


def downloaded(contents: Contents, folder: Path) -> Path:
    for file in contents.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content.read_bytes() if isinstance(file.content, Path) else file.content)
    return folder


def laid(folder: Path, output_dir: Path) -> tuple[Path, bool]:
    return lay(folder, read_placement(folder), output_dir)


def alter(path: Path, how: Change) -> None:
    """Change a file, or remove it."""
    before = path.read_bytes() if path.is_file() else b""
    if how is None:
        path.unlink()
    else:
        path.write_bytes(how(before))
        assert path.read_bytes() != before


def seal(folder: Path, **values: object) -> None:
    """Make `published.json` fit whatever the files are now, as somebody would who wants to be believed."""
    record = read_json(folder / "published.json") | values
    hashes = {path: digest(folder / path) for path in record["files"] if (folder / path).is_file()}
    placement = Placement.model_validate({key: value for key, value in record.items() if key != "sha256"})
    (folder / "published.json").write_text(json.dumps(placement.sealed(hashes).as_json()))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def placed(**values: object) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | values).encode()


def listing(key: str | None, path: str, sha256: str) -> Callable[[bytes], bytes]:
    """Return what adds a file to a list, which lies below a key."""

    def add(content: bytes) -> bytes:
        record = json.loads(content)
        (record if key is None else record[key])[path] = sha256
        return json.dumps(record).encode()

    return add


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def longer(content: bytes) -> bytes:
    return content + b"# more\n"


ELSEWHERE = Path(__file__).resolve()  # exists, and is none of the files


@pytest.mark.parametrize(
    ("kind", "path", "how", "said"),
    [
        ("stage", "model.safetensors", flipped, "model.safetensors: changed since the manifest"),
        ("stage", "metrics.jsonl", flipped, "metrics.jsonl: changed since the manifest"),
        ("stage", "metrics.jsonl", None, "metrics.jsonl: missing, but the manifest lists it"),
        ("stage", "certificate.json", placed(ids_sha256="0"), "certificate.json: changed since the manifest"),
        ("stage", "manifest.json", placed(wall_time_s=1), "manifest.json: changed since published.json was written"),
        ("stage", "manifest.json", None, "manifest.json: missing, but published.json lists it"),
        ("stage", "examples.jsonl", longer, "examples.jsonl: nothing lists it with its hash"),
        ("stage", "tokenizer/run_config.yaml", longer, "tokenizer/run_config.yaml: changed since published.json"),
        ("stage", "tokenizer/manifest.json", None, "tokenizer/manifest.json: missing, but published.json lists it"),
        ("stage", "published.json", None, "it has no published.json"),
        ("stage", "published.json", placed(model="sft_final"), "published.json: was changed after it was written"),
        ("stage", "published.json", placed(sha256=None), "published.json: was written by an earlier version"),
        ("checkpoint", "model.safetensors", flipped, "model.safetensors is damaged"),
        ("checkpoint", "published.json", placed(step=4), "published.json: was changed after it was written"),
        ("checkpoint", "inputs.json", lambda _: b'{"a": 1}', "inputs.json: changed since published.json was written"),
        ("checkpoint", "verified.json", placed(x="0"), "verified.json: changed since published.json was written"),
        ("checkpoint", "adapter_config.json", lambda _: b"{}", "adapter_config.json: nothing lists it with its hash"),
        (
            "results",
            "exp_mul_tokens/tokenizer/run_config.yaml",
            longer,
            "run_config.yaml: changed since published.json",
        ),
        ("results", "exp_mul_tokens/tokenizer/run_config.yaml", None, "run_config.yaml: missing, but published.json"),
        ("results", "report.html", longer, "report.html: nothing lists it with its hash"),
    ],
)
def test_what_was_changed_is_refused_and_nothing_is_laid_out(
    kind: str, path: str, how: Change, said: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    alter(folder / path, how)
    with pytest.raises(RecipeError) as refused:
        laid(folder, tmp_path / "outputs")
    assert said in str(refused.value)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("kind", "path", "how", "said"),
    [
        ("stage", "manifest.json", placed(seed=1), "manifest.json is of mul_tokens, seed 1, and published.json of"),
        ("stage", "manifest.json", placed(condition="baseline"), "manifest.json is of baseline, seed 0"),
        ("stage", "manifest.json", None, "it has no manifest.json"),
        ("stage", "manifest.json", listing("files", str(ELSEWHERE), "0"), "manifest.json: lists '/"),
        ("stage", "tokenizer/manifest.json", listing("files", str(ELSEWHERE), "0"), "manifest.json: lists '/"),
        ("stage", "tokenizer/manifest.json", placed(tokenizer_sha256="0"), "is of another tokenizer"),
        ("stage", "tokenizer/run_config.yaml", longer, "run_config.yaml: changed since the manifest beside it"),
        ("checkpoint", "inputs.json", placed(seed=7), "inputs.json is of seed 7 and the tokenizer"),
        ("checkpoint", "inputs.json", placed(corpus={"tokenizer_sha256": "0" * 64}), "and the tokenizer 000000000000"),
        ("checkpoint", "inputs.json", lambda _: b"[]", "inputs.json: expected a mapping"),
        ("checkpoint", "inputs.json", None, "published.json: lists no verified.json or no inputs.json"),
        ("checkpoint", "verified.json", listing(None, str(ELSEWHERE), digest(ELSEWHERE)), "verified.json: lists '/"),
        ("checkpoint", "verified.json", lambda _: b'{"config.json": "0"}', "config.json is damaged"),
        ("results", "exp_mul_tokens/tokenizer/run_config.yaml", lambda _: b"experiment: other", "is of other, and"),
    ],
)
def test_what_does_not_fit_is_refused_though_its_hash_does(
    kind: str, path: str, how: Change, said: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    alter(folder / path, how)
    seal(folder)
    with pytest.raises(RecipeError) as refused:
        laid(folder, tmp_path / "outputs")
    assert said in str(refused.value)
    assert not (tmp_path / "outputs").exists()


def test_a_checkpoint_without_a_whole_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    listed = read_json(checkpoint / "verified.json")
    for path in ("config.json", "certificate.json", "model.safetensors"):
        rest = {name: sha256 for name, sha256 in listed.items() if name != path}
        assert len(rest) == len(listed) - 1
        (checkpoint / "verified.json").write_text(json.dumps(rest))
        content = (checkpoint / path).read_bytes()
        (checkpoint / path).unlink()
        seal(checkpoint)
        with pytest.raises(RecipeError, match=r"verified\.json: lists no whole model"):
            laid(checkpoint, tmp_path / "outputs")
        (checkpoint / path).write_bytes(content)


def test_a_checkpoint_of_adapters_is_laid_out(checkpoint: Path, tmp_path: Path) -> None:
    listed = read_json(checkpoint / "verified.json")
    for path, name in (("config.json", "adapter_config.json"), ("model.safetensors", "adapter_model.safetensors")):
        (checkpoint / path).rename(checkpoint / name)
        listed[name] = listed.pop(path)
    (checkpoint / "verified.json").write_text(json.dumps(listed))
    seal(checkpoint)
    place, is_new = laid(checkpoint, tmp_path / "outputs")
    assert is_new
    assert (place / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "sft_final"}, "manifest.json is of the stage pretrain, and published.json of pretrain (sft_final)"),
        ({"stage": "sft_drills"}, "manifest.json is of the stage pretrain, and published.json of sft_drills"),
        ({"experiment": "other"}, "run_config.yaml: is of tiny, and published.json of other"),
    ],
)
def test_a_stage_that_is_called_another_is_refused(
    values: dict[str, object], said: str, stage: Path, tmp_path: Path
) -> None:
    seal(stage, **values)
    with pytest.raises(RecipeError) as refused:
        laid(stage, tmp_path / "outputs")
    assert said in str(refused.value)


@pytest.mark.parametrize(("kind", "listed_in"), [("stage", "manifest.json"), ("checkpoint", "verified.json")])
def test_a_tokenizer_that_its_certificate_does_not_know_is_refused(
    kind: str, listed_in: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    alter(folder / "chat_template.jinja", longer)
    key = "files" if kind == "stage" else None
    alter(folder / listed_in, listing(key, "chat_template.jinja", digest(folder / "chat_template.jinja")))
    seal(folder)
    with pytest.raises(RecipeError, match=r"^chat_template_sha256 is .* expected the files as they were pushed$"):
        laid(folder, tmp_path / "outputs")  # whoever pulled it can build nothing again


def test_a_damaged_file_is_named_as_the_repository_has_it(stage: Path, tmp_path: Path) -> None:
    alter(stage / "manifest.json", lambda _: b"{")
    seal(stage)
    with pytest.raises(RecipeError, match=r"^manifest\.json: damaged \(.*\); expected the files as they were pushed$"):
        laid(stage, tmp_path / "outputs")


def test_a_stage_that_was_changed_here_does_not_count_as_verified(stage: Path, tmp_path: Path) -> None:
    (place, is_new), again = laid(stage, tmp_path / "outputs"), tmp_path / "again"
    assert is_new
    restored(stage, place, again)
    assert laid(again, tmp_path / "outputs") == (place, False)
    alter(place / "metrics.jsonl", flipped)
    with pytest.raises(RecipeError, match=r"outputs/.*metrics\.jsonl: changed since the manifest"):
        laid(again, tmp_path / "outputs")


def restored(rest: Path, place: Path, folder: Path) -> None:
    """Download a stage again: what was not moved, and what was."""
    for source in (place, rest):
        for path in source.rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())


@pytest.mark.parametrize("kind", ["stage", "checkpoint"])
def test_the_tokenizer_of_another_condition_is_not_mixed_in(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    there = tmp_path / "outputs" / RUN.parent / "tokenizer" / "tokenizer.json"
    there.parent.mkdir(parents=True)
    there.write_text("{}")
    with pytest.raises(RecipeError, match="the condition has another tokenizer here"):
        laid(request.getfixturevalue(kind), tmp_path / "outputs")
    assert there.read_text() == "{}"
    assert not (tmp_path / "outputs" / RUN / "pretrain_final").exists()
    assert not list(tmp_path.rglob("weights-*"))


def test_checkpoints_of_a_stage_with_other_inputs_are_not_mixed(checkpoint: Path, tmp_path: Path) -> None:
    there = tmp_path / "outputs" / RUN / "checkpoints" / "pretrain" / "inputs.json"
    there.parent.mkdir(parents=True)
    there.write_text('{"seed": 1}')
    with pytest.raises(RecipeError, match="checkpoints of a stage with other inputs are there"):
        laid(checkpoint, tmp_path / "outputs")
    there.write_bytes((checkpoint / "inputs.json").read_bytes())
    place, is_new = laid(checkpoint, tmp_path / "outputs")
    assert (place.name, is_new) == ("weights-2", True)


@pytest.mark.parametrize(
    ("repository", "revision", "values", "fits"),
    [
        ("me/demo-mul_tokens-seed3-pretrain", None, {}, True),
        ("You/Demo-mul_tokens-seed3-pretrain", "main", {}, True),
        ("me/demo-mul_tokens-seed3-pretrain", "v1.0", {}, True),
        ("me/demo-mul_tokens-seed3-pretrain", "step-2", {"kind": "checkpoint", "step": 2}, True),
        ("me/demo-mul_tokens-seed3-pretrain", "0123abc", {"kind": "checkpoint", "step": 2}, True),
        ("me/demo-results", None, {"kind": "results"}, True),
        ("me/demo-mul_tokens-seed3-pretrain", "step-4", {"kind": "checkpoint", "step": 2}, False),
        ("me/demo-mul_tokens-seed3-pretrain", None, {"kind": "checkpoint", "step": 2}, False),
        ("me/demo-mul_tokens-seed3-pretrain", "step-2", {}, False),
        ("me/demo-baseline-seed3-pretrain", "step-2", {"kind": "checkpoint", "step": 2}, False),
        ("me/demo-mul_tokens-seed4-pretrain", None, {}, False),
        ("me/other-mul_tokens-seed3-pretrain", None, {}, False),
        ("me/other-results", None, {"kind": "results"}, False),
    ],
)
def test_a_repository_is_of_what_its_name_says(
    repository: str, revision: str | None, values: dict[str, object], fits: bool
) -> None:
    usual = {
        "kind": "stage", "experiment": "demo", "condition": "mul_tokens", "seed": 3, "stage": "pretrain",
        "model": "pretrain_final",
    }  # fmt: skip
    placement = Placement.model_validate(usual | values)
    if fits:
        check_repository(placement, repository, revision)
        return
    with pytest.raises(RecipeError, match=r"^published\.json is of .* demo"):
        check_repository(placement, repository, revision)
