"""How a ticket comes into a state: by the transitions that its workflow offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bot.domain.capabilities import TicketState
from bot.errors import PermanentError
from bot.services.evidence import nothing_in
from bot.services.jira.answers import easiest, resolution_for
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import JiraConnection, quoted_path

_BAD_REQUEST = 400


def move_by_transitions(
    link: JiraConnection, config: JiraSection, key: str, current: TicketState, state: TicketState, resolution: str
) -> None:
    """Take the transition that leads to *state*, or, in a workflow without one, two by way of work in progress."""
    if current is state:
        return
    choose = partial(_choose, config)
    offered = link.transitions(key)
    chosen = choose(offered, state)
    if chosen is None and TicketState.DOING not in (current, state):
        step = choose(offered, TicketState.DOING)
        if step is not None:
            _arrive(link, config, key, step, {})
            offered = link.transitions(key)
            chosen = choose(offered, state)
    if chosen is None:
        names = ", ".join(f"{each['name']} (to {each['to']['name']})" for each in offered) or "none"
        raise PermanentError(
            f"{key} cannot be moved to a status of the category {state}: the transitions that its workflow offers "
            f"this account are {names}."
        )
    is_done = state is TicketState.DONE
    _arrive(link, config, key, chosen, {"resolution": {"name": resolution}} if is_done else {})


def _choose(config: JiraSection, offered: Sequence[Mapping[str, Any]], state: TicketState) -> Mapping[str, Any] | None:
    return easiest(offered, state, config.transitions.into(state), config.transition_fields)


def _arrive(
    link: JiraConnection, config: JiraSection, key: str, transition: Mapping[str, Any], resolved: Mapping[str, Any]
) -> None:
    """Take the transition, and fill of its screen what config gives and, where *resolved* holds one, the resolution."""
    screen = transition.get("fields") or {}
    given = {**config.transition_fields, **resolved}
    fields = {name: value for name, value in config.transition_fields.items() if name in screen}
    if resolved:
        fields |= resolution_for(transition, resolved["resolution"]["name"])
    try:
        _transit(link, key, transition, fields)
    except PermanentError as error:
        # What a screen demands or forbids is listed incompletely: once more, the other way round.
        if not given or error.status != _BAD_REQUEST:
            raise
        turned = error.fields.keys() & given.keys() or given.keys()
        again = {
            name: fields.get(name, value) for name, value in given.items() if (name in fields) is not (name in turned)
        }
        try:
            _transit(link, key, transition, again)
        except PermanentError:
            raise error from None


def _transit(link: JiraConnection, key: str, transition: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    body: dict[str, Any] = {"transition": {"id": str(transition["id"])}}
    if fields:
        body["fields"] = fields
    send = partial(link.post, f"issue/{quoted_path(key)}/transitions", body)
    link.wire.read(f"move {key} by the transition {transition['name']}", send, nothing_in, write=True)
