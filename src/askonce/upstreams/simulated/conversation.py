"""A chat's messages, checked and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.text import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json

__all__ = ["Conversation", "read_conversation"]

_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PARTS: Final = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
_MESSAGE_TOKENS: Final = 4
"""Tokens that a message takes beside its words."""
_IMAGE_TOKENS: Final = 85
"""Tokens of an image in low detail."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is asked.

    Attributes:
        asked: The last user message's text.
        answering_tool: Whether the last message is a tool's result.
        tokens: About how many tokens the messages take.
        images: How many images they show.
    """

    asked: str
    answering_tool: bool
    tokens: int
    images: int


def read_conversation(messages: Sequence[Json]) -> Conversation:
    """Reads a chat's messages.

    Raises:
        UpstreamFailure: a message isn't one.
    """
    if not messages:
        raise invalid("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    asked, tokens, images = "", 3, 0
    for position, message in enumerate(messages):
        where = f"messages[{position}]"
        role = message.get("role")
        if role not in _ROLES:
            raise invalid(f"Invalid value: '{role}' is not a role.", f"{where}.role")
        text, shown = _content(message, f"{where}.content")
        tokens += _MESSAGE_TOKENS + _IMAGE_TOKENS * shown + (estimate_tokens(text) if text else 0)
        images += shown
        if role == "user":
            asked = text
    return Conversation(asked, messages[-1]["role"] in {"tool", "function"}, tokens, images)


def _content(message: Json, where: str) -> tuple[str, int]:
    """A message's text and how many images it shows."""
    content = message.get("content")
    if isinstance(content, str):
        return content, 0
    if isinstance(content, list) and content:
        texts = [_part(part, f"{where}[{position}]") for position, part in enumerate(content)]
        return "\n".join(text for text in texts if text), sum(_is_image(part) for part in content)
    if content is None and message["role"] == "assistant":
        return "", 0
    raise invalid(f"Invalid value for '{where}': expected a string or parts.", where, "invalid_type")


def _is_image(part: Json) -> bool:
    return bool(part["type"] == "image_url")


def _part(part: Any, where: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in _PARTS:
        raise invalid(f"Invalid value: '{kind}' is not a type of content.", f"{where}.type")
    if kind == "image_url":
        image = part.get("image_url")
        if not isinstance(image, dict) or not isinstance(image.get("url"), str):
            raise invalid("An image needs a URL.", f"{where}.image_url", "invalid_image_url")
    if kind != "text":
        return ""
    if not isinstance(part.get("text"), str):
        raise invalid("A text part needs text.", f"{where}.text", "invalid_type")
    text: str = part["text"]
    return text
