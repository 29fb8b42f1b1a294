"""What is answered and kept."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Answer", "Chunk", "Entry", "Link", "Stored", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `cached_tokens` is included in `prompt_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a streamed answer, without its envelope.

    Attributes:
        fields: Inside of the JSON object (no braces) without `id`, `created`, `model` and `usage`.
        usage: JSON of `usage` (`null` included) where the event had one, else empty.
        bare: No choices: only for callers that asked for the usage.
    """

    fields: bytes
    usage: bytes
    bare: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, without its envelope: what is stored, whatever way it came.

    Attributes:
        fields: Inside of the JSON object (no braces) without `id`, `created`, `model` and `usage`.
        usage_json: JSON of `usage`, empty where there was none.
        model: The answering model as the upstream reports it; "" where it doesn't.
        id_prefix: Prefix of the ids that copies of this answer get (`chatcmpl-`); "" for answers without id.
        usage: The tokens, parsed.
        cost_nanousd: Price of the upstream call in nano-dollars; None where the price or the tokens aren't known.
    """

    fields: bytes
    usage_json: bytes
    model: str
    id_prefix: str
    usage: Usage
    cost_nanousd: int | None

    @property
    def size_bytes(self) -> int:
        """Bytes that the answer takes in memory, its objects included (measured: about 400)."""
        return len(self.fields) + len(self.usage_json) + 400


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored answer. Times are Unix seconds; `model` is the upstream's name of the asked model.

    It belongs to whoever led its flight: a `tenant`, and the `users` (keyed hashes) that the request named.
    """

    key: bytes
    answer: Answer
    created_at: float
    expires_at: float
    tenant: str
    feature: str
    model: str
    tags: tuple[str, ...] = ()
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """An approved paraphrase: `key` is answered by the entry at `target`. Cutting it leaves the answer.

    It belongs to whoever asked: a `tenant`, and the `users` (keyed hashes) that the request named.
    """

    key: bytes
    target: bytes
    confidence: float
    expires_at: float
    tenant: str = ""
    users: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What a look-up by exact key found: an entry, and the link that led there, if one did."""

    entry: Entry
    link: Link | None = None
