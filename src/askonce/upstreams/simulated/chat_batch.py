"""vLLM's `/v1/chat/completions/batch`: several conversations that share all else, one choice for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from askonce.upstreams.simulated.chat import generate_chat
from askonce.upstreams.simulated.failures import invalid
from askonce.upstreams.simulated.generation import Generation, Head, Tokens
from askonce.upstreams.simulated.requests import Fields

if TYPE_CHECKING:
    from askonce.upstreams.simulated.generation import Job

__all__ = ["CHAT_BATCH", "generate_chat_batch"]

CHAT_BATCH: Final = "chat/completions/batch"
"""The path below `/v1/`."""
_UNSUPPORTED: Final = ("stream", "tools", "use_beam_search")


def generate_chat_batch(job: Job) -> Generation:
    """Answers several chats: choice i is conversation i's, the tokens are everybody's together.

    Raises:
        UpstreamFailure: the request, or any of its conversations, is invalid.
    """
    body = job.body
    for name in _UNSUPPORTED:
        if body.get(name):
            raise invalid(f"'{name}' is not supported in a batch of chats.", name)
    if body.get("n") not in {None, 1}:
        raise invalid("'n' must be 1 in a batch of chats.", "n")
    talks = body.get("messages")
    if not isinstance(talks, list) or not talks or not all(isinstance(talk, list) for talk in talks):
        raise invalid("'messages' must be a list of conversations.", "messages")
    generations = []
    for talk in talks:
        single = {**body, "messages": talk}
        generations.append(generate_chat(replace(job, body=single, fields=Fields(single))))
    choices = [
        {**orjson.loads(generation.whole)["choices"][0], "index": index}
        for index, generation in enumerate(generations)
    ]
    tokens = Tokens(
        sum(generation.tokens.prompt for generation in generations),
        sum(generation.tokens.completion for generation in generations),
    )
    whole = Head.of(job, "chat.completion", "chatcmpl-").whole(choices, tokens)
    length = max(generation.length for generation in generations)
    images = sum(generation.images for generation in generations)
    return Generation(whole, (), length, tokens, inputs=len(talks), images=images)
