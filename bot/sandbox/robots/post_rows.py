"""What robots were sent, as rows, and whether one may send more just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from bot.sandbox.robots.tables import post

if TYPE_CHECKING:
    from bot.sandbox.web.call import Call

_MINUTE, _SECOND = 60.0, 1.0


def add_post(call: Call, place: str, said: Any, *, key: str | None = None, taken: bool = True) -> int:
    row = {"service": call.service.value, "place": place, "key": key, "said": said, "at": call.now, "taken": taken}
    made = call.db.execute(post.insert().values(**row)).inserted_primary_key
    assert made is not None
    return int(made[0])


def post_of(call: Call, *, key: str | None = None, number: int | None = None) -> Any | None:
    """Find a post by its key, or by its number."""
    which = post.c.key == key if number is None else post.c.id == number
    return call.db.execute(select(post).where(post.c.service == call.service.value, which)).first()


def edit_post(call: Call, row: Any, said: Any) -> None:
    call.db.execute(post.update().where(post.c.id == row.id).values(said=said, edited=call.now))


def posts(call: Call) -> list[Any]:
    """List what was taken, oldest first."""
    taken = select(post).where(post.c.service == call.service.value, post.c.taken)
    return list(call.db.execute(taken.order_by(post.c.id)))


def is_too_fast(call: Call, place: str) -> bool:
    """Say whether the place has had as much as it takes in a minute, or in a second."""
    rules = call.rulebook.robots(call.service)
    return _is_above(call, place, _MINUTE, rules.per_minute) or _is_above(call, place, _SECOND, rules.per_second)


def is_silent(call: Call, place: str, seconds: float) -> bool:
    """Say whether the place was too fast in the last *seconds*."""
    return bool(_count(call, place, seconds, taken=False))


def _is_above(call: Call, place: str, seconds: float, limit: int) -> bool:
    return bool(limit) and _count(call, place, seconds, taken=True) >= limit


def _count(call: Call, place: str, seconds: float, *, taken: bool) -> int:
    where = (
        post.c.service == call.service.value,
        post.c.place == place,
        post.c.at > call.now - seconds,
        post.c.at <= call.now,
        post.c.taken == taken,
    )
    return int(call.db.execute(select(func.count()).select_from(post).where(*where)).scalar_one())
