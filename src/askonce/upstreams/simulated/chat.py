"""`/v1/chat/completions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from askonce.upstreams.simulated.conversation import read_conversation
from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.generation import Generation, Head, Tokens, Track, interleave
from askonce.upstreams.simulated.logprobs import chat_logprobs
from askonce.upstreams.simulated.requests import Bounds, canonical
from askonce.upstreams.simulated.schema import instance
from askonce.upstreams.simulated.text import Piece, estimate_tokens
from askonce.upstreams.simulated.tools import called_tools, make_call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.upstreams.simulated.conversation import Conversation
    from askonce.upstreams.simulated.generation import Job
    from askonce.upstreams.simulated.tools import ToolCall

__all__ = ["generate_chat"]

_CHOICES: Final = Bounds(1, 128)
_COUNT: Final = Bounds(1, 1_000_000)


@dataclass(frozen=True, slots=True)
class _Settings:
    """The request's fields that shape a choice."""

    max_tokens: int | None
    top_logprobs: int | None
    calls: Sequence[Json]
    named: bool
    form: Json


@dataclass(frozen=True, slots=True)
class _Choice:
    """One choice: something said, or tools called."""

    index: int
    piece: Piece
    calls: Sequence[ToolCall]
    logprobs: Sequence[Json] | None

    @property
    def tokens(self) -> int:
        return len(self.piece.tokens) + sum(1 + len(call.pieces) for call in self.calls)

    def whole(self) -> Json:
        message: Json = {"role": "assistant", "content": None if self.calls else self.piece.text}
        message |= {"refusal": None, "annotations": []}
        if self.calls:
            message["tool_calls"] = [call.whole() for call in self.calls]
        logprobs = None if self.logprobs is None else {"content": self.logprobs, "refusal": None}
        return {
            "index": self.index,
            "message": message,
            "logprobs": logprobs,
            "finish_reason": self.piece.finish_reason,
        }

    def track(self) -> Track:
        content = None if self.calls else ""
        opening = self._event({"role": "assistant", "content": content, "refusal": None}, None)
        tokens = [
            self._event({"content": token}, [self.logprobs[at]] if self.logprobs else None)
            for at, token in enumerate(self.piece.tokens)
        ]
        for position, call in enumerate(self.calls):
            tokens += [self._event({"tool_calls": [delta]}, None) for delta in call.deltas(position)]
        return Track(opening, tokens, {**self._event({}, None), "finish_reason": self.piece.finish_reason})

    def _event(self, delta: Json, logprobs: Sequence[Json] | None) -> Json:
        shaped = None if logprobs is None else {"content": logprobs, "refusal": None}
        return {"index": self.index, "delta": delta, "logprobs": shaped, "finish_reason": None}


def generate_chat(job: Job) -> Generation:
    """Answers a chat.

    Raises:
        UpstreamFailure: the request is invalid.
    """
    conversation = read_conversation(job.fields.objects("messages"))
    settings = _settings(job, conversation)
    include_usage = job.fields.include_usage(stream=job.stream)
    content = canonical(job.body)
    count = job.fields.integer("n", _CHOICES) or 1
    choices = [_choose(job, conversation, settings, content, index) for index in range(count)]
    prompt = conversation.tokens
    if job.body.get("tools"):
        prompt += estimate_tokens(orjson.dumps(job.body["tools"]).decode())
    tokens = Tokens(prompt, sum(choice.tokens for choice in choices))
    whole, steps = b"", []
    if job.stream:
        head = Head.of(job, "chat.completion.chunk", "chatcmpl-")
        steps = interleave(head, [choice.track() for choice in choices], tokens if include_usage else None)
    else:
        head = Head.of(job, "chat.completion", "chatcmpl-")
        whole = head.whole([choice.whole() for choice in choices], tokens)
    length = max(choice.tokens for choice in choices)
    return Generation(whole, steps, length, tokens, images=conversation.images)


def _settings(job: Job, conversation: Conversation) -> _Settings:
    fields = job.fields
    fields.number("temperature", Bounds(0, 2))
    fields.number("top_p", Bounds(0, 1))
    fields.number("presence_penalty", Bounds(-2, 2))
    fields.number("frequency_penalty", Bounds(-2, 2))
    top = fields.integer("top_logprobs", Bounds(0, 20))
    wanted = fields.boolean("logprobs")
    if top is not None and not wanted:
        raise invalid("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs")
    choice = job.body.get("tool_choice")
    bound = fields.integer("max_completion_tokens", _COUNT)
    older_bound = fields.integer("max_tokens", _COUNT)
    return _Settings(
        max_tokens=older_bound if bound is None else bound,
        top_logprobs=(top or 0) if wanted else None,
        calls=called_tools(fields, choice, conversation),
        named=isinstance(choice, dict),
        form=fields.object("response_format"),
    )


def _choose(job: Job, conversation: Conversation, settings: _Settings, content: bytes, index: int) -> _Choice:
    if settings.calls:
        dice = job.dice(content, index, "tools")
        calls = [make_call(function, dice) for function in settings.calls]
        return _Choice(index, Piece((), "stop" if settings.named else "tool_calls"), calls, None)
    text = _formed(job, job.answer(conversation.asked, content, index), settings.form, content)
    piece = job.say(text, settings.max_tokens)
    if settings.top_logprobs is None:
        return _Choice(index, piece, (), None)
    dice = job.dice(content, index, "logprobs")
    return _Choice(index, piece, (), chat_logprobs(piece.tokens, dice, settings.top_logprobs))


def _formed(job: Job, text: str, form: Json, content: bytes) -> str:
    """The text in the form that `response_format` asks for; known answers that are JSON already stay as they are."""
    kind = form.get("type", "text")
    if kind == "text":
        return text
    if kind not in {"json_object", "json_schema"}:
        raise invalid(f"Invalid value: '{kind}' is not a response format.", "response_format.type")
    if text.startswith(("{", "[")):
        return text
    if kind == "json_object":
        return orjson.dumps({"answer": text}).decode()
    described = form.get("json_schema")
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        where = "response_format.json_schema"
        raise invalid(f"Missing required parameter: '{where}.name'.", where, "missing_required_parameter")
    return orjson.dumps(instance(described.get("schema", {}), job.dice(content, "schema"))).decode()
