"""A server on this machine for the requests of `huggingface_hub` for models and data sets."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants


@dataclass
class Repository:
    """A repository: files by path for each commit, and its branches and tags."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    access: str = "public"
    """Or `private`, or `gated`."""

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        sha = hashlib.sha1(repr((len(self.commits), sorted(files.items()))).encode()).hexdigest()
        self.commits[sha] = dict(files)
        self.refs[branch] = sha
        return sha

    def resolved(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)


class HubServer:
    """Serves `models` and `datasets`, repositories by name."""

    def __init__(self) -> None:
        self.models: dict[str, Repository] = {}
        self.datasets: dict[str, Repository] = {}
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(f"{self.command} {self.path}")
                server.respond(self)

            do_HEAD = do_GET  # noqa: N815 - names of the base class
            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers["Content-Length"] or 0)
        body = handler.rfile.read(length)
        path = unquote(urlsplit(handler.path).path)
        api = re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/(.+))?", path)
        resolve = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if api:
            kind, name, what, rest = api.groups()
            self._api(handler, self._find(kind, name), name, what or "revision", rest or "main", body)
        elif resolve:
            kind, name, revision, file = resolve.groups()
            self._file(handler, self._find("datasets" if kind else "models", name), revision, file)
        else:
            self._error(handler, 404, "EntryNotFound")

    def _find(self, kind: str, name: str) -> Repository | None:
        return (self.models if kind == "models" else self.datasets).get(name)

    def _refused(self, handler: BaseHTTPRequestHandler, repository: Repository | None) -> bool:
        if repository is None or repository.access == "private":
            self._error(handler, 401, "RepoNotFound")
        elif repository.access == "gated":
            self._error(handler, 403, "GatedRepo")
        else:
            return False
        return True

    def _api(
        self,
        handler: BaseHTTPRequestHandler,
        repository: Repository | None,
        name: str,
        what: str,
        rest: str,
        body: bytes,
    ) -> None:
        if self._refused(handler, repository):
            return
        revision, _, below = rest.partition("/")
        sha = repository.resolved(revision)
        if sha is None:
            self._error(handler, 404, "RevisionNotFound")
            return
        files = repository.commits[sha]
        if what == "revision":
            siblings = [{"rfilename": path} for path in files]
            described = {"id": name, "modelId": name, "sha": sha, "siblings": siblings, "private": False}
            self._json(handler, {**described, "disabled": False, "gated": False, "tags": []})
            return
        entries = [_entry(path, data) for path, data in files.items()]
        folders = {
            "/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)
        }
        entries += [
            {"type": "directory", "path": each, "oid": "0" * 40, "size": 0} for each in sorted(folders)
        ]
        if what == "paths-info":
            wanted = set(json.loads(body)["paths"]) if body.startswith(b"{") else _form(body)
            self._json(handler, [each for each in entries if each["path"] in wanted])
            return
        if below and below not in folders:
            self._error(handler, 404, "EntryNotFound")
            return
        prefix = f"{below}/" if below else ""
        within = [each for each in entries if each["path"].startswith(prefix)]
        if "recursive=true" not in handler.path.lower():
            within = [each for each in within if "/" not in each["path"][len(prefix) :]]
        self._json(handler, within)

    def _file(
        self, handler: BaseHTTPRequestHandler, repository: Repository | None, revision: str, file: str
    ) -> None:
        if self._refused(handler, repository):
            return
        sha = repository.resolved(revision)
        if sha is None:
            self._error(handler, 404, "RevisionNotFound")
            return
        if file not in repository.commits[sha]:
            self._error(handler, 404, "EntryNotFound", sha)
            return
        data = repository.commits[sha][file]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers["Range"] or "")
        start, end = (int(wanted[1]), int(wanted[2] or len(data) - 1)) if wanted else (0, len(data) - 1)
        part = data[start : end + 1]
        handler.send_response(206 if wanted else 200)
        handler.send_header("Content-Length", str(len(part)))
        if wanted:
            handler.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(data)}")
        handler.send_header("ETag", f'"{_blob(data)}"')
        handler.send_header("X-Repo-Commit", sha)
        handler.send_header("Accept-Ranges", "bytes")
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(part)

    def _json(self, handler: BaseHTTPRequestHandler, value: object) -> None:
        text = json.dumps(value).encode()
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(text)

    def _error(self, handler: BaseHTTPRequestHandler, status: int, code: str, sha: str = "") -> None:
        handler.send_response(status)
        handler.send_header("X-Error-Code", code)
        handler.send_header("X-Error-Message", code)
        if sha:
            handler.send_header("X-Repo-Commit", sha)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def _entry(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}


def _blob(data: bytes) -> str:
    """The hash that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _form(body: bytes) -> set[str]:
    from urllib.parse import parse_qs

    return set(parse_qs(body.decode()).get("paths", []))


@contextmanager
def serving_hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[HubServer]:
    """A Hub on this machine that `huggingface_hub` uses, with an empty cache."""
    server = HubServer()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    try:
        yield server
    finally:
        server.close()
