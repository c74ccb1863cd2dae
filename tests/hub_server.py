"""A small Hub on loopback: the few calls that huggingface_hub makes to make a repository, write to it and read from it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"


@dataclass
class Hub:
    """What lies on it: repository → revision → path → content; the last revision is `main`."""

    address: str = ""
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    """Method and path of every request."""

    def revision(self, repo: str, name: str) -> str | None:
        revisions = self.repositories.get(repo, {})
        return name if name in revisions else list(revisions)[-1] if name == "main" and revisions else None

    def commit(self, repo: str, changed: dict[str, bytes]) -> str:
        revisions = self.repositories.setdefault(repo, {})
        files = {**(list(revisions.values())[-1] if revisions else {}), **changed}
        named = hashlib.sha1(json.dumps([len(revisions), repo, sorted(files)]).encode()).hexdigest()
        revisions[named] = files
        return named


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self._path()
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            values = json.loads(body)
            repo = "/".join(part for part in (values.get("organization"), values["name"]) if part)
            if repo in self.hub.repositories:
                return self._json(
                    409, {"error": "You already created this model repo", "url": f"{self.hub.address}/{repo}"}
                )
            self.hub.repositories[repo] = {}
            self.hub.private |= (
                {repo} if values.get("visibility", values.get("private")) in ("private", True) else set()
            )
            return self._json(200, {"url": f"{self.hub.address}/{repo}", "id": repo})
        if path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        repo = "/".join(path.split("/")[3:5])
        if repo not in self.hub.repositories:
            return self._json(404, {"error": "Repository not found"}, {"x-error-code": "RepoNotFound"})
        if "/preupload/" in path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self._json(200, {"files": files})
        lines = [json.loads(line) for line in body.splitlines() if line]
        files = [line["value"] for line in lines if line["key"] == "file"]
        oid = self.hub.commit(repo, {one["path"]: base64.b64decode(one["content"]) for one in files})
        url = f"{self.hub.address}/{repo}/commit/{oid}"
        return self._json(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self._path().strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repo, name = "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main"
            if (revision := self.hub.revision(repo, name)) is None:
                return self._missing(repo)
            files = [{"rfilename": path} for path in self.hub.repositories[repo][revision]]
            return self._json(200, {"id": repo, "modelId": repo, "sha": revision, "private": False, "siblings": files})
        repo, name, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        if (revision := self.hub.revision(repo, name)) is None:
            return self._missing(repo)
        if (content := self.hub.repositories[repo][revision].get(path)) is None:
            return self._json(
                404, {"error": "Entry not found"}, {"x-error-code": "EntryNotFound", "x-repo-commit": revision}
            )
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        return self._send(200, content, {"x-repo-commit": revision, "etag": etag, "accept-ranges": "bytes"})

    def _missing(self, repo: str) -> None:
        known = repo in self.hub.repositories
        error = ("Revision not found", "RevisionNotFound") if known else ("Repository not found", "RepoNotFound")
        self._json(404, {"error": error[0]}, {"x-error-code": error[1]})

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    def _json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that nobody has written to."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
