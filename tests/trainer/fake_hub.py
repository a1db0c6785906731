"""A hub of models as its client asks for them: info, tree, and the files of a commit."""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

SILENCE = 4.0  # seconds


@dataclass(frozen=True, slots=True)
class FakeHub:
    """Knows one model at one commit; the model NAME-silent is never answered for."""

    server: HTTPServer
    name: str
    folder: Path
    commit: str

    @property
    def url(self) -> str:
        return self.server.url_for("").rstrip("/")

    def asked(self) -> list[str]:
        """Give what was asked for, repeats and order left out, and forget it."""
        found = sorted({request.path for request, _ in self.server.log})
        self.server.clear_log()
        return found

    def answer(self, request: Request) -> Response:
        if request.path.startswith(f"/api/models/{self.name}-silent"):
            time.sleep(SILENCE)
        known = rf"/api/models/{self.name}(?:/(?P<what>revision|tree)/(?P<revision>[^/]+))?"
        if asked := re.fullmatch(known, request.path):
            if asked["revision"] not in (None, "main", self.commit):
                return Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
            return _as_json(self._tree() if asked["what"] == "tree" else self._info())
        if asked := re.fullmatch(rf"/{self.name}/resolve/{self.commit}/(?P<path>.+)", request.path):
            return self._file(self.folder / asked["path"])
        return Response(status=404, headers={"X-Error-Code": "RepoNotFound"})

    def _info(self) -> dict[str, object]:
        return {"id": self.name, "sha": self.commit, "siblings": [{"rfilename": one["path"]} for one in self._tree()]}

    def _tree(self) -> list[dict[str, object]]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [
            {
                "type": "file",
                "path": path.relative_to(self.folder).as_posix(),
                "size": path.stat().st_size,
                "oid": _digest(path),
            }
            for path in files
        ]

    def _file(self, path: Path) -> Response:
        headers = {"ETag": f'"{_digest(path)}"', "X-Repo-Commit": self.commit}
        return Response(path.read_bytes(), headers=headers, mimetype="application/octet-stream")


@contextmanager
def serving(name: str, folder: Path) -> Iterator[FakeHub]:
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as server:
        hub = FakeHub(server, name, folder, commit=hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest())
        server.expect_request(re.compile(".*")).respond_with_handler(hub.answer)
        yield hub


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def _as_json(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")
