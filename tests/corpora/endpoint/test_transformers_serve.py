"""The route against `transformers serve` with a tiny model that knows nothing: a real server that others wrote."""

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
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from domain_tokens.corpora.endpoint.acceptance import Reader
from domain_tokens.corpora.endpoint.answers import Unusable
from domain_tokens.corpora.endpoint.requests import Problem, request_for
from domain_tokens.corpora.endpoint.settings import Endpoint
from domain_tokens.tokenization.facts import END_OF_TEXT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant: "


def save_model(folder: Path) -> None:
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
        vocab_size=len(tokenizer), n_positions=4096, n_embd=16, n_layer=1, n_head=2, eos_token_id=end, bos_token_id=end
    )
    GPT2LMHeadModel(config).save_pretrained(folder)


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
    route.endpoint = Endpoint(serve[0], serve[1], structured="prompt", max_tokens=12)
    route.limits = dataclasses.replace(route.limits, at_once=2, attempt_seconds=60, budget_seconds=120)
    return route


def test_prompt(served: Route, problems: Callable[[int], list[Problem]]) -> None:
    asked, ledger = served.ask(problems(4))
    assert asked.answers == ledger.num_settled == 4, asked
    entry = ledger.answer(request_for(problems(1)[0], served.endpoint).key)
    assert entry.used[1] == 12  # a random model does not stop
    assert entry.used[0] > 500  # bytes are its tokens
    assert entry.used[0] + 12 <= request_for(problems(1)[0], served.endpoint).most_tokens
    assert served.results(problems(4)) == [Unusable("cut by length")] * 4
    assert served.ask(problems(4))[0].answers == 0


def test_schema_is_sent_and_ignored_by_it_and_no_answer_is_taken(
    served: Route, serve: tuple[str, str, Path], problems: Callable[[int], list[Problem]]
) -> None:
    served.endpoint = dataclasses.replace(served.endpoint, structured="schema")
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
