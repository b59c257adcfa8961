"""A user who publishes: a Hub on loopback, the process that works with it, and the run that is published."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from canaries import CANARIES
from hub.remote import Remote
from hub.repositories import Repository
from hub.server import HubServer
from hub.writing import Accounts

TOKEN = CANARIES["HF_TOKEN"]
SMALL_RUN = (
    "pretrain.max_steps=4", "pretrain.save_strategy=steps", "pretrain.save_steps=2", "sft.num_train_epochs=1",
    "sft.save_strategy='no'", "evaluation.ending_prompts=0",
)  # fmt: skip
RUN = Path("tiny") / "exp_mul_tokens" / "seed_0"
"""In the output folder."""


@dataclass
class Publisher:
    """A Hub and the process that works with it.

    Attributes:
        hub: the server.
        accounts: who may write.
        process: runs the scripts.
    """

    hub: HubServer
    accounts: Accounts
    process: Remote

    def run(self, script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script with the user's token, unless the environment says otherwise."""
        self.hub.requests.clear()
        return self.process.script(script, *map(str, arguments), **{"HF_TOKEN": TOKEN, **environment})

    def push(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Push to the user's namespace."""
        return self.run("scripts/push_to_hub.py", *arguments, "--namespace", "me", **environment)

    def pull(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Pull."""
        return self.run("scripts/pull_from_hub.py", *arguments, **environment)

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """Return the files of a branch, without the one that the Hub adds."""
        repository = self.hub.repositories[name]
        found = repository.commits[repository.refs[revision]]
        return {path: content for path, content in found.items() if path != ".gitattributes"}

    def model(self, stage: str) -> Repository:
        """Return the repository of a stage of the small run."""
        return self.hub.repositories[f"models/me/tiny-mul_tokens-seed0-{stage}"]


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the message of a script that refused, after checking that it is all that the script said."""
    assert done.returncode == 2, done.stdout + done.stderr
    messages = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(messages) == 1
    assert "Traceback" not in done.stderr
    return messages[0]


def change(repository: Repository, revision: str, path: str, content: bytes | None) -> None:
    """Commit another content of a file behind the back of whoever pushed, or remove it."""
    files = dict(repository.commits[repository.refs[revision]])
    if content is None:
        del files[path]
    else:
        files[path] = content
        repository.objects[hashlib.sha256(content).hexdigest()] = content
    repository.commit(files, revision)
