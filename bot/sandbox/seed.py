"""What the stand-in holds before anybody writes to it: people, credentials, project, space, channels, board."""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Account:
    """A person or bot with the credentials that each service knows it by."""

    account_id: str
    name: str  # user name on Data Center
    display_name: str
    email: str
    api_token: str  # Cloud: basic authentication together with the e-mail
    bearer: str  # Data Center: personal access token
    sees_restricted: bool = True
    is_bot: bool = False

    @property
    def slack_user(self) -> str:
        """The id that Slack knows a person by."""
        return f"U0{self.name.upper():0<7}"

    @property
    def slack_token(self) -> str:
        """What a person's own client sends."""
        return f"xoxp-sandbox-{self.name}"

    @property
    def trello_member(self) -> str:
        """The id that Trello knows a person by."""
        return f"60d5ec49f1a4c82f{crc32(self.name.encode()):08x}"

    @property
    def trello_token(self) -> str:
        return f"sandbox-trello-token-{self.name}"


@dataclass(frozen=True, slots=True)
class Project:
    """A Jira project; a restricted one answers 404 to those who may not see it."""

    id: str
    key: str
    name: str
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a Jira site."""

    id: str
    name: str
    members: tuple[str, ...]  # user names


@dataclass(frozen=True, slots=True)
class Role:
    """Who is in a role of every project."""

    id: str
    name: str
    members: tuple[str, ...] = ()  # user names
    groups: tuple[str, ...] = ()  # names


@dataclass(frozen=True, slots=True)
class Space:
    """A Confluence space; its home page is made with it."""

    id: str
    key: str
    name: str
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """A Slack channel and whether the bot is in it."""

    id: str
    name: str
    topic: str = ""
    member: bool = True
    archived: bool = False
    private: bool = False
    user: str = ""  # of a direct conversation: the person at the other end


@dataclass(frozen=True, slots=True)
class Board:
    """A Trello board with its first lists and labels (name, colour)."""

    id: str
    short_link: str
    name: str
    lists: tuple[str, ...] = ("To do", "In progress", "Done")
    labels: tuple[tuple[str, str], ...] = (("regression", "red"), ("data quality", "orange"))


BOT = Account(
    account_id="712020:7d1c0000-herald",
    name="herald",
    display_name="Herald",
    email="herald@example.invalid",
    api_token="sandbox-api-token",  # noqa: S106 - opens nothing but the stand-in, as all below
    bearer="sandbox-bearer-token",
    sees_restricted=False,
    is_bot=True,
)

PEOPLE = (
    Account("712020:7d1c0001-ada", "ada", "Ada Okafor", "ada@example.invalid", "ada-api-token", "ada-bearer"),
    Account("712020:7d1c0002-wei", "wei", "Lin Wei", "wei@example.invalid", "wei-api-token", "wei-bearer"),
    Account(
        "712020:7d1c0003-jonas", "jonas", "Jonas Weber", "jonas@example.invalid", "jonas-api-token", "jonas-bearer"
    ),
    Account(
        "712020:7d1c0004-priya", "priya", "Priya Raman", "priya@example.invalid", "priya-api-token", "priya-bearer"
    ),
)


@dataclass(frozen=True, slots=True)
class Robots:
    """The addresses and secrets of what takes cards, and the one group that they are in."""

    group: str = "Search quality"
    signing_secret: str = "SECsandboxsigningsecret"  # noqa: S105
    app_secret: str = "sandbox-app-secret"  # noqa: S105
    app_token: str = "t-sandbox-token"  # noqa: S105
    teams_workflow: str = "5a0db0c0ffee4a11b0c0"
    teams_signature: str = "sandbox-workflow-signature"
    feishu_hook: str = "5a0db0c0-ffee-4a11-b0c0-feishuhook01"
    feishu_app: str = "cli_sandbox"
    feishu_chat: str = "oc_sandboxsearchquality"
    dingtalk_hook: str = "5a0db0c0ffee5a0db0c0ffeedingtalkhook"
    dingtalk_app: str = "dingsandboxapp"
    dingtalk_group: str = "cidSANDBOXsearchQUALITY=="
    wecom_key: str = "5a0db0c0-ffee-4a11-b0c0-wecomrobot01"


@dataclass(frozen=True, slots=True)
class SandboxSeed:
    """Everything that is there from the first request on; only what people write is stored."""

    bot: Account = BOT
    people: tuple[Account, ...] = PEOPLE
    projects: tuple[Project, ...] = (
        Project("10000", "SR", "Search & Recommendation"),
        Project("10001", "HR", "People", restricted=True),
    )
    spaces: tuple[Space, ...] = (
        Space("65538", "SR", "Search & Recommendation"),
        Space("65539", "HR", "People", restricted=True),
    )
    channels: tuple[Channel, ...] = (
        Channel("C0SEARCHQ", "search-quality", "What our models do to search and recommendation"),
        Channel("C0GENERAL", "general", "For everybody", member=False),
        Channel("C0ARCHIVE", "old-search", archived=True),
        Channel("C0LEADERS", "leads", private=True, member=False),
    )
    board: Board = field(default_factory=lambda: Board("60d5ec49f1a4c82f8c3b1a01", "sRqBoard", "Search quality"))
    components: tuple[str, ...] = ("ranking", "retrieval", "data")
    groups: tuple[Group, ...] = (Group("276f955c-63d7-42c8-9520-92d01dca0625", "search-leads", ("ada",)),)
    roles: tuple[Role, ...] = (
        Role("10002", "Administrators"),
        Role("10001", "Developers", ("wei",), ("search-leads",)),
    )
    robots: Robots = field(default_factory=Robots)
    slack_team: str = "T0SANDBOX"
    slack_team_name: str = "Search & Recommendation"
    slack_bot_user: str = "U0HERALD0"
    slack_bot_id: str = "B0HERALD0"
    slack_token: str = "xoxb-sandbox-herald"  # noqa: S105
    slack_webhook_secret: str = "sandboxwebhooksecret"  # noqa: S105
    trello_key: str = "5a0db0c0ffee5a0db0c0ffee5a0db0c0"
    trello_token: str = "sandbox-trello-token"  # noqa: S105
    trello_member: str = "60d5ec49f1a4c82f8c3b1aff"

    @property
    def accounts(self) -> tuple[Account, ...]:
        return (self.bot, *self.people)

    @property
    def direct_channels(self) -> tuple[Channel, ...]:
        """The bot's conversations with one person each, which no list of channels shows."""
        people = ((one.slack_user, one.name) for one in self.people)
        return tuple(Channel(f"D{user[1:]}", name, private=True, user=user) for user, name in people)

    def trello_id(self, account: Account) -> str:
        return self.trello_member if account == self.bot else account.trello_member

    def account(self, account_id: str | None) -> Account | None:
        return next((one for one in self.accounts if one.account_id == account_id), None)
