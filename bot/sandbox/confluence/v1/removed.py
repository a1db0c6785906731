"""Confluence's older interface: what Cloud has taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.sandbox.confluence.deployments import DeploymentRoutes

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from bot.sandbox.web.call import Call

routes = DeploymentRoutes()


@routes.cloud.on("GET", "/wiki/rest/api/content")
@routes.cloud.on("POST", "/wiki/rest/api/content")
def content_removed(call: Call) -> Response:
    raise call.refuse(410, "This deprecated endpoint has been removed.")


@routes.cloud.on("GET", "/wiki/rest/api/content/<number>")
@routes.cloud.on("PUT", "/wiki/rest/api/content/<number>")
@routes.cloud.on("DELETE", "/wiki/rest/api/content/<number>")
@routes.cloud.on("GET", "/wiki/rest/api/content/<number>/label")
@routes.cloud.on("GET", "/wiki/rest/api/content/<number>/property")
@routes.cloud.on("GET", "/wiki/rest/api/content/<number>/child/attachment")
def one_content_removed(call: Call, number: str) -> Response:  # noqa: ARG001 - the address has it
    raise call.refuse(410, "This deprecated endpoint has been removed.")


@routes.cloud.on("GET", "/wiki/rest/api/space")
def spaces_removed(call: Call) -> Response:
    raise call.refuse(410, "This deprecated endpoint has been removed.")
