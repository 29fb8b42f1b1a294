"""`/v1/completions`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.generation import Generation, Head, Tokens, Track, interleave
from askonce.upstreams.simulated.logprobs import completion_logprobs
from askonce.upstreams.simulated.requests import Bounds, canonical
from askonce.upstreams.simulated.text import estimate_tokens, tokenise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.model import Json
    from askonce.upstreams.simulated.generation import Job
    from askonce.upstreams.simulated.text import Piece

__all__ = ["Prompt", "generate_completions", "read_prompts"]

_DEFAULT_MAX_TOKENS: Final = 16
"""The endpoint's documented default."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt or text to embed: given as words, or as numbers of tokens."""

    text: str
    tokens: int

    @staticmethod
    def of_tokens(numbers: Sequence[int]) -> Prompt:
        """A prompt of token numbers, which are its text for want of a vocabulary."""
        return Prompt(" ".join(map(str, numbers)), len(numbers))


def read_prompts(value: Any, name: str) -> list[Prompt]:
    """A string, a list of strings, a list of token numbers, or a list of such lists.

    Raises:
        UpstreamFailure: it is none of these, or empty.
    """
    if isinstance(value, str):
        return [Prompt(value, estimate_tokens(value))]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return [Prompt(item, estimate_tokens(item)) for item in value]
        if _are_tokens(value):
            return [Prompt.of_tokens(value)]
        if all(isinstance(item, list) and item and _are_tokens(item) for item in value):
            return [Prompt.of_tokens(item) for item in value]
    message = f"Invalid '{name}': expected a string, strings, or token numbers."
    raise invalid(message, name, "missing_required_parameter" if value is None else "invalid_type")


def _are_tokens(items: Sequence[Any]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in items)


@dataclass(frozen=True, slots=True)
class _Choice:
    index: int
    piece: Piece
    echo: str
    logprobs: Json | None

    def whole(self) -> Json:
        return self._shape(self.echo + self.piece.text, self.logprobs, self.piece.finish_reason)

    def track(self) -> Track:
        opening = self._shape(self.echo, None, None) if self.echo else None
        tokens = [self._shape(token, self._logprobs(at), None) for at, token in enumerate(self.piece.tokens)]
        return Track(opening, tokens, self._shape("", None, self.piece.finish_reason))

    def _logprobs(self, at: int) -> Json | None:
        return None if self.logprobs is None else {key: [all_[at]] for key, all_ in self.logprobs.items()}

    def _shape(self, text: str, logprobs: Json | None, finish_reason: str | None) -> Json:
        return {"text": text, "index": self.index, "logprobs": logprobs, "finish_reason": finish_reason}


def generate_completions(job: Job) -> Generation:
    """Continues one or several prompts; a prompt's text is the same in a list as by itself.

    Raises:
        UpstreamFailure: the request is invalid.
    """
    prompts = read_prompts(job.body.get("prompt"), "prompt")
    include_usage = job.fields.include_usage(stream=job.stream)
    count = job.fields.integer("n", Bounds(1, 128)) or 1
    choices = _choices(job, prompts, count)
    generated = sum(len(choice.piece.tokens) for choice in choices)
    tokens = Tokens(sum(prompt.tokens for prompt in prompts), generated)
    head = Head.of(job, "text_completion", "cmpl-")
    whole, steps = b"", []
    if job.stream:
        steps = interleave(head, [choice.track() for choice in choices], tokens if include_usage else None)
    else:
        whole = head.whole([choice.whole() for choice in choices], tokens)
    length = max(len(choice.piece.tokens) for choice in choices)
    return Generation(whole, steps, length, tokens, inputs=len(prompts))


def _choices(job: Job, prompts: Sequence[Prompt], count: int) -> list[_Choice]:
    fields = job.fields
    fields.number("temperature", Bounds(0, 2))
    bound = fields.integer("max_tokens", Bounds(0, 1_000_000))
    if bound is None and job.directive.tokens is None:
        bound = _DEFAULT_MAX_TOKENS
    top = fields.integer("logprobs", Bounds(0, 5))
    echo = fields.boolean("echo")
    content = canonical(job.body, "prompt")
    choices = []
    for position, prompt in enumerate(prompts):
        for copy in range(count):
            piece = job.say(job.answer(prompt.text, content + prompt.text.encode(), copy), bound)
            shape = None
            if top is not None:
                said = [*tokenise(prompt.text), *piece.tokens] if echo and not job.stream else piece.tokens
                offset = len(prompt.text) if echo and job.stream else 0
                dice = job.dice(content, prompt.text, copy, "logprobs")
                shape = completion_logprobs(said, dice, top, offset)
            choices.append(_Choice(position * count + copy, piece, prompt.text if echo else "", shape))
    return choices
