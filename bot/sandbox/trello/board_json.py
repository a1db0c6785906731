"""The JSON of the board and of all that is on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bot.sandbox.trello.arguments import STEP
from bot.sandbox.trello.board_rows import comments_of, labels_of
from bot.sandbox.web.call import Call, iso_time
from bot.sandbox.web.uploads import attachments_of

if TYPE_CHECKING:
    from bot.sandbox.seed import Account


def board_json(call: Call) -> dict[str, Any]:
    where = f"{call.base}/b/{call.seed.board.short_link}"
    return {
        "id": call.seed.board.id,
        "name": call.seed.board.name,
        "desc": "",
        "closed": False,
        "pinned": False,
        "starred": False,
        "url": f"{where}/{quote(call.seed.board.name.lower().replace(' ', '-'))}",
        "shortUrl": where,
        "shortLink": call.seed.board.short_link,
    }


def list_json(call: Call, row: Any) -> dict[str, Any]:
    answer = {"id": row.id, "name": row.name, "closed": row.closed, "pos": row.position}
    return answer | {"idBoard": call.seed.board.id, "subscribed": False}


def label_json(call: Call, row: Any) -> dict[str, Any]:
    return {"id": row.id, "idBoard": call.seed.board.id, "name": row.name, "color": row.color}


def card_url(call: Call, row: Any) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")[:60]
    return f"{call.base}/c/{row.short_link}/{row.number}-{slug}"


def card_json(call: Call, row: Any) -> dict[str, Any]:
    comments = len(comments_of(call, row.id))
    files = len(attachments_of(call, row.id))
    known = {one.id: one for one in labels_of(call)}
    cover = {"idAttachmentCover": row.cover} if row.cover else {}
    return cover | {
        "id": row.id,
        "idShort": row.number,
        "shortLink": row.short_link,
        "shortUrl": f"{call.base}/c/{row.short_link}",
        "url": card_url(call, row),
        "name": row.name,
        "desc": row.description,
        "closed": row.closed,
        "idBoard": call.seed.board.id,
        "idList": row.list,
        "idLabels": row.labels,
        "labels": [label_json(call, known[one]) for one in row.labels if one in known],
        "idMembers": row.members,
        "idMembersVoted": [],
        "idChecklists": [],
        "checkItemStates": [],
        "pos": row.position,
        "due": row.due,
        "dueComplete": row.due_complete,
        "dueReminder": None,
        "start": None,
        "dateLastActivity": iso_time(row.updated),
        "subscribed": False,
        "badges": {
            "attachments": files,
            "attachmentsByType": {"trello": {"board": 0, "card": 0}},
            "checkItems": 0,
            "checkItemsChecked": 0,
            "checkItemsEarliestDue": None,
            "comments": comments,
            "description": bool(row.description),
            "due": row.due,
            "dueComplete": row.due_complete,
            "fogbugz": "",
            "lastUpdatedByAi": False,
            "location": False,
            "start": None,
            "subscribed": False,
            "viewingMemberVoted": False,
            "votes": 0,
        },
    }


def action_json(call: Call, row: Any, card: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "card": {"id": card.id, "name": card.name, "idShort": card.number, "shortLink": card.short_link}
    }
    data |= {"board": {"id": call.seed.board.id, "name": call.seed.board.name, "shortLink": call.seed.board.short_link}}
    data |= {name: row.data[name] for name in ("text", "listBefore", "listAfter") if name in row.data}
    if "closed" in row.data:
        data["card"] |= {"closed": row.data["closed"]}
        data["old"] = {"closed": not row.data["closed"]}
    if row.edited:
        data["dateLastEdited"] = iso_time(row.edited)
    author = call.seed.account(row.author) or call.seed.bot
    member = call.seed.trello_id(author)
    return {
        "id": row.id,
        "idMemberCreator": member,
        "type": row.type,
        "date": iso_time(row.at),
        "data": data,
        "memberCreator": {
            "id": member,
            "fullName": author.display_name,
            "username": author.name,
            "initials": initials_of(author),
        },
    }


def attachment_id(row: Any) -> str:
    """Return an attachment's id in Trello's form, from which the row's can be read back."""
    return f"{int(row.created):08x}{row.id:016x}"


def attachment_url(call: Call, row: Any) -> str:
    if row.url:
        return str(row.url)
    return f"{call.base}/1/cards/{row.owner}/attachments/{attachment_id(row)}/download/{quote(row.filename)}"


def attachment_json(call: Call, row: Any) -> dict[str, Any]:
    return {
        "id": attachment_id(row),
        "bytes": row.size,
        "date": iso_time(row.created),
        "idMember": call.seed.trello_member,
        "isUpload": not row.url,
        "mimeType": "" if row.url else row.media_type,
        "name": row.filename,
        "previews": [],
        "url": attachment_url(call, row),
        "pos": STEP,
    }


def initials_of(account: Account) -> str:
    return "".join(word[0] for word in account.display_name.split())


def member_json(call: Call, account: Account) -> dict[str, Any]:
    return {
        "id": call.seed.trello_id(account),
        "username": account.name,
        "fullName": account.display_name,
        "initials": initials_of(account),
        "avatarUrl": f"{call.base}/avatar/{account.name}",
        "bio": "",
        "memberType": "normal",
        "confirmed": True,
        "status": "disconnected",
        "url": f"{call.base}/u/{account.name}",
        "idBoards": [call.seed.board.id],
    }
