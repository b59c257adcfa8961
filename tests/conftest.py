"""Shared by all tests: offline, one thread, the real tokenizers, and a recipe of the smallest size that trains."""

import os

from canaries import CANARIES

os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",  # models this small are slower on more
    MPLBACKEND="Agg",
    PYTORCH_NVML_BASED_CUDA_CHECK="1",  # as DeepSpeed sets it on import; warm processes start with it
    PYTHONPATH=os.pathsep.join(filter(None, (os.path.dirname(__file__), os.environ.get("PYTHONPATH")))),
    **CANARIES,
)

import gc
import json
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from properties import load_profile
from real_data import SAMPLES, Data, own_texts, real_data, real_texts, sample
from tiny import GPT2_BASE, ROOT, tiny_arguments, warm_process

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

CONDITIONS = {"baseline": "none", "mul_tokens": "mul_tokens"}  # condition -> intervention
# Folders whose files share what takes long to make: the experiment and the process that scripts are forked from, and
# the process that works with a Hub. One worker runs all of a folder, so nothing is made twice and no worker waits.
ON_ONE_WORKER = ("tests/pipeline/", "tests/hub/", "tests/publishing/")

# Files that `--quick` does not collect: those that import lighteval, which takes three seconds in every worker; those
# whose tests start processes, encode corpora, draw plots or run models; and those that build many tokenizers or
# simulate many experiments.
NOT_QUICK = (
    "test_adaptation_apart.py", "test_adaptation_bench.py", "test_adaptation_command.py",
    "test_adaptation_measuring.py", "test_adaptation_processes.py", "test_adaptation_report.py",
    "test_edit_executor.py", "test_edit_policies.py",
    "test_against_lm_eval.py", "test_agreement.py", "test_allowed.py", "test_answer_accuracy.py", "test_audit.py",
    "test_averages.py", "test_base_vocabulary.py", "test_before_work.py", "test_bits.py", "test_calibration.py",
    "test_card_snippet.py", "test_certificate.py", "test_chat.py", "test_chat_data.py", "test_clusters.py",
    "test_collection_card.py", "test_compare.py", "test_controls.py", "test_departures.py", "test_difference.py",
    "test_digits.py", "test_dose.py", "test_dry_run.py", "test_encoding.py", "test_endpoint_tasks.py",
    "test_eval_checkpoints.py", "test_evaluate.py", "test_external_tasks.py", "test_family.py",
    "test_fast_encoder.py", "test_gold_bits.py", "test_grpo.py", "test_hostile_names.py", "test_inference.py",
    "test_known_truth.py", "test_learning_rate.py", "test_lighteval_adapter.py", "test_log_comparison.py",
    "test_losses.py", "test_model_card.py", "test_neutralize.py", "test_number_token_loss.py",
    "test_other_bases.py", "test_overview.py", "test_pipeline_errors.py", "test_placebo.py", "test_play_server.py",
    "test_preregister.py", "test_prompts.py", "test_published_stages.py", "test_pull.py", "test_push.py",
    "test_report.py", "test_research.py", "test_rewriter.py", "test_sample.py", "test_sft_loss.py",
    "test_side_record.py", "test_signal.py", "test_sizes.py", "test_synthetic.py", "test_tasks.py",
    "test_tokenizer.py", "test_train_tokenizer.py", "test_values.py", "test_verdict.py", "test_verifier.py",
    "test_verifier_samples.py", "test_verifier_training.py", "test_warm_process.py", "test_ways_past.py",
    "test_whole_checkpoints.py", "test_writing.py",
)  # fmt: skip

load_profile(str(ROOT / ".venv" / ".cache" / "hypothesis"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="seconds: no scripts, plots, models or real data")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that are not quick, the pipeline, the Hub and the jail, where it has to be quick."""
    is_slow = collection_path.name in (*NOT_QUICK, "pipeline", "hub", "jail")
    return True if config.getoption("--quick") and is_slow else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while the test modules import the libraries; it takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the folder that takes longest; the other worker begins with the next."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in ON_ONE_WORKER])
    if config.getoption("--quick"):
        left_out = [item for item in items if any(map(item.get_closest_marker, ("integration", "real_data")))]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> "LoadFileScheduling | None":
    """Distribute whole files, and `ON_ONE_WORKER` whole folders."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrFolder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = next(filter(nodeid.startswith, ON_ONE_WORKER), None)
            return folder or super()._split_scope(nodeid)

    return ByFileOrFolder(config, log)


def pytest_runtest_setup() -> None:
    """Empty the package's caches before each test of `make mutate`, or cached results would hide the mutant."""
    if "MUTANT_UNDER_TEST" in os.environ:
        names = [name for name in sys.modules if name.split(".")[0] in ("domain_tokens", "answers")]
        for cached in [found for name in names for found in vars(sys.modules[name]).values()]:
            if isinstance(cached, type(warm_process)):
                cached.cache_clear()


def pytest_sessionfinish() -> None:
    """End the warm process and wait for it, or its CPU-seconds and its children's would be nobody's."""
    gc.freeze()  # pytest collects garbage five times at the end, a second each
    if warm_process.cache_info().currsize:
        warm_process().close()


@pytest.fixture(scope="module", autouse=True)
def fresh_module() -> None:
    """Each module of tests begins with no garbage collection of what is there for good.

    A full collection of the objects of torch, transformers and lighteval takes a second, and statsmodels asks for one
    in every correction for multiple tests.
    """
    gc.freeze()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(params=["own", pytest.param("real", marks=pytest.mark.real_data)])
def data(request: pytest.FixtureRequest) -> Data:
    """The project's own samples, and the data folder where there is one."""
    return Data(SAMPLES, is_own=True) if request.param == "own" else real_data()


@pytest.fixture(
    params=[
        "own",
        pytest.param("sample", marks=[pytest.mark.real_data, pytest.mark.slow]),
        pytest.param("all", marks=[pytest.mark.real_data, pytest.mark.slow]),
    ]
)
def data_texts(request: pytest.FixtureRequest) -> list[str]:
    """The texts of the project's own samples, of a part of the data folder, and of all of it."""
    if request.param == "own":
        return own_texts()
    texts = real_texts(real_data().folder)
    return sample(texts) if request.param == "sample" else texts


@pytest.fixture
def gsm8k_test(data: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GSM8K's test set. Of the samples, the file that is taken for it."""
    from domain_tokens.corpora import held_out
    from domain_tokens.corpora.contamination.index import fingerprint
    from domain_tokens.runs.files import sha256_file

    file = data.folder / "gsm8k" / "test.jsonl"
    if data.is_own:
        monkeypatch.setattr(held_out, "_GSM8K_TEST_SHA256", sha256_file(file))
        questions = [json.loads(line)["question"] for line in file.read_text(encoding="utf-8").splitlines()]
        fingerprints = frozenset(map(fingerprint, questions))
        monkeypatch.setattr(held_out, "_gsm8k_test", lambda: fingerprints)
    return file


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that fills a folder once for all workers of a run, and returns it. Nobody may change it.

    Its arguments are the folder's name and what fills it. A worker that comes second waits for the first.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def build(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def tokenizer_dirs(build_once: Callable[..., Path]) -> dict[str, Path]:
    """A saved tokenizer of each condition, one for all workers."""

    def fill(folder: Path) -> None:
        from domain_tokens.tokenization.builder import build_tokenizer, save_tokenizer
        from domain_tokens.tokenization.intervention import load_intervention

        for condition, intervention in CONDITIONS.items():
            described = load_intervention(ROOT / f"recipes/interventions/{intervention}.yaml")
            save_tokenizer(build_tokenizer(described), folder / condition)

    folder = build_once("tokenizers", fill)
    return {condition: folder / condition for condition in CONDITIONS}


@pytest.fixture(scope="session")
def tokenizers(tokenizer_dirs: dict[str, Path]) -> "dict[str, PreTrainedTokenizerFast]":
    """The tokenizer of each condition, as `AutoTokenizer` loads it."""
    from domain_tokens.tokenization.contract import load_tokenizer

    return {condition: load_tokenizer(folder) for condition, folder in tokenizer_dirs.items()}


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a function from a condition and overrides to a script's arguments: the tiny demo on GPT-2's base."""
    return lambda condition, *overrides: tiny_arguments(tmp_path, condition, GPT2_BASE, *overrides)
