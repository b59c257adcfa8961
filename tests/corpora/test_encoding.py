"""datatrove's step with the bulk encoder writes the files that the plain step writes."""

import hashlib
import json
from pathlib import Path

import pytest
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer

from domain_tokens.corpora import synthetic
from domain_tokens.corpora.pipeline.encoding import BulkDocumentTokenizer
from domain_tokens.tokenization.facts import END_OF_TEXT

pytest.importorskip("fastokens", reason="the fast path needs fastokens")


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two files of documents, some of them odd."""
    folder = tmp_path_factory.mktemp("documents")
    odd = ["6 x 9 = 54", "日本 = 7×8", "a\0b", "\u2028 \u0085", "I'll  \n\n don't", "x" * 5000, "16*9, 2*3*4"]
    for number in range(2):
        texts = [*synthetic.texts(100, number, "train"), *odd]
        rows = [json.dumps({"text": text, "id": f"{number}/{place}"}) for place, text in enumerate(texts)]
        (folder / f"{number}.jsonl").write_text("\n".join(rows) + "\n")
    return folder


def tokenized(
    step: type[DocumentTokenizer], documents: Path, tokenizer: Path, output: Path, workers: int
) -> dict[str, str]:
    """Return the sha256 of every file that a step writes."""
    steps = [
        JsonlReader(str(documents), glob_pattern="*.jsonl"),
        step(
            str(output / "tokens"),
            str(tokenizer / "tokenizer.json"),
            eos_token=END_OF_TEXT,
            shuffle_documents=True,
            seed=3,
            batch_size=100,
        ),
    ]
    LocalPipelineExecutor(steps, tasks=2, workers=workers, logging_dir=str(output / "logs")).run()
    files = sorted((output / "tokens").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def plain(
    documents: Path, tokenizer_dirs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """What datatrove's own step writes in each condition."""
    return {
        condition: tokenized(DocumentTokenizer, documents, tokenizer, tmp_path_factory.mktemp("plain"), workers=1)
        for condition, tokenizer in tokenizer_dirs.items()
    }


@pytest.mark.parametrize(
    ("condition", "workers"),
    [("baseline", 1), pytest.param("mul_tokens", 1, marks=pytest.mark.slow), ("mul_tokens", 2)],
)
def test_files_are_those_of_the_plain_step(
    condition: str, workers: int, plain: dict, documents: Path, tokenizer_dirs: dict[str, Path], tmp_path: Path
) -> None:
    assert (
        tokenized(BulkDocumentTokenizer, documents, tokenizer_dirs[condition], tmp_path, workers) == plain[condition]
    )


def test_the_comparison_is_of_something(plain: dict) -> None:
    tokens = [f"0000{task}_00000_doc_shuffled.ds" for task in (0, 1)]
    for name in tokens:
        assert plain["baseline"][name] != plain["mul_tokens"][name]
    assert len(plain["baseline"]) == 3 * len(tokens)  # token ids, where documents end, a description


def test_a_loss_mask_is_refused(documents: Path, tokenizer_dirs: dict[str, Path], tmp_path: Path) -> None:
    file = str(tokenizer_dirs["baseline"] / "tokenizer.json")
    step = BulkDocumentTokenizer(str(tmp_path), file, save_loss_metadata=True)
    with pytest.raises(AssertionError, match="loss mask"):
        assert step.tokenizer
