"""The limits that Slack sets to a message and its blocks."""

from __future__ import annotations

import json
from typing import Any

BLOCKS = 50
SECTION_TEXT = 3000  # characters, as are all below
FIELDS = 10
FIELD_TEXT = 2000
HEADER_TEXT = 150
CONTEXT_ELEMENTS = 10
ACTIONS = 25
BUTTON_TEXT = 75
BUTTON_VALUE = 2000
URL = 3000
IDENTIFIER = 255
ALT_TEXT = 2000
IMAGE_TITLE = 2000
MESSAGE_TEXT = 40_000
ATTACHMENTS = 100

_TEXT_TYPES = ("plain_text", "mrkdwn")
KNOWN = frozenset(
    {"section", "header", "context", "divider", "actions", "image", "rich_text", "markdown", "file", "video", "input"}
)


class BlockError(ValueError):
    """What is wrong with the blocks, as Slack says it, with the place of the fault."""


def check_blocks(blocks: Any) -> list[dict[str, Any]]:
    """Return the blocks, or raise BlockError."""
    if not isinstance(blocks, list):
        raise BlockError("must be an array [json-pointer:/blocks]")
    if len(blocks) > BLOCKS:
        raise BlockError(f"no more than {BLOCKS} items allowed [json-pointer:/blocks]")
    for number, block in enumerate(blocks):
        _check_block(block, f"/blocks/{number}")
    identifiers = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(identifiers) != len(set(identifiers)):
        raise BlockError("block_id must be unique within a message [json-pointer:/blocks]")
    return blocks


def size_of(blocks: list[dict[str, Any]]) -> int:
    """Count the characters of all text in the blocks, which share one budget."""
    return sum(_characters(block) for block in blocks)


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(
            len(one) if key == "text" and isinstance(one, str) else _characters(one) for key, one in value.items()
        )
    if isinstance(value, list):
        return sum(map(_characters, value))
    return 0


def _check_block(block: Any, at: str) -> None:
    if not isinstance(block, dict):
        raise BlockError(f"must be an object [json-pointer:{at}]")
    kind = block.get("type")
    if kind not in KNOWN:
        raise BlockError(f"unsupported type: {json.dumps(kind)[:40]} [json-pointer:{at}/type]")
    _limit(block.get("block_id"), IDENTIFIER, f"{at}/block_id")
    match kind:
        case "section":
            _check_section(block, at)
        case "header":
            _check_text(block.get("text"), HEADER_TEXT, f"{at}/text", only="plain_text")
        case "context":
            _check_context(block, at)
        case "actions":
            elements = block.get("elements")
            if not isinstance(elements, list) or not 1 <= len(elements) <= ACTIONS:
                raise BlockError(f"must have 1 to {ACTIONS} items [json-pointer:{at}/elements]")
            for number, element in enumerate(elements):
                _check_element(element, f"{at}/elements/{number}")
        case "image":
            _check_image(block, at)


def _check_section(block: dict[str, Any], at: str) -> None:
    fields = block.get("fields")
    if "text" not in block and not fields:
        raise BlockError(f"a section needs text or fields [json-pointer:{at}]")
    if "text" in block:
        _check_text(block["text"], SECTION_TEXT, f"{at}/text")
    if fields is not None:
        if not isinstance(fields, list) or not 1 <= len(fields) <= FIELDS:
            raise BlockError(f"must have 1 to {FIELDS} items [json-pointer:{at}/fields]")
        for number, field in enumerate(fields):
            _check_text(field, FIELD_TEXT, f"{at}/fields/{number}")
    if "accessory" in block:
        _check_element(block["accessory"], f"{at}/accessory")


def _check_context(block: dict[str, Any], at: str) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= CONTEXT_ELEMENTS:
        raise BlockError(f"must have 1 to {CONTEXT_ELEMENTS} items [json-pointer:{at}/elements]")
    for number, element in enumerate(elements):
        where = f"{at}/elements/{number}"
        if isinstance(element, dict) and element.get("type") == "image":
            _check_image(element, where)
        else:
            _check_text(element, SECTION_TEXT, where)


def _check_text(text: Any, limit: int, at: str, *, only: str | None = None) -> None:
    if not isinstance(text, dict) or text.get("type") not in ((only,) if only else _TEXT_TYPES):
        raise BlockError(f"must be a text object of type {only or 'plain_text or mrkdwn'} [json-pointer:{at}]")
    value = text.get("text")
    if not isinstance(value, str) or not value:
        raise BlockError(f"must be more than 0 characters [json-pointer:{at}/text]")
    _limit(value, limit, f"{at}/text")


def _check_element(element: Any, at: str) -> None:
    if not isinstance(element, dict) or not isinstance(element.get("type"), str):
        raise BlockError(f"must be an object with a type [json-pointer:{at}]")
    if element["type"] == "image":
        _check_image(element, at)
    if element["type"] != "button":
        return
    _check_text(element.get("text"), BUTTON_TEXT, f"{at}/text", only="plain_text")
    _limit(element.get("value"), BUTTON_VALUE, f"{at}/value")
    _limit(element.get("url"), URL, f"{at}/url")
    _limit(element.get("action_id"), IDENTIFIER, f"{at}/action_id")
    if element.get("style") not in (None, "primary", "danger"):
        raise BlockError(f"must be primary or danger [json-pointer:{at}/style]")


def _check_image(block: dict[str, Any], at: str) -> None:
    if not isinstance(block.get("alt_text"), str) or not block["alt_text"]:
        raise BlockError(f"missing required field: alt_text [json-pointer:{at}]")
    _limit(block["alt_text"], ALT_TEXT, f"{at}/alt_text")
    if not any(key in block for key in ("image_url", "slack_file")):
        raise BlockError(f"missing required field: image_url [json-pointer:{at}]")
    _limit(block.get("image_url"), URL, f"{at}/image_url")
    if block["type"] == "image" and isinstance(block.get("title"), dict):
        _check_text(block["title"], IMAGE_TITLE, f"{at}/title", only="plain_text")


def _limit(value: Any, limit: int, at: str) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise BlockError(f"must be a string [json-pointer:{at}]")
    if len(value) > limit:
        raise BlockError(f"must be less than {limit + 1} characters [json-pointer:{at}]")
