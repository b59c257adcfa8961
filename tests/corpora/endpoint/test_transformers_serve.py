"""The route against `transformers serve`, a real server that others wrote, with a tiny model.

The model has learned the answers to three questions by heart, and answers all others with something else.
"""

import dataclasses
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Route
from misbehaving_server import good_content, problem
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.checking.reaching import Reader
from domain_tokens.corpora.endpoint.requests import Problem, request_for
from domain_tokens.corpora.endpoint.settings import Endpoint
from domain_tokens.tokenization.facts import END_OF_TEXT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
# The question alone, so that a model of this size can tell one prompt from another.
TEMPLATE = "{{ messages[-1]['content'].split('\\n')[1] }} ->"
KNOWN = 3


def save_model(folder: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, END_OF_TEXT])}
    bytes_alone = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=64, n_layer=2, n_head=2, eos_token_id=end, bos_token_id=end,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    questions = [problem(number).question for number in range(KNOWN)]
    texts = [f"{question} ->{good_content(question)}{END_OF_TEXT}" for question in questions]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """Yield the base URL, the model's name and the log of a running server."""
    folder = tmp_path_factory.mktemp("serve")
    save_model(folder / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("transformers"), "serve", folder / "model", "--host", "127.0.0.1"]
    log = folder / "log.txt"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*map(str, command), "--port", str(port), "--device", "cpu"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while not is_up(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1", str(folder / "model"), log
    finally:
        server.terminate()
        server.wait(30)


def is_up(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def served(serve: tuple[str, str, Path], tmp_path: Path, read: Reader) -> Route:
    route = Route(serve[0], tmp_path, read)
    route.endpoint = Endpoint(serve[0], serve[1], structured="prompt", max_tokens=200)
    route.limits = dataclasses.replace(route.limits, at_once=2, attempt_seconds=60, budget_seconds=120)
    return route


def test_prompt(served: Route, problems: Callable[[int], list[Problem]]) -> None:
    asked, ledger = served.ask(problems(KNOWN + 1))
    assert asked.answers == ledger.num_settled == KNOWN + 1, asked
    entry = ledger.answer(request_for(problem(0), served.endpoint).key)
    assert entry.used[0] == len(problem(0).question) + len(" ->")  # bytes are its tokens
    assert len(good_content(problem(0).question)) < entry.used[1] < 200
    results = served.results(problems(KNOWN + 1))
    assert results[1] == "3 boxes with 7 pens hold 3 × 7 = 21 pens.\n#### 21"
    assert [isinstance(one, str) for one in results] == [True] * KNOWN + [False]
    assert served.ask(problems(KNOWN + 1))[0].answers == 0


def test_an_answer_that_is_cut(served: Route, problems: Callable[[int], list[Problem]]) -> None:
    served.endpoint = dataclasses.replace(served.endpoint, max_tokens=12)
    asked, ledger = served.ask(problems(2))
    assert asked.answers == 2
    assert ledger.answer(request_for(problem(0), served.endpoint).key).used[1] == 12
    assert served.results(problems(2)) == [Unusable("cut by length")] * 2


def test_schema_is_sent_and_ignored_by_it_and_no_answer_is_taken(
    served: Route, serve: tuple[str, str, Path], problems: Callable[[int], list[Problem]]
) -> None:
    served.endpoint = dataclasses.replace(served.endpoint, structured="schema", max_tokens=12)
    asked, _ = served.ask(problems(30))
    assert "response_format" in serve[2].read_text()  # its log says that it ignores the field
    assert "none of the first" in asked.stopped
    assert 20 <= asked.answers <= 22
    assert not [one for one in served.results(problems(30)) if isinstance(one, str)]


def test_another_model_is_denied(served: Route, problems: Callable[[int], list[Problem]]) -> None:
    served.endpoint = dataclasses.replace(served.endpoint, model="another")
    asked, ledger = served.ask(problems(30))
    assert "in a row had no answer" in asked.stopped
    assert "pinned" in asked.stopped
    assert ledger.spent == ledger.in_doubt == 0
