"""What every Jira project of the stand-in knows: types, statuses, priorities, resolutions, fields."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Names = dict[str, str]  # language -> name


@dataclass(frozen=True, slots=True)
class Named:
    id: str
    names: Names

    def name(self, language: str) -> str:
        return self.names.get(language, self.names["en"])

    def is_called(self, text: str) -> bool:
        return text == self.id or text.casefold() in {name.casefold() for name in self.names.values()}


class Category(StrEnum):
    NEW = "new"
    INDETERMINATE = "indeterminate"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Status(Named):
    category: Category
    transition: str  # id of the transition that leads here


CATEGORY_IDS = {Category.NEW: 2, Category.INDETERMINATE: 4, Category.DONE: 3}
CATEGORY_COLOURS = {Category.NEW: "blue-gray", Category.INDETERMINATE: "yellow", Category.DONE: "green"}
CATEGORY_NAMES: dict[Category, Names] = {
    Category.NEW: {"en": "To Do", "de": "Zu erledigen", "zh": "待办"},
    Category.INDETERMINATE: {"en": "In Progress", "de": "In Arbeit", "zh": "进行中"},
    Category.DONE: {"en": "Done", "de": "Fertig", "zh": "完成"},
}

TO_DO = Status("10000", {"en": "To Do", "de": "Zu erledigen", "zh": "待处理"}, Category.NEW, "11")
IN_PROGRESS = Status("3", {"en": "In Progress", "de": "In Arbeit", "zh": "处理中"}, Category.INDETERMINATE, "21")
DONE = Status("10001", {"en": "Done", "de": "Fertig", "zh": "已完成"}, Category.DONE, "31")
STATUSES = (TO_DO, IN_PROGRESS, DONE)
# only in a workflow with a second way to close
REJECTED = Status("10002", {"en": "Rejected", "de": "Abgelehnt", "zh": "已拒绝"}, Category.DONE, "41")

TYPES = (
    Named("10001", {"en": "Task", "de": "Aufgabe", "zh": "任务"}),
    Named("10004", {"en": "Bug", "de": "Fehler", "zh": "缺陷"}),
    Named("10002", {"en": "Story", "de": "Story", "zh": "故事"}),
)

PRIORITIES = (
    Named("1", {"en": "Highest", "de": "Höchste", "zh": "最高"}),
    Named("2", {"en": "High", "de": "Hoch", "zh": "高"}),
    Named("3", {"en": "Medium", "de": "Mittel", "zh": "中"}),
    Named("4", {"en": "Low", "de": "Niedrig", "zh": "低"}),
    Named("5", {"en": "Lowest", "de": "Niedrigste", "zh": "最低"}),
)

RESOLUTIONS = (
    Named("10000", {"en": "Done", "de": "Fertig", "zh": "完成"}),
    Named("10001", {"en": "Won't Do", "de": "Wird nicht erledigt", "zh": "不做"}),
    Named("10002", {"en": "Duplicate", "de": "Duplikat", "zh": "重复"}),
    Named("10003", {"en": "Cannot Reproduce", "de": "Nicht reproduzierbar", "zh": "无法重现"}),
)


@dataclass(frozen=True, slots=True)
class LinkType:
    id: str
    name: str
    inward: str
    outward: str


LINK_TYPES = (
    LinkType("10000", "Blocks", "is blocked by", "blocks"),
    LinkType("10001", "Cloners", "is cloned by", "clones"),
    LinkType("10002", "Duplicate", "is duplicated by", "duplicates"),
    LinkType("10003", "Relates", "relates to", "relates to"),
)


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    name: str
    schema: Mapping[str, Any]
    required: bool = False
    operations: tuple[str, ...] = ("set",)
    has_default: bool = False


def _schema(**parts: Any) -> Mapping[str, Any]:
    return MappingProxyType(parts)


_CUSTOM = "com.atlassian.jira.plugin.system.customfieldtypes:"

# Fields on the create screen; those with `custom` are the team's own.
FIELDS = (
    Field("summary", "Summary", _schema(type="string", system="summary"), required=True),
    Field("issuetype", "Issue Type", _schema(type="issuetype", system="issuetype"), required=True, operations=()),
    Field("project", "Project", _schema(type="project", system="project"), required=True),
    Field("description", "Description", _schema(type="string", system="description")),
    Field("environment", "Environment", _schema(type="string", system="environment")),
    Field("priority", "Priority", _schema(type="priority", system="priority"), has_default=True),
    Field("assignee", "Assignee", _schema(type="user", system="assignee"), has_default=True),
    Field("reporter", "Reporter", _schema(type="user", system="reporter"), has_default=True),
    Field(
        "labels", "Labels", _schema(type="array", items="string", system="labels"), operations=("add", "set", "remove")
    ),
    Field(
        "components",
        "Components",
        _schema(type="array", items="component", system="components"),
        operations=("add", "set", "remove"),
    ),
    Field(
        "fixVersions",
        "Fix versions",
        _schema(type="array", items="version", system="fixVersions"),
        operations=("add", "set", "remove"),
    ),
    Field("duedate", "Due date", _schema(type="date", system="duedate")),
    Field(
        "customfield_10010",
        "Story Points",
        _schema(type="number", custom=_CUSTOM + "float", customId=10010),
    ),
    Field(
        "customfield_10020",
        "Affected team",
        _schema(type="string", custom=_CUSTOM + "textfield", customId=10020),
    ),
    Field(
        "customfield_10030",
        "Impact",
        _schema(type="string", custom=_CUSTOM + "textarea", customId=10030),
    ),
)

# Fields that only the server sets.
SERVER_FIELDS = (
    Field("status", "Status", _schema(type="status", system="status")),
    Field("resolution", "Resolution", _schema(type="resolution", system="resolution")),
    Field("resolutiondate", "Resolved", _schema(type="datetime", system="resolutiondate")),
    Field("created", "Created", _schema(type="datetime", system="created")),
    Field("updated", "Updated", _schema(type="datetime", system="updated")),
    Field("creator", "Creator", _schema(type="user", system="creator")),
    Field("comment", "Comment", _schema(type="comments-page", system="comment")),
    Field("attachment", "Attachment", _schema(type="array", items="attachment", system="attachment")),
    Field("issuelinks", "Linked Issues", _schema(type="array", items="issuelinks", system="issuelinks")),
    Field("watches", "Watchers", _schema(type="watches", system="watches")),
)

PERMISSIONS = (
    ("10", "BROWSE_PROJECTS", "Browse Projects"),
    ("11", "CREATE_ISSUES", "Create Issues"),
    ("12", "EDIT_ISSUES", "Edit Issues"),
    ("13", "ASSIGN_ISSUES", "Assign Issues"),
    ("15", "ADD_COMMENTS", "Add Comments"),
    ("19", "CREATE_ATTACHMENTS", "Create Attachments"),
    ("21", "LINK_ISSUES", "Link Issues"),
    ("28", "DELETE_ISSUES", "Delete Issues"),
    ("46", "TRANSITION_ISSUES", "Transition Issues"),
    ("23", "ADMINISTER_PROJECTS", "Administer Projects"),
    ("17", "MANAGE_WATCHERS", "Manage Watchers"),
)

TEXT_LIMIT = 32_767  # characters of a description, a comment, a long text field
SUMMARY_LIMIT = 254
LABEL_LIMIT = 255
PROPERTY_LIMIT = 32_768  # characters of an entity property
GLOBAL_ID_LIMIT = 255


def find_named(choices: tuple[Named, ...], text: str) -> Named | None:
    return next((one for one in choices if one.is_called(text)), None)


def by_id(choices: tuple[Named, ...], wanted: str | None) -> Named | None:
    return next((one for one in choices if one.id == wanted), None)


def status_by_id(wanted: str) -> Status:
    return next(one for one in (*STATUSES, REJECTED) if one.id == wanted)
