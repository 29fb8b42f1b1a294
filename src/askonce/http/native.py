"""The native endpoint: `POST /v2/inference/submit` `{tenant_id, prompt, model_preference, request_id}`.

With `lane: batch` (and `deadline`, `webhook` if wanted) it makes a job of the prompt.

A prompt is mapped on to a chat request and goes the same way as one. `tenant_id` narrows: it must name the caller's
own tenant, and where callers pass a provider's key, each `tenant_id` under one key is a tenant of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from askonce.errors import Refusal
from askonce.http.lane import job_terms
from askonce.jobs.document import native_fields
from askonce.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.gateway import Gateway
    from askonce.model import Request
    from askonce.pipeline.reply import Reply

__all__ = ["NativeDialect"]

_FIELDS = frozenset({"tenant_id", "prompt", "model_preference", "request_id", "lane", "deadline", "webhook"})
_LANE = b"x-askonce-lane"


class NativeDialect:
    """Prompts in, texts out."""

    @property
    def name(self) -> str:
        """The endpoint's name in metrics."""
        return "inference/submit"

    def understand(self, gateway: Gateway, headers: Mapping[bytes, bytes], raw: bytes) -> Request:
        """The request as a chat request. Raises Refusal."""
        submission = _parse(raw)
        models = submission["model_preference"]
        model = next((one for one in models if gateway.serves(one)), models[0])
        chat = {"model": model, "messages": [{"role": "user", "content": submission["prompt"]}]}
        lane = submission.get("lane")
        if lane is not None:
            headers = {**headers, _LANE: lane.encode()}
        request = gateway.understand(Endpoint.CHAT, headers, orjson.dumps(chat), submission.get("tenant_id"))
        terms = job_terms(headers, deadline=submission.get("deadline"), webhook=submission.get("webhook"))
        if terms is not None:
            terms = replace(terms, native=True)
        return request._replace(submitted_as=submission.get("request_id"), terms=terms)

    def answer(self, reply: Reply, identity: str) -> bytes:
        """The first choice's text, with how it came about."""
        shown = native_fields(orjson.loads(reply.whole()))
        outcome, saved = reply.outcome, reply.saved_nanousd
        return orjson.dumps(
            {
                "request_id": reply.request.submitted_as or identity,
                "status": "completed",
                **shown,
                "outcome": outcome.name if outcome is not None else None,
                "saved_usd": None if saved is None else saved * 1e-9,
            }
        )


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "invalid_json", f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    unknown = sorted(set(body) - _FIELDS)
    if unknown:
        sentence = f"Unknown field {unknown[0][:100]!r}; there are: {', '.join(sorted(_FIELDS))}."
        raise Refusal(400, "unknown_field", sentence, param=unknown[0][:100])
    for name in ("tenant_id", "request_id"):
        if body.get(name) is not None and not (isinstance(body[name], str) and 0 < len(body[name]) <= 256):  # noqa: PLR2004
            raise Refusal(
                400, "invalid_field", f"`{name}` must be a string of 1 to 256 characters.", param=name
            )
    _check_terms(body)
    if not isinstance(body.get("prompt"), str) or not body["prompt"]:
        raise Refusal(400, "invalid_field", "`prompt` must be a string that isn't empty.", param="prompt")
    models = body.get("model_preference")
    models = [models] if isinstance(models, str) else models
    if not isinstance(models, list) or not models or not all(isinstance(one, str) and one for one in models):
        sentence = "`model_preference` must name a model, or list some, the most preferred first."
        raise Refusal(400, "invalid_field", sentence, param="model_preference")
    return {**body, "model_preference": models}


def _check_terms(body: dict[str, Any]) -> None:
    """What is said of the job that is wanted. Raises Refusal."""
    lane, deadline, webhook = body.get("lane"), body.get("deadline"), body.get("webhook")
    if lane is not None and not (isinstance(lane, str) and lane.isascii()):
        raise Refusal(400, "invalid_field", "`lane` must be interactive, relaxed or batch.", param="lane")
    if deadline is not None and (not isinstance(deadline, int | float) or isinstance(deadline, bool)):
        raise Refusal(400, "invalid_field", "`deadline` must be a number of seconds.", param="deadline")
    if webhook is not None and not (
        isinstance(webhook, dict) and set(webhook) == {"url"} and isinstance(webhook["url"], str)
    ):
        raise Refusal(400, "invalid_field", '`webhook` must be {"url": …}.', param="webhook")
    body["webhook"] = None if webhook is None else webhook["url"]
