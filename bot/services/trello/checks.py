"""Whether a Trello board lets Herald do what it will have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from bot.domain.checks import Check
from bot.errors import AccountError, IntegrationError, PermanentError
from bot.services.answer_checks import check_names
from bot.services.checks import PROBE, TicketWants, check_clock, listed, unanswered, unsaid, walled
from bot.services.evidence import json_in
from bot.services.trello.answers import looks_on_only, member_name
from bot.services.trello.board import missing_lists
from bot.services.trello.config import TrelloSection
from bot.services.trello.connection import TrelloConnection
from bot.services.trello.people import TrelloPeople
from bot.services.trello.tracker import TrelloTracker


def check_trello(config: TrelloSection, wants: TicketWants, now: datetime, *, fix: bool) -> Iterator[Check]:
    """Look at everything that a card's life leans on; with *fix*, make the lists and labels that are missing."""
    link = TrelloConnection(config)
    try:
        name, headers = link.wire.read(
            "say who we are",
            partial(link.request, "GET", "members/me"),
            lambda answer: (member_name(json_in(answer)), answer.headers),
        )
    except IntegrationError as error:
        yield from unanswered(error, config.base)
        return
    yield Check("address", ok=True, said=f"{config.base} answers")
    if (clock := check_clock(headers, now)) is not None:
        yield clock
    yield Check("credentials", ok=True, said=f"we are {name}")
    try:
        board = link.board()
    except (PermanentError, AccountError) as error:
        remedy = "Check board (the letters after /b/ in its address), and let the account see it."
        yield Check("board", ok=False, said=str(error), remedy=remedy)
        return
    except IntegrationError as error:
        yield Check("board", ok=False, said=str(error), remedy="Run `herald doctor` again; if it stays, ask its admin.")
        return
    yield _judge_board(board)
    yield _judge_membership(board)
    if not board.get("closed"):
        may = not looks_on_only(board)
        yield from walled("lists", partial(_check_lists, link, config, str(board["id"]), fix=fix and may))
        yield from walled("labels", partial(_check_labels, link, str(board["id"]), wants, fix=fix and may))
        yield from walled("cards", partial(_check_cards, link, config))
        if config.answers.listen:
            yield from walled("answers", partial(_check_answers, link, config), asks="Trello")


def _judge_membership(board: Mapping[str, Any]) -> Check:
    if not isinstance(board.get("memberships"), list):
        return unsaid("may write", "Trello")
    may = not looks_on_only(board)
    remedy = "" if may else "Make the account a normal member of the board."
    return Check("may write", ok=may, said="yes" if may else "the account may only look on", remedy=remedy)


def _check_cards(link: TrelloConnection, config: TrelloSection) -> Iterator[Check]:
    """List the cards as they are listed when one is looked for whose creation ended in doubt."""
    if not missing_lists(link.lists(), config.lists):  # said above
        TrelloTracker(config).find(PROBE)
    yield Check("cards", ok=True, said="are shown")


def _check_answers(link: TrelloConnection, config: TrelloSection) -> Iterator[Check]:
    """Hold the names that config maps against lists and labels, and look at who may give commands."""
    lists, labels = link.lists(), link.labels()
    known = [*(each.list_id for each in lists), *(each.name for each in lists), *labels.values(), *labels, "Archived"]
    yield from check_names(config.answers, [each for each in known if each], "list or label", "the board")
    people, name = TrelloPeople(config, link), "who may give commands"
    if config.answers.people.speakers.is_open and not people.kinds():
        remedy = "Let the account see who is on the board, or list who may in answers.people."
        yield Check(name, ok=False, said="Trello does not show us the members of the board", remedy=remedy)
        return
    yield Check(
        name, ok=True, said="the board's members" if config.answers.people.speakers.is_open else "as config says"
    )


def _judge_board(board: Mapping[str, Any]) -> Check:
    if board.get("closed"):
        return Check(
            "board",
            ok=False,
            said=f"{board.get('name', 'the board')} is closed",
            remedy="Open it again, or name another.",
        )
    return Check("board", ok=True, said=str(board.get("name", "is shown")))


def _check_lists(link: TrelloConnection, config: TrelloSection, board_id: str, *, fix: bool) -> Iterator[Check]:
    found = link.lists()
    absent = missing_lists(found, config.lists)
    for state, name in absent:
        if fix:
            link.make_list(board_id, name)
            yield Check(f"list {state}", ok=True, said=f"made: {name}")
        else:
            said = f"the board has no list {name!r}; it has {listed([each.name for each in found])}"
            remedy = f"Set lists.{state}, or let `herald doctor --fix` make the list."
            yield Check(f"list {state}", ok=False, said=said, remedy=remedy)
    if not absent:
        yield Check("lists", ok=True, said=listed(list(config.lists.model_dump().values())))


def _check_labels(link: TrelloConnection, board_id: str, wants: TicketWants, *, fix: bool) -> Iterator[Check]:
    """Look for the labels that cards will bear; the tracker makes a missing one too, but in a colour of its own."""
    wanted = list(dict.fromkeys([*wants.labels, *wants.components, *wants.priorities]))
    if not wanted:
        return
    absent = [name for name in wanted if name not in link.labels()]
    if absent and fix:
        for name in absent:
            link.make_label(board_id, name)
        yield Check("labels", ok=True, said=f"made: {listed(absent)}")
        return
    said = f"the board has no {listed(absent)}" if absent else listed(wanted)
    remedy = "Make them in colours you like, or let `herald doctor --fix` do so." if absent else ""
    yield Check("labels", ok=not absent, said=said, remedy=remedy)
