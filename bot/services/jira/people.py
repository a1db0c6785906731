"""Who people are to a Jira, and who of them may give commands in a project."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.domain.rules import Person
from bot.errors import AccountError, PermanentError
from bot.ports import Speakers
from bot.services.evidence import held_in, id_in, object_in, prove, rows_in, text_in
from bot.services.jira.config import JiraSection
from bot.services.jira.connection import JiraConnection, quoted_path
from bot.services.last_seen import BRIEFLY, LastSeen
from bot.services.refusals import lacks_scope

_OF_GROUP = "atlassian-group-role-actor"
_APP = "app"  # the type of accounts that no person has, on Cloud
_A_FEW = 50
_MOST = 1_000  # people whose names hold what is looked for
_UNTOLD = {403, 404}


def person_in(user: Any) -> Person:
    """Read somebody, whom Cloud knows by `accountId` and Data Center by `name`."""
    prove(isinstance(user, Mapping), "shows nobody")
    account = next((str(user[name]) for name in ("accountId", "name", "key") if user.get(name)), "")
    prove(account != "", "shows nobody")
    return Person(account, str(user.get("displayName") or ""), is_app=user.get("accountType") == _APP)


def author_in(user: Any) -> Person:
    """Read who wrote something: nobody, where the account is gone or never was one."""
    if not isinstance(user, Mapping) or not any(user.get(name) for name in ("accountId", "name", "key")):
        return Person("", str(user.get("displayName") or "") if isinstance(user, Mapping) else "")
    return person_in(user)


@dataclass(frozen=True, slots=True)
class Role:
    """Who is in a role of a project."""

    name: str
    accounts: frozenset[str]
    groups: frozenset[str]


class JiraPeople:
    """Tells whether somebody may give commands: no, wherever Jira does not say so for certain."""

    def __init__(self, config: JiraSection, link: JiraConnection) -> None:
        self._config = config
        self._link = link
        self._known: LastSeen[bool] = LastSeen(BRIEFLY)
        self._me: Person | None = None

    def me(self) -> Person:
        if self._me is None:
            self._me = self._link.get("show who we are", "myself", person_in)
        return self._me

    def may_speak(self, person: Person, speakers: Speakers) -> bool:
        if person.is_app or not person.account:
            return False
        key = repr((person.account, speakers))
        known = self._known.see(key)
        if known is None:
            known = self._asked(person.account, speakers)
            self._known.keep(key, known)
        return known

    def _asked(self, account: str, speakers: Speakers) -> bool:
        try:
            return self.is_assignable(account) if speakers.is_open else self._is_among(account, speakers)
        except (PermanentError, AccountError) as error:
            if error.status in _UNTOLD or lacks_scope(error):
                return False  # the doctor says which permission is missing
            raise

    def _is_among(self, account: str, speakers: Speakers) -> bool:
        if account in speakers.accounts:
            return True
        wanted = set(speakers.groups)
        for role in self.roles(speakers.roles):
            if account in role.accounts:
                return True
            wanted |= role.groups
        return bool(wanted) and not wanted.isdisjoint(self.groups_of(account))

    def is_assignable(self, account: str) -> bool:
        """Say whether tickets of the project can be assigned to somebody who is active."""
        is_cloud = self._config.deployment == "cloud"
        found = self._link.get(
            f"say whether {account} can be assigned",
            "user/assignable/search",
            lambda answer: [each for each in rows_in(answer) if person_in(each).account == account],
            **{"project": self._config.project, "accountId" if is_cloud else "username": account, "maxResults": _MOST},
        )
        return any(each.get("active", True) is True for each in found)

    def groups_of(self, account: str) -> frozenset[str]:
        """Return the names and ids of somebody's groups."""
        if self._config.deployment == "cloud":
            return self._link.get("list somebody's groups", "user/groups", _groups_in, accountId=account)
        return self._link.get(
            "list somebody's groups",
            "user",
            lambda answer: _groups_in(held_in(object_in(answer, "groups"), "items")),
            username=account,
            expand="groups",
        )

    def anybody_assignable(self) -> bool:
        """Say whether we are shown anybody to whom tickets of the project can be assigned."""
        shown = self._link.get(
            "list who can be assigned tickets",
            "user/assignable/search",
            lambda answer: [person_in(each) for each in rows_in(answer)],
            project=self._config.project,
            maxResults=_A_FEW,
        )
        return any(not each.is_app and each.account != self.me().account for each in shown)

    def role_names(self) -> list[str]:
        return list(self._role_ids())

    @property
    def _roles_path(self) -> str:
        return f"project/{quoted_path(self._config.project)}/role"

    def _role_ids(self) -> dict[str, str]:
        return self._link.get("list the project's roles", self._roles_path, _role_ids)

    def roles(self, names: Collection[str]) -> list[Role]:
        """Show who is in the roles of the project that have one of these names; takes the right to administer it."""
        if not names:
            return []
        path, wanted = self._roles_path, {name.casefold() for name in names}
        return [
            self._link.get(f"show who is in the role {name}", f"{path}/{quoted_path(role_id)}", partial(_role_in, name))
            for name, role_id in self._role_ids().items()
            if name.casefold() in wanted
        ]


def _groups_in(answer: Any) -> frozenset[str]:
    """Read groups by their names, and by their ids where they have some."""
    groups = rows_in(answer)
    return frozenset(
        [text_in(each, "name") for each in groups] + [id_in(each, "groupId") for each in groups if each.get("groupId")]
    )


def _role_ids(answer: Any) -> dict[str, str]:
    """Read the ids of roles off the addresses that Jira gives, which are never followed."""
    prove(isinstance(answer, Mapping), "is no object")
    return {name: text_in(answer, name).rstrip("/").rpartition("/")[2] for name in answer}


def _role_in(name: str, answer: Any) -> Role:
    """Read who is in a role: Cloud names people and groups by ids, Data Center by their names."""
    accounts, groups = set[str](), set[str]()
    for each in rows_in(answer, "actors"):
        if each.get("type") == _OF_GROUP:
            held = each.get("actorGroup") or each
            groups |= {str(held[key]) for key in ("name", "groupId") if held.get(key)}
        else:
            held = each.get("actorUser") or each
            accounts |= {str(held[key]) for key in ("accountId", "name") if held.get(key)}
    return Role(name, frozenset(accounts), frozenset(groups))
