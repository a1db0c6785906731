"""All addresses of the stand-ins for services that take cards."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bot.sandbox.robots import dingtalk, feishu, html_pages, refusals, teams, wecom
from bot.sandbox.rules import Service
from bot.sandbox.web.site import Routes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.sandbox.web.site import Dialect


@cache
def robots() -> Mapping[Service, tuple[Routes, Dialect]]:
    return {
        Service.TEAMS: (Routes(teams.routes, html_pages.routes), refusals.TEAMS),
        Service.FEISHU: (Routes(feishu.routes, html_pages.routes), refusals.FEISHU),
        Service.DINGTALK: (Routes(dingtalk.routes, html_pages.routes), refusals.DINGTALK),
        Service.WECOM: (Routes(wecom.routes, html_pages.routes), refusals.WECOM),
    }
