"""How a ticket comes into a state: by the transitions that its workflow offers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bot.errors import PermanentError
from bot.ports import TicketState
from bot.services.evidence import nothing_in
from bot.services.jira.answers import easiest, resolution_for
from bot.services.jira.connection import JiraConnection, quoted_path

_BAD_REQUEST = 400


def move_by_transitions(
    link: JiraConnection, key: str, current: TicketState, state: TicketState, resolution: str
) -> None:
    """Take the transition that leads to *state*, or, in a workflow without one, two by way of work in progress."""
    if current is state:
        return
    offered = link.transitions(key)
    chosen = easiest(offered, state)
    if chosen is None and TicketState.DOING not in (current, state):
        step = easiest(offered, TicketState.DOING)
        if step is not None:
            _transit(link, key, step, {})
            offered = link.transitions(key)
            chosen = easiest(offered, state)
    if chosen is None:
        names = ", ".join(f"{each['name']} (to {each['to']['name']})" for each in offered) or "none"
        raise PermanentError(
            f"{key} cannot be moved to a status of the category {state}: the transitions that its workflow offers "
            f"this account are {names}."
        )
    _arrive(link, key, chosen, state, resolution)


def _arrive(link: JiraConnection, key: str, transition: Mapping[str, Any], state: TicketState, resolution: str) -> None:
    """Take the transition, giving a resolution where the ticket is done."""
    fields = resolution_for(transition, resolution) if state is TicketState.DONE else {}
    try:
        _transit(link, key, transition, fields)
    except PermanentError as error:
        # What a screen demands or forbids is listed incompletely: once more, the other way round.
        if state is not TicketState.DONE or error.status != _BAD_REQUEST:
            raise
        try:
            _transit(link, key, transition, {} if fields else {"resolution": {"name": resolution}})
        except PermanentError:
            raise error from None


def _transit(link: JiraConnection, key: str, transition: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    body: dict[str, Any] = {"transition": {"id": str(transition["id"])}}
    if fields:
        body["fields"] = fields
    send = partial(link.post, f"issue/{quoted_path(key)}/transitions", body)
    link.wire.read(f"move {key} by the transition {transition['name']}", send, nothing_in, write=True)
