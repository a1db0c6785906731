"""The stand-in's own addresses under /_sandbox/: faults, rules, plans, limits, and the request log."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from bot.sandbox.faults.plans import FaultKind, FaultPlan, Faults, RateLimit, make_fault
from bot.sandbox.rules import Rulebook, Service
from bot.sandbox.web.call import json_answer

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response


class Admin:
    """Answers what a test, or a person with curl, asks of the stand-in itself."""

    def __init__(self, rulebook: Rulebook, faults: Faults) -> None:
        self._rulebook = rulebook
        self._faults = faults

    def __call__(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except (ValueError, TypeError, RecursionError) as error:
            return json_answer({"error": str(error)}, 400)

    def _answer(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")[1:]
        match request.method, parts:
            case "POST", ["faults"]:
                self._faults.add(make_fault(_body(request)))
            case "DELETE", ["faults"]:
                self._faults.clear()
            case "POST", ["plan"]:
                self._faults.follow(_plan(_body(request)))
            case "POST", ["limits"]:
                given = _body(request)
                self._faults.limit(RateLimit(**{**given, "service": Service(str(given.get("service")))}))
            case "GET", ["rules"]:
                return json_answer({one.value: asdict(self._rulebook.of(one)) for one in Service})
            case "POST", ["rules", service]:
                self._rulebook.change(Service(service), **_body(request))
            case "DELETE", ["rules"]:
                self._rulebook.reset()
            case "GET", ["requests"]:
                wanted = request.args.get("service")
                found = self._faults.requests(Service(wanted) if wanted else None)
                return json_answer({"requests": [asdict(one) for one in found]})
            case "DELETE", ["requests"]:
                self._faults.forget_requests()
            case _:
                return json_answer({"error": f"{request.method} /{'/'.join(parts)}: no such call"}, 404)
        return json_answer({"done": True})


def _body(request: Request) -> dict[str, Any]:
    """Read a JSON object; only that media type, so that no web page elsewhere can send one by a form."""
    if request.mimetype != "application/json":
        raise ValueError("Content-Type must be application/json")
    value = json.loads(request.get_data())
    if not isinstance(value, dict):
        raise TypeError("the body must be a JSON object")
    return value


def _plan(given: dict[str, Any]) -> FaultPlan:
    known = {one.name for one in fields(FaultPlan)}
    for name in given:
        if name not in known:
            raise ValueError(f"{name}: a plan has no such part; there are {', '.join(sorted(known))}")
    if "kinds" in given:
        given["kinds"] = tuple(FaultKind(one) for one in given["kinds"])
    if "services" in given:
        given["services"] = tuple(Service(one) for one in given["services"])
    if "methods" in given:
        given["methods"] = tuple(given["methods"])
    return FaultPlan(**given)
