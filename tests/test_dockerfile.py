"""The Dockerfile: what its steps name exists, and they are those of README. Docker itself is not needed."""

import re
from collections.abc import Iterator

from tiny import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()


def steps(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments, lines that go on joined."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines)]


def broken(text: str) -> Iterator[str]:
    """Yield the make targets and the sources that a Dockerfile names and that do not exist."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, rest in steps(text):
        if name == "COPY":
            yield from (source for source in rest.split()[:-1] if not (ROOT / source).exists())
        elif name in ("RUN", "CMD") and "apt-get" not in rest:
            yield from (target for target in re.findall(r"make[ \",]+([a-z-]+)", rest) if target not in targets)


def test_what_the_steps_name_exists() -> None:
    assert [name for name, _ in steps(TEXT)] == ["FROM", "RUN", "WORKDIR", "COPY", "RUN", "ENV", "CMD"]
    assert list(broken(TEXT)) == []
    assert list(broken('CMD ["make", "halp"]')) == ["halp"]
    assert list(broken("COPY nowhere.txt ./\nRUN make instal\n")) == ["nowhere.txt", "instal"]


def test_the_steps_are_those_of_readme() -> None:
    runs = [rest for name, rest in steps(TEXT) if name == "RUN"]
    assert runs[-1] == "make install"
    assert "`make install`" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"make", "git", "python3", "python3-venv", "build-essential"} <= set(runs[0].split())
    assert re.search(r"^#   docker run .*--gpus all.* make demo-quick$", TEXT, re.MULTILINE)


def test_an_image_has_no_environment_and_no_results_of_the_host() -> None:
    assert {".venv", "outputs", "data"} <= set(IGNORED)
    assert not {"src", "recipes", "scripts", ".git"} & set(IGNORED)  # .git: manifests record the commit
