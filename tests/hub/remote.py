"""A process that reads from a Hub on loopback and runs scripts that do, and how a test asks it.

`HF_ENDPOINT` is read when the libraries are imported, and the tests' own processes have imported them offline. So one
process of its own does all the reading: it takes a question a line and answers with a line. It sleeps a
thousandth of a second at most, and says how long it would have slept.
"""

import contextlib
import io
import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

from tiny import ROOT

from domain_tokens.recipe import RecipeError, Source, load_recipe

_LONGEST_SLEEP_S = 0.001


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """Return the variables of a process that reads from a server as if it were the Hub."""
    offline = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN")
    kept = {name: value for name, value in os.environ.items() if name not in offline}
    paths = os.pathsep.join([str(ROOT / "tests"), *sys.path])
    return kept | {
        "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home), "PYTHONPATH": paths,
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # which are another host's
        "FSSPEC_HF": json.dumps({"block_size": 2**14}),  # in place of 5 MB
    }  # fmt: skip


class Remote:
    """The process, as a test sees it.

    Args:
        endpoint (`str`): the server's address.
        home (`Path`): where the libraries keep what they download.

    Attributes:
        slept_s: for how long the process would have slept, one entry for each time, while it answered the last
            question.
    """

    def __init__(self, endpoint: str, home: Path) -> None:
        self.slept_s: list[float] = []
        self._home = home
        home.mkdir(parents=True, exist_ok=True)
        self._log = (home / "stderr").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hub.remote"], env=environment(endpoint, home), cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def documents(self, source: Source, rank: int = 0, world_size: int = 1) -> list[tuple[str, str]]:
        """Return id and text of what `read_documents` yields. Raises `RecipeError` as it does, as do the others."""
        return [(one, text) for one, text in self._ask("documents", source, rank=rank, world_size=world_size)]

    def rows(self, source: Source, split: str = "test", seed: int = 0) -> list[dict[str, object]]:
        """Return what `read_rows` does."""
        return list(self._ask("rows", source, split=split, seed=seed))

    def commit(self, source: Source) -> str:
        """Return what `commit_of` does."""
        return str(self._ask("commit", source))

    def check(self, source: Source) -> None:
        """Call `check_hub`."""
        self._ask("check", source)

    def examples(self, arguments: list[str], stage: str) -> list[list[str]]:
        """Return questions and answers of fine-tuning (`sft`) or GRPO (`grpo`) of a recipe."""
        return list(self._ask("examples", None, arguments=arguments, stage=stage))

    def questions(self, arguments: list[str]) -> dict[str, list[dict[str, object]]]:
        """Return the items of each task of a recipe."""
        return dict(self._ask("questions", None, arguments=arguments))

    def prepare(self, arguments: list[str]) -> None:
        """Call `prepare_data` with a recipe's arguments."""
        self._ask("prepare", None, arguments=arguments)

    def script(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script with a user's arguments and variables; return exit code and output."""
        what = {"script": script, "arguments": arguments, "environment": environment}
        code, stdout, stderr = self._ask("script", None, **what)
        return subprocess.CompletedProcess([script, *arguments], code, stdout, stderr)

    def forget(self, *, downloads: bool = True) -> None:
        """Forget what the Hub has said so far and what was downloaded, as a new process on a new machine would."""
        self._ask("forget", None)
        if downloads:
            shutil.rmtree(self._home / "hub", ignore_errors=True)

    def log(self) -> str:
        """Return what the process has written to its stderr."""
        return Path(self._log.name).read_text()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._log.close()

    def _ask(self, question: str, source: Source | None, **arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        what = {"source": None if source is None else asdict(source), **arguments}
        self._process.stdin.write(json.dumps([question, what]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process ended:\n{self.log()[-3000:]}"
        answer = json.loads(line)
        assert answer["question"] == question, "a test before this one did not wait for its answer"
        self.slept_s = answer["slept_s"]
        if "error" in answer:
            raise RecipeError(answer["error"])
        return answer["result"]


def _run_script(script: str, arguments: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    logging.getLogger().handlers.clear()  # of the script before, which writes to its output
    with (
        mock.patch.dict(os.environ, environment), mock.patch.object(sys, "argv", [script, *arguments]),
        contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr),
    ):  # fmt: skip
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code, stdout.getvalue(), stderr.getvalue()


def _answer(question: str, what: dict[str, Any]) -> object:
    if question == "script":
        return _run_script(what["script"], what["arguments"], what["environment"])
    from domain_tokens.corpora import hub, sources
    from domain_tokens.evaluation.modes import read_questions

    source = None if what["source"] is None else Source(**what["source"])
    if source is not None and question == "documents":
        return [one[:2] for one in sources.read_documents(source, 0, 0.0, what["rank"], what["world_size"])]
    if source is not None and question == "rows":
        return [dict(row) for row in sources.read_rows(source, what["seed"], what["split"])]
    if source is not None and question == "commit":
        return hub.commit_of(source)
    if source is not None and question == "check":
        return hub.check_hub([source])
    if question == "forget":
        from huggingface_hub import HfFileSystem

        hub._COMMITS.clear()
        return HfFileSystem.clear_instance_cache()
    recipe = load_recipe(what["arguments"])
    if question == "questions":
        return {run.task.name: list(run.rows) for run in read_questions(recipe)}
    if question == "prepare":
        from domain_tokens.corpora.prepare import prepare_data

        return prepare_data(recipe)
    assert question == "examples"
    from domain_tokens.tokenization.contract import load_tokenizer
    from domain_tokens.training.post_training.chat_data import training_examples

    read = recipe.grpo_prompts if what["stage"] == "grpo" else recipe.sft_stages[0].sources
    tokenizer = load_tokenizer(recipe.tokenizer_dir)
    examples, _ = training_examples(recipe, read, what["stage"], tokenizer, 64, prompts_alone=what["stage"] == "grpo")
    return [[one.question, one.answer] for one in examples]


def main() -> None:
    """Answer questions until stdin ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    slept_s: list[float] = []
    sleep = time.sleep

    def sleep_less(seconds: float) -> None:
        slept_s.append(seconds)
        sleep(min(seconds, _LONGEST_SLEEP_S))

    with mock.patch("time.sleep", sleep_less):
        for line in sys.stdin:
            slept_s.clear()
            question, what = json.loads(line)
            answer: dict[str, object] = {"question": question, "slept_s": slept_s}
            try:
                answer["result"] = _answer(question, what)
            except RecipeError as error:
                answer["error"] = str(error)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
