"""The routes of the Hub's API that reading needs: a repository's commit, its tree, and its files.

What the installed `datasets` and `huggingface_hub` ask for, no more. Pushing has routes of its own, in `writing.py`.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote

from hub.messages import Repositories, Request, Response, Route
from hub.repositories import Repository, blob_id, key_of

_ENTRIES_PER_PAGE = 2
"""The Hub has 1,000. A small page makes every listing here take several."""

_LARGE = 1000
"""From how many bytes on a file is in other storage, to which `resolve` redirects. On the Hub, 10 MB."""


def _repository_info(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """`/api/datasets/<name>` and `.../revision/<revision>`. A gated repository's is open to all."""
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    repository, commit = located
    return Response.of_json(
        {
            "_id": commit[:24],
            "id": found["name"],
            "author": found["name"].partition("/")[0],
            "sha": commit,
            "private": repository.private,
            "gated": "manual" if repository.closed_to else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": [{"rfilename": path} for path in sorted(repository.commits[commit])],
        }
    )


def _auth_check(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """`/api/datasets/<name>/auth-check`: whether this user may read the files."""
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    return _refusal(located[0], found["name"]) or Response.of_json({})


def _tree(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """`/api/datasets/<name>/tree/<revision>/<folder>`: files and folders, in pages joined by a `Link` header."""
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    repository, commit = located
    files, folder = repository.commits[commit], unquote(found["path"] or "")
    prefix = f"{folder}/" if folder else ""
    below = sorted(path for path in files if path.startswith(prefix))
    if folder and not below:
        return Response.error(404, "EntryNotFound", f"{folder} does not exist on {commit}")
    folders = {
        path[: slash.start()] for path in below for slash in re.finditer("/", path) if slash.start() >= len(prefix)
    }
    entries = [_entry(repository, files, path) for path in sorted({*below, *folders})]
    if request.query.get("recursive", "").lower() != "true":
        entries = [one for one in entries if "/" not in str(one["path"]).removeprefix(prefix)]
    start = int(request.query.get("cursor", "0"))
    end = start + _ENTRIES_PER_PAGE
    headers = {}
    if end < len(entries):
        query = "&".join(f"{key}={value}" for key, value in {**request.query, "cursor": str(end)}.items())
        headers["Link"] = f'<{request.endpoint}{request.path}?{query}>; rel="next"'
    return Response.of_json(entries[start:end], headers)


def _paths_info(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """`POST /api/datasets/<name>/paths-info/<revision>` with a form that names paths."""
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    repository, commit = located
    files = repository.commits[commit]
    asked = [path.rstrip("/") for path in parse_qs(request.body.decode()).get("paths", [])]
    known = [path for path in asked if path in files or any(one.startswith(f"{path}/") for one in files)]
    return Response.of_json([_entry(repository, files, path) for path in known])


def _file(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """`/datasets/<name>/resolve/<revision>/<path>`: a file, or the part of it that a `Range` header asks for.

    A path without `datasets` is a model's.
    """
    found = {**found, "kind": found.get("kind") or "models"}
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    repository, commit = located
    if (refusal := _refusal(repository, found["name"])) is not None:
        return refusal
    content = repository.commits[commit].get(unquote(found["path"]))
    if content is None:
        return Response.error(404, "EntryNotFound", f"{unquote(found['path'])} does not exist on {commit}")
    headers = {"ETag": f'"{blob_id(content)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
    if len(content) < _LARGE:
        return _part(content, request, headers)
    digest = hashlib.sha256(content).hexdigest()
    linked = f'"{digest}"' if digest in repository.objects else headers["ETag"]
    headers = {"X-Linked-ETag": linked, "X-Linked-Size": str(len(content)), "X-Repo-Commit": commit}
    return Response(
        302, b"", headers | {"Location": f"{request.endpoint}/large/{key_of(found)}/{commit}/{found['path']}"}
    )


def _large_file(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """Where `resolve` sends the reader of a large file, on the Hub another host."""
    content = repositories[key_of(found)].commits[found["revision"]][unquote(found["path"])]
    # Of the same host here, so that a redirect is followed where the Hub's is not: the commit is asked for once more.
    headers = {"ETag": f'"{blob_id(content)}"', "Accept-Ranges": "bytes", "X-Repo-Commit": found["revision"]}
    return _part(content, request, headers)


def _part(content: bytes, request: Request, headers: Mapping[str, str]) -> Response:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None:
        return Response(200, content, headers)
    start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
    if start >= len(content):
        return Response(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    place = {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
    return Response(206, content[start : end + 1], {**headers, **place})


def _refusal(repository: Repository, name: str) -> Response | None:
    if repository.closed_to is None:
        return None
    status = {"strangers": 401, "members": 403}[repository.closed_to]
    return Response.error(status, "GatedRepo", f"Access to dataset {name} is restricted")


def locate(
    repositories: Repositories, request: Request, found: Mapping[str, str]
) -> tuple[Repository, str] | Response:
    """Return the repository and the commit that a path names, or the Hub's error."""
    repository = repositories.get(key_of(found))
    if repository is None or (repository.private and not request.token):
        # The Hub does not tell a stranger whether it is private.
        return Response.error(401, "RepoNotFound", "Repository not found")
    revision = unquote(found.get("revision") or "main")
    commit = repository.resolve(revision)
    if commit is None:
        return Response.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return repository, commit


def _entry(repository: Repository, files: Mapping[str, bytes], path: str) -> dict[str, object]:
    if path not in files:
        return {"type": "directory", "oid": blob_id(path.encode()), "size": 0, "path": path}
    content, digest = files[path], hashlib.sha256(files[path]).hexdigest()
    entry: dict[str, object] = {"type": "file", "oid": blob_id(content), "size": len(content), "path": path}
    if digest in repository.objects:  # git has a pointer in its place
        entry |= {"oid": blob_id(digest.encode()), "lfs": {"oid": digest, "size": len(content), "pointerSize": 134}}
    return entry


_NAME = "(?P<name>[^/]+/[^/]+)"
_API = f"/api/(?P<kind>datasets|models)/{_NAME}"

ROUTES: tuple[Route, ...] = (
    ("GET", f"{_API}(/revision/(?P<revision>[^/]+))?", _repository_info),
    ("GET", f"{_API}/auth-check", _auth_check),
    ("GET", f"{_API}/tree/(?P<revision>[^/]+)(/(?P<path>.+))?", _tree),
    ("POST", f"{_API}/paths-info/(?P<revision>[^/]+)", _paths_info),
    ("GET|HEAD", f"(/(?P<kind>datasets))?/{_NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _file),
    ("GET|HEAD", f"/large(/(?P<kind>models))?/{_NAME}/(?P<revision>[^/]+)/(?P<path>.+)", _large_file),
)
