"""The preparation on clusters: what Slurm is given, that nothing is submitted twice, and shards as made here."""

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from tiny import ROOT, start_script, tiny_arguments

from domain_tokens.corpora.contamination.index import ContaminationIndex
from domain_tokens.corpora.documents import ReadSources
from domain_tokens.corpora.preparation.executors import Execution, run_steps, total_of
from domain_tokens.corpora.prepare import prepare_data
from domain_tokens.recipe import Cluster, Corpus, RecipeError, Source, Unfinished, load_recipe
from domain_tokens.runs.files import sha256_file

CLUSTER = Cluster(partition="cpu", time="02:00:00", mem_per_cpu_gb=3, qos="low", sbatch_args={"account": "lab"})
SLURM = Execution("slurm", 2, CLUSTER)

# Slurm's programs, as far as datatrove calls them. Jobs are recorded; with RUN_JOBS they also run, before sbatch ends.
PROGRAMS = {
    "sbatch": r"""
        number=$(($(ls "$SLURM/jobs" | grep -c slurm) + 1))
        script=${@: -1}
        cp "$script" "$SLURM/jobs/$number.slurm"
        last=$(sed -n 's/#SBATCH --array=0-\([0-9]*\).*/\1/p' "$script")
        if [ -n "$RUN_JOBS" ] && ! grep -q merge_stats "$script"; then
            logs=$(sed -n 's/#SBATCH --output=\(.*\)%A_%a.out/\1/p' "$script")
            for task in $(seq 0 "$last"); do
                SLURM_JOB_ID=$number SLURM_NODELIST=here SLURM_ARRAY_TASK_ID=$task RUN_OFFSET=0 bash "$script" \
                    > "$logs${number}_$task.out" 2>&1
            done
        fi
        echo "Submitted batch job $number"
    """,
    "srun": 'while [ "$1" != launch_pickled_pipeline ]; do shift; done; exec "$@"',
    "squeue": 'cat "$SLURM/queued" 2> /dev/null',
    "scontrol": "echo here",
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "slurm"
    (folder / "jobs").mkdir(parents=True)
    for name, script in PROGRAMS.items():
        (folder / name).write_text("#!/bin/bash\n" + script)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM", str(folder))
    return folder


@pytest.fixture
def steps(tmp_path: Path) -> list[ReadSources]:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n\nthree\n")
    corpus = Corpus(sources=[Source(name="a", kind="file", path=str(tmp_path / "a.txt"))])
    return [ReadSources(corpus, ContaminationIndex([]), False, tmp_path / "removals")]


def test_slurm_is_given_one_script_for_all_tasks(slurm: Path, steps: list[ReadSources], tmp_path: Path) -> None:
    logs = tmp_path / "state"
    with pytest.raises(
        Unfinished, match=r"job 1 has 3 of 3 tasks .*launch_script\.slurm\); run the same command again"
    ):
        run_steps(steps, logs, 3, SLURM, name="documents")
    script = (slurm / "jobs" / "1.slurm").read_text()
    assert script == (logs / "launch_script.slurm").read_text()
    expected = f"""\
#!/bin/bash
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=3G
#SBATCH --nodes=1
#SBATCH --partition=cpu
#SBATCH --job-name=documents
#SBATCH --time=02:00:00
#SBATCH --output={logs}/slurm_logs/%A_%a.out
#SBATCH --error={logs}/slurm_logs/%A_%a.out
#SBATCH --array=0-2%2
#SBATCH --account=lab
#SBATCH --requeue
#SBATCH --qos=low
echo "Starting data processing job documents"
export PATH={Path(sys.executable).parent}:$PATH
set -xe
export PYTHONUNBUFFERED=TRUE
srun  -l -n 1 launch_pickled_pipeline {logs}/executor.pik
"""
    assert script == expected
    assert "merge_stats" in (slurm / "jobs" / "2.slurm").read_text()


def test_a_job_that_still_has_tasks_is_not_submitted_again(
    slurm: Path, steps: list[ReadSources], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs = tmp_path / "state"
    with pytest.raises(Unfinished):
        run_steps(steps, logs, 2, SLURM)
    (logs / "completions").mkdir()
    (logs / "completions" / "00000").touch()
    (slurm / "queued").write_text("1 cpu data")
    with pytest.raises(Unfinished, match=r"job \d+ has 1 of 2 tasks left; run the same command again"):
        run_steps(steps, logs, 2, SLURM)
    assert len(list((slurm / "jobs").iterdir())) == 2
    # It ended without its last task: that one alone is submitted, and the end of its log is shown.
    (slurm / "queued").unlink()
    (logs / "logs").mkdir(exist_ok=True)
    (logs / "logs" / "task_00001.log").write_text("reading\nMemoryError: no more\n")
    with pytest.raises(Unfinished, match="has 1 of 2 tasks"):
        run_steps(steps, logs, 2, SLURM)
    assert "MemoryError: no more" in caplog.text
    assert json.loads((logs / "ranks_to_run.json").read_text()) == [1]
    # What Slurm has finished is not run again, by anyone.
    (logs / "completions" / "00001").touch()
    for executor in ("slurm", "local"):
        run_steps(steps, logs, 2, Execution(executor, 1, CLUSTER))
    assert total_of(logs, "bytes of a") == 0


def test_a_job_that_finished_nothing_is_an_error_and_no_reason_to_submit_it_for_ever(
    slurm: Path, steps: list[ReadSources], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_JOBS", "1")
    (slurm / "srun").write_text("#!/bin/bash\necho 'srun: error: no such node' >&2; exit 1")
    logs = tmp_path / "state"
    for _ in range(2):
        with pytest.raises(Unfinished, match="has 2 of 2 tasks"):
            run_steps(steps, logs, 2, SLURM)
        with pytest.raises(RecipeError, match=r"none of its 2 tasks was finished; (.|\n)*no such node"):
            run_steps(steps, logs, 2, SLURM)
    assert len(list((slurm / "jobs").glob("*.slurm"))) == 4  # the tasks and datatrove's statistics, twice


def test_what_a_cluster_needs_is_said_before_anything_is_submitted(
    steps: list[ReadSources], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match=r"corpus\.cluster\.partition: missing"):
        run_steps(steps, tmp_path / "state", 1, Execution("slurm"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecipeError, match="no sbatch here"):
        run_steps(steps, tmp_path / "state", 1, SLURM)
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(RecipeError, match="there is no launch_pickled_pipeline beside"):
        run_steps(steps, tmp_path / "state", 1, SLURM)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RecipeError, match=r"the package ray is not installed; .*\[ray\]"):
        run_steps(steps, tmp_path / "state", 1, Execution("ray"))
    with pytest.raises(RecipeError, match=r"corpus\.cluster\.mem_per_cpu_gb: expected"):
        load_recipe(tiny_arguments(tmp_path, "baseline", "corpus.cluster.mem_per_cpu_gb=0"))


def arguments_of(folder: Path, workers: int = 2) -> list[str]:
    return tiny_arguments(
        folder, "mul_tokens", "corpus.num_shards=3", f"corpus.num_workers={workers}", "corpus.validation_fraction=0.1",
        "corpus.cluster.partition=cpu",
    )  # fmt: skip


def hashes(recipe_arguments: list[str]) -> dict[str, str]:
    """Return the hashes of all documents and shards, but not of what names the folder that they lie in."""
    recipe = load_recipe(recipe_arguments)
    found = {}
    for folder in (recipe.documents_dir, recipe.corpus_dir):
        for file in sorted(folder.glob("*/*")):
            if not file.name.endswith(".metadata"):
                found[f"{file.parent.name}/{file.name}"] = sha256_file(file)
    assert len(found) == 14  # three files of documents and four of a corpus in each split
    return found


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    arguments = arguments_of(tmp_path_factory.mktemp("local"), workers=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        prepare_data(load_recipe(arguments))
    return hashes(arguments)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a minute of CPU time; a busy machine gives it slowly
def test_slurm_makes_the_same_shards(
    slurm: Path, made_here: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN_JOBS", "1")
    arguments = arguments_of(tmp_path)
    command = ("scripts/prepare_data.py", "--executor", "slurm", *arguments)
    calls = [start_script(*command, timeout=3600) for _ in range(4)]
    assert [call.returncode for call in calls] == [75, 75, 75, 0], [call.stderr[-500:] for call in calls]
    names = [(slurm / "jobs" / f"{number}.slurm").read_text() for number in (1, 3, 5)]
    assert [name.partition("--job-name=")[2].split()[0] for name in names] == [
        "documents", "tokens_train", "tokens_validation",
    ]  # fmt: skip
    assert hashes(arguments) == made_here


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a minute of CPU time; a busy machine gives it slowly
def test_ray_makes_the_same_shards_with_two_workers(
    made_here: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    monkeypatch.chdir(ROOT)
    arguments = arguments_of(tmp_path / "out")
    prepare_data(load_recipe([*arguments, "corpus.cluster.mem_per_cpu_gb=1"]), "ray")
    assert hashes(arguments) == made_here
    (tmp_path / "bad.jsonl").write_text('{"text": "good"}\n' * 5 + '{"text": 7}\n')
    source = f"corpus.sources=[{{name: bad, kind: file, path: '{tmp_path}/bad.jsonl'}}]"
    arguments = arguments_of(tmp_path / "bad")
    with pytest.raises(RecipeError, match=r"of 3 tasks failed on Ray; the end of .*(.|\n)*line 6: .*text"):
        prepare_data(load_recipe([*arguments, "corpus.cluster.mem_per_cpu_gb=1", source]), "ray")
