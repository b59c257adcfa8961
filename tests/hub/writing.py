"""The routes of the Hub's API that publishing needs: repositories, large files, commits, branches, collections.

What the installed `huggingface_hub` asks for where `hf_xet` is off, no more.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from hub.messages import Repositories, Request, Response, Route
from hub.reading import locate
from hub.repositories import Repository, blob_id, key_of

_LFS_FROM = 1000
"""From how many bytes on a file is sent apart from the commit, as is one whose name says so. On the Hub, 10 MB."""

_SLUG = "(?P<slug>[^/]+/[^/]+)"


@dataclass
class Accounts:
    """Who may write where, and the collections.

    Attributes:
        users: by token: the user's name.
        roles: by token: `write`, or `read`.
        collections: by slug.
    """

    users: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    collections: dict[str, dict[str, object]] = field(default_factory=dict)

    def refusal(self, request: Request, namespace: str) -> Response | None:
        """Return the Hub's answer to somebody who may not write to a namespace; `None` to one who may."""
        if request.token not in self.users:
            return Response.error(401, "", "Invalid username or password.")
        if self.users[request.token] != namespace or self.roles.get(request.token) == "read":
            return Response.error(403, "", f"You don't have the rights to write to the namespace {namespace}")
        return None


def routes(accounts: Accounts) -> tuple[Route, ...]:
    """Return the routes of a Hub with these accounts."""
    name = "(?P<name>[^/]+/[^/]+)"
    api = f"/api/(?P<kind>datasets|models)/{name}"
    git = f"/((?P<kind>datasets)/)?{name}\\.git"

    def guarded(
        route: Callable[[Repository, Request, Mapping[str, str]], Response],
    ) -> Callable[[Repositories, Request, Mapping[str, str]], Response]:
        def answer(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
            kind = found.get("kind") or "models"  # an address without one is a model's
            named = {**found, "kind": kind}
            refusal = accounts.refusal(request, found["name"].partition("/")[0])
            if refusal is not None:
                return refusal
            repository = repositories.get(key_of(named))
            if repository is None:
                return Response.error(404, "RepoNotFound", "Repository not found")
            return route(repository, request, named)

        return answer

    return (
        ("GET", "/api/whoami-v2", lambda _, request, found: _whoami(accounts, request)),
        ("POST", "/api/repos/create", lambda repositories, request, _: _create(accounts, repositories, request)),
        ("POST", "/api/validate-yaml", lambda *_: Response.of_json({"errors": [], "warnings": []})),
        ("POST", f"{api}/preupload/(?P<revision>[^/]+)", guarded(_preupload)),
        ("POST", f"{git}/info/lfs/objects/batch", guarded(_batch)),
        ("PUT", f"/lfs/(?P<kind>datasets|models)/{name}/(?P<digest>[0-9a-f]+)", _upload),
        ("POST", f"{git}/info/lfs/verify", guarded(_verify)),
        ("POST", f"{api}/commit/(?P<revision>[^/]+)", guarded(_commit)),
        ("POST", f"{api}/branch/(?P<revision>[^/]+)", guarded(_branch)),
        ("GET", f"{api}/refs", _refs),
        ("GET", f"{api}/commits/(?P<revision>[^/]+)", _commits),
        ("POST", "/api/collections", lambda _, request, found: _new_collection(accounts, request)),
        (
            "GET",
            f"/api/collections/{_SLUG}",
            lambda _, __, found: Response.of_json(accounts.collections[found["slug"]]),
        ),
        ("POST", f"/api/collections/{_SLUG}/items", lambda _, request, found: _add_item(accounts, request, found)),
    )


def _whoami(accounts: Accounts, request: Request) -> Response:
    if request.token not in accounts.users:
        return Response.error(401, "", "Invalid username or password.")
    role = accounts.roles.get(request.token, "write")
    return Response.of_json(
        {"name": accounts.users[request.token], "orgs": [], "auth": {"accessToken": {"role": role}}}
    )


def _create(accounts: Accounts, repositories: Repositories, request: Request) -> Response:
    asked = json.loads(request.body)
    name = f"{asked['organization']}/{asked['name']}"
    if (refusal := accounts.refusal(request, asked["organization"])) is not None:
        return refusal
    kind = f"{asked.get('type') or 'model'}s"
    key, url = key_of({"kind": kind, "name": name}), f"{request.endpoint}/{'datasets/' * (kind == 'datasets')}{name}"
    if key in repositories:
        return Response.of_json({"error": "You already created this repo", "url": url}, status=409)
    repositories[key] = Repository(private=asked.get("visibility") == "private")
    repositories[key].commit({".gitattributes": b"*.safetensors filter=lfs\n"})
    return Response.of_json({"url": url, "name": name})


def _preupload(repository: Repository, request: Request, found: Mapping[str, str]) -> Response:
    commit = repository.resolve(unquote(found["revision"]))
    files = {} if commit is None else repository.commits[commit]
    answers = []
    for file in json.loads(request.body)["files"]:
        is_large = file["size"] >= _LFS_FROM or file["path"].endswith(".safetensors")
        there = files.get(file["path"])
        oid = None if there is None else hashlib.sha256(there).hexdigest() if is_large else blob_id(there)
        mode = "lfs" if is_large else "regular"
        answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
    return Response.of_json({"files": answers})


def _batch(repository: Repository, request: Request, found: Mapping[str, str]) -> Response:
    """Say for each large file where it is sent to, and nothing for one that is there."""
    objects = []
    for one in json.loads(request.body)["objects"]:
        answer = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] not in repository.objects:
            verify = request.endpoint + request.path.replace("/objects/batch", "/verify")
            href = f"{request.endpoint}/lfs/{found['kind']}/{found['name']}/{one['oid']}"
            answer["actions"] = {"upload": {"href": href}, "verify": {"href": verify}}
        objects.append(answer)
    return Response.of_json({"transfer": "basic", "objects": objects})


def _upload(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    """Take a large file. Its address is signed on the Hub, so no token comes with it."""
    if hashlib.sha256(request.body).hexdigest() != found["digest"]:
        return Response.error(400, "", "the content has another sha256")
    repositories[key_of(found)].objects[found["digest"]] = request.body
    return Response(200)


def _verify(repository: Repository, request: Request, found: Mapping[str, str]) -> Response:
    asked = json.loads(request.body)
    there = repository.objects.get(asked["oid"])
    if there is None or len(there) != asked["size"]:
        return Response.error(404, "", "no such object")
    return Response.of_json({})


def _commit(repository: Repository, request: Request, found: Mapping[str, str]) -> Response:
    """Make a commit of lines of JSON: all of them, or none."""
    branch = unquote(found["revision"])
    head = repository.refs.get(branch)
    if head is None:
        return Response.error(404, "RevisionNotFound", f"Invalid rev id: {branch}")
    files = dict(repository.commits[head])
    for line in request.body.splitlines():
        key, value = (one := json.loads(line))["key"], one["value"]
        if key == "header" and value.get("parentCommit") not in (None, head):
            return Response.error(412, "", "A commit has happened since. Please refresh and try again.")
        if key == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif key == "lfsFile":
            if value["oid"] not in repository.objects:
                return Response.error(400, "", f"Your push was rejected: {value['path']} was not uploaded")
            files[value["path"]] = repository.objects[value["oid"]]
        elif key == "deletedFile":
            if value["path"] not in files:
                return Response.error(404, "EntryNotFound", "A file with this name doesn't exist")
            del files[value["path"]]
    commit = repository.commit(files, branch)
    return Response.of_json({"commitUrl": f"{request.endpoint}/{found['name']}/commit/{commit}", "commitOid": commit})


def _branch(repository: Repository, request: Request, found: Mapping[str, str]) -> Response:
    branch, start = unquote(found["revision"]), json.loads(request.body).get("startingPoint", "main")
    commit = repository.resolve(start)
    if branch in repository.refs:
        return Response.error(409, "", "Reference already exists")
    if commit is None:
        return Response.error(404, "RevisionNotFound", f"Invalid rev id: {start}")
    repository.refs[branch], repository.history[branch] = commit, [commit]
    return Response.of_json({})


def _refs(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    branches = [
        {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit} for name, commit in located[0].refs.items()
    ]
    return Response.of_json({"branches": branches, "converts": [], "tags": []})


def _commits(repositories: Repositories, request: Request, found: Mapping[str, str]) -> Response:
    located = locate(repositories, request, found)
    if isinstance(located, Response):
        return located
    commits = [
        {"id": commit, "authors": [], "date": "2026-11-27T00:00:00.000Z", "title": "", "message": ""}
        for commit in located[0].history[unquote(found["revision"])]
    ]
    return Response.of_json(commits)


def _new_collection(accounts: Accounts, request: Request) -> Response:
    asked = json.loads(request.body)
    if (refusal := accounts.refusal(request, asked["namespace"])) is not None:
        return refusal
    slug = f"{asked['namespace']}/{re.sub('[^a-z0-9]+', '-', asked['title'].lower())}-{'0' * 24}"
    if slug in accounts.collections:
        return Response.of_json({"error": "it exists", "slug": slug}, status=409)
    accounts.collections[slug] = {
        "slug": slug, "title": asked["title"], "owner": {"name": asked["namespace"]}, "items": [], "position": 0,
        "lastUpdated": "2026-11-27T00:00:00.000Z", "private": asked["private"], "theme": "blue", "upvotes": 0,
    }  # fmt: skip
    return Response.of_json(accounts.collections[slug])


def _add_item(accounts: Accounts, request: Request, found: Mapping[str, str]) -> Response:
    collection = accounts.collections[found["slug"]]
    asked = json.loads(request.body)["item"]
    items = collection["items"]
    assert isinstance(items, list)
    items.append({"_id": str(len(items)), "id": asked["id"], "type": asked["type"], "position": len(items)})
    return Response.of_json(collection)
