"""How the robots' services say no, and to whom: each reads its own secret, so everybody comes in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from bot.sandbox.web.call import json_answer
from bot.sandbox.web.site import Dialect

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from bot.sandbox.seed import Account, SandboxSeed


def _authenticate(_request: Request, seed: SandboxSeed) -> Account | None:
    return seed.bot


def workflow_error(status: int, code: str, text: str) -> Response:
    return json_answer({"error": {"code": code, "message": text}}, status)


def feishu_error(code: int, text: str, status: int = 200) -> Response:
    return json_answer({"code": code, "msg": text, "data": {}}, status)


def robot_error(code: int, text: str) -> Response:
    """Refuse as the robots of DingTalk and WeCom do."""
    return json_answer({"errcode": code, "errmsg": text})


def dingtalk_error(status: int, code: str, text: str) -> Response:
    return json_answer({"code": code, "message": text, "requestid": "0B1A2C3D-SANDBOX"}, status)


def _teams(status: int, text: str, _path: str) -> Response:
    return workflow_error(status, "WorkflowNotFound" if status == 404 else "BadRequest", text)  # noqa: PLR2004


def _feishu(status: int, text: str, _path: str) -> Response:
    return feishu_error(9499, text, status)


def _dingtalk(status: int, text: str, path: str) -> Response:
    if path.startswith("/robot"):
        return robot_error(-1, text)
    return dingtalk_error(status, "InvalidAction.NotFound" if status == 404 else "param.error", text)  # noqa: PLR2004


def _wecom(_status: int, text: str, _path: str) -> Response:
    return robot_error(40008, text)


_REFUSED = partial(json_answer, {"code": "InvalidAuthentication", "message": "no"}, 401)
TEAMS, FEISHU, DINGTALK, WECOM = (
    Dialect(_authenticate, each, _REFUSED) for each in (_teams, _feishu, _dingtalk, _wecom)
)
