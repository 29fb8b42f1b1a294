"""When a chat answers with tool calls, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.schema import instance
from askonce.upstreams.simulated.text import tokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.upstreams.simulated.conversation import Conversation
    from askonce.upstreams.simulated.dice import Dice
    from askonce.upstreams.simulated.requests import Fields

__all__ = ["ToolCall", "called_tools", "make_call"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: its id, the function's name, and its JSON arguments in the pieces that a stream sends."""

    id: str
    name: str
    pieces: Sequence[str]

    def whole(self) -> Json:
        """The call as a plain answer has it."""
        return self._shape("".join(self.pieces))

    def deltas(self, index: int) -> list[Json]:
        """The call as a stream has it: first its name, then its arguments in pieces."""
        rest = [{"index": index, "function": {"arguments": piece}} for piece in self.pieces]
        return [{"index": index, **self._shape("")}, *rest]

    def _shape(self, arguments: str) -> Json:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


def called_tools(fields: Fields, choice: Any, conversation: Conversation) -> list[Json]:
    """The functions that the answer calls.

    A named one by name; where one is required, those that the question names, or else the first; otherwise
    those that the question names, unless it follows a tool's result.

    Raises:
        UpstreamFailure: `tools` or `tool_choice` make no sense.
    """
    tools = [tool.get("function") for tool in fields.objects("tools") if tool.get("type") == "function"]
    functions = [tool for tool in tools if isinstance(tool, dict) and isinstance(tool.get("name"), str)]
    if len(functions) < len(tools):
        raise invalid("A function tool needs a function with a name.", "tools", "missing_required_parameter")
    if isinstance(choice, dict):
        named = choice.get("function", {}).get("name")
        chosen = [function for function in functions if function["name"] == named]
        if not chosen:
            raise invalid(f"Tool choice '{named}' not found in 'tools' parameter.", "tool_choice")
        return chosen
    if choice == "required" and not functions:
        raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    if choice == "none":
        return []
    wanted = _named_in(conversation.asked, functions)
    if choice == "required":
        wanted = wanted or functions[:1]
    elif conversation.answering_tool:
        wanted = []
    parallel = fields.boolean("parallel_tool_calls") if fields.given("parallel_tool_calls") else True
    return wanted if parallel else wanted[:1]


def make_call(function: Json, dice: Dice) -> ToolCall:
    """A call whose arguments fit the function's parameters."""
    arguments = orjson.dumps(instance(function.get("parameters", {"type": "object"}), dice)).decode()
    return ToolCall(f"call_{dice.hex(24)}", function["name"], tokenise(arguments))


def _named_in(text: str, functions: Sequence[Json]) -> list[Json]:
    said = text.casefold()
    names = [(function["name"].casefold(), function) for function in functions]
    return [function for name, function in names if name in said or name.replace("_", " ") in said]
