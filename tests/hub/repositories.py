"""Repositories of a Hub in memory: commits, the branches and tags that name them, and who may read the files."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Repository:
    """The repository of a data set or a model.

    Attributes:
        commits: the files of each commit, by its id; a commit holds the whole tree, not a difference.
        refs: the commit that each branch and tag names.
        closed_to: whom its files are refused, as the Hub does for a gated repository: `strangers` gets 401 and
            `members`, who are known but were not let in, 403. Everybody may see that the repository exists.
        private: whether it exists for nobody without a token.
        objects: the large files that were uploaded, by their sha256, whether a commit names them or not.
        history: the commits of each branch, the newest first.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    closed_to: str | None = None
    private: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    history: dict[str, list[str]] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], ref: str = "main") -> str:
        """Add a commit to a branch, with these files and no others, and return its id.

        The id follows from the files and the commit before it, so the same steps give the same ids.
        """
        digest = hashlib.sha1(self.refs.get(ref, "").encode())
        for path, content in sorted(files.items()):
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
        self.commits[digest.hexdigest()] = dict(files)
        self.refs[ref] = digest.hexdigest()
        self.history.setdefault(ref, []).insert(0, digest.hexdigest())
        return digest.hexdigest()

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch, a tag or a commit's id names; `None` if there is none."""
        return revision if revision in self.commits else self.refs.get(revision)


def blob_id(content: bytes) -> str:
    """Return git's id of a file's content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def key_of(found: Mapping[str, str | None]) -> str:
    """Return by which name a repository is kept, from the parts of a path: a model's begins with `models/`."""
    return f"models/{found['name']}" if found.get("kind") == "models" else str(found["name"])
