"""What a call is made into before any of it is sent: one body, or the steps of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from askonce.upstreams.simulated.dice import Dice, digest
from askonce.upstreams.simulated.text import Piece, compose, limit, normalise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Json
    from askonce.upstreams.simulated.directive import Directive
    from askonce.upstreams.simulated.options import Simulation
    from askonce.upstreams.simulated.requests import Fields

__all__ = ["Generation", "Head", "Job", "Step", "Tokens", "Track", "interleave"]


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted call.

    Attributes:
        simulation: How the upstream behaves.
        answers: Known answers by normalised question.
        body: The request.
        fields: The same, for checked reading.
        directive: What becomes of the call.
        stream: Whether events are asked for.
        mark: Hexadecimal digits for ids; no two calls of an upstream share them.
        created: Unix seconds.
    """

    simulation: Simulation
    answers: Mapping[str, str]
    body: Json
    fields: Fields
    directive: Directive
    stream: bool
    mark: str
    created: int

    def dice(self, *parts: bytes | str | int) -> Dice:
        """Reproducible chance for one purpose."""
        return Dice(self.simulation.seed, *parts)

    def answer(self, question: str, content: bytes, index: int) -> str:
        """What is said to a question: the known answer, or one made up of the request's content."""
        known = self.answers.get(normalise(question)) if self.answers else None
        return compose(question, self.dice(content, index, "text")) if known is None else known

    def say(self, text: str, max_tokens: int | None) -> Piece:
        """The text as far as the request lets it be said."""
        return limit(text, self.fields.stops(), max_tokens, self.directive.tokens)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that an answer takes."""

    prompt: int
    completion: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.prompt + self.completion

    def usage(self) -> Json:
        """OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.total,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


@dataclass(frozen=True, slots=True)
class Step:
    """What one token's time brings: the events that are sent then, and the tokens in them."""

    events: Sequence[bytes]
    tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A finished answer, not sent yet.

    Attributes:
        whole: The body; empty where events are sent.
        steps: The stream's steps; empty where a body is sent.
        length: Tokens of the longest text: they set the pace, since texts of one call grow side by side.
        tokens: What the call takes.
        inputs: Conversations, prompts or texts that the call asked.
        images: Images that it showed.
    """

    whole: bytes
    steps: Sequence[Step]
    length: int
    tokens: Tokens
    inputs: int = 1
    images: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The fields that every event and body of an answer begins with."""

    fields: bytes

    @staticmethod
    def of(job: Job, kind: str, id_prefix: str) -> Head:
        """The head of an answer of the given object kind."""
        model: str = job.body["model"]
        fingerprint = digest(job.simulation.seed, model).hex()[:10]
        head = {
            "id": f"{id_prefix}{job.mark}",
            "object": kind,
            "created": job.created,
            "model": model,
            "system_fingerprint": f"fp_{fingerprint}",
        }
        if kind.startswith("chat."):
            head["service_tier"] = "default"
        return Head(orjson.dumps(head)[:-1])

    def whole(self, choices: Sequence[Json], tokens: Tokens) -> bytes:
        """A body."""
        return (
            self.fields
            + b',"choices":'
            + orjson.dumps(choices)
            + b',"usage":'
            + orjson.dumps(tokens.usage())
            + b"}"
        )

    def event(self, choice: Json, ending: bytes) -> bytes:
        """A stream's event."""
        return self.fields + b',"choices":[' + orjson.dumps(choice) + b"]" + ending

    def usage_event(self, tokens: Tokens) -> bytes:
        """The event after all others, for those who asked for it."""
        return self.fields + b',"choices":[],"usage":' + orjson.dumps(tokens.usage()) + b"}"


@dataclass(frozen=True, slots=True)
class Track:
    """One choice's events: what opens it (if anything does), one per token, and the one with the finish reason."""

    opening: Json | None
    tokens: Sequence[Json]
    closing: Json


def interleave(head: Head, tracks: Sequence[Track], usage: Tokens | None) -> list[Step]:
    """Several choices' events as they come when all are generated side by side."""
    ending = b"}" if usage is None else b',"usage":null}'
    steps = []
    for position in range(max(1, *(len(track.tokens) for track in tracks))):
        events = []
        count = 0
        for track in tracks:
            if position == 0 and track.opening is not None:
                events.append(head.event(track.opening, ending))
            if position < len(track.tokens):
                events.append(head.event(track.tokens[position], ending))
                count += 1
            if position == max(1, len(track.tokens)) - 1:
                events.append(head.event(track.closing, ending))
        steps.append(Step(events, count))
    if usage is not None:
        steps[-1] = Step([*steps[-1].events, head.usage_event(usage)], steps[-1].tokens)
    return steps
