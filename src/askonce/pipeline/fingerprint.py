"""The cache key: which requests are the same, and which differ in the asked text alone.

`parse` refuses what no upstream could answer, before anything is spent. `fingerprint` decides under which keys a
request may be shared, or why it may not. A key is SHA-256 over a header (format, owner, endpoint, upstream, model,
options) and the canonical body. Both are JSON, which frames itself: no header or body is the beginning of another.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias

import orjson

from askonce.errors import Refusal
from askonce.matching.canonical import canonical, read
from askonce.model import Ask, Endpoint, HighTemperature, Scope, SemanticMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.model import Caller, Json, Policy, Request, Route

__all__ = ["FORMAT", "Parsed", "fingerprint", "parse", "rerouted"]

FORMAT: Final = "askonce/1"
"""Part of every key: another canonical form needs another number, lest old answers be found under new meanings."""
_PROVIDER_TEMPERATURE: Final = 1.0
"""What a request without `temperature` is taken to run at."""

_MODEL_LENGTH: Final = 256
"""Model names are remembered, logged and stored."""

_FLAG: Final = (frozenset({bool}), "true or false")
_NUMBER: Final = (frozenset({int, float}), "a number")
_STRING: Final = (frozenset({str}), "a string")
_LIST: Final = (frozenset({list}), "a list")
_OBJECT: Final = (frozenset({dict}), "an object")
_TYPES: Final[Mapping[str, tuple[frozenset[type], str]]] = {
    "best_of": _NUMBER,
    "dimensions": _NUMBER,
    "frequency_penalty": _NUMBER,
    "functions": _LIST,
    "max_completion_tokens": _NUMBER,
    "max_tokens": _NUMBER,
    "n": _NUMBER,
    "presence_penalty": _NUMBER,
    "safety_identifier": _STRING,
    "seed": _NUMBER,
    "stream": _FLAG,
    "stream_options": _OBJECT,
    "temperature": _NUMBER,
    "tools": _LIST,
    "top_logprobs": _NUMBER,
    "top_p": _NUMBER,
    "user": _STRING,
}
"""Fields that the gateway reads itself or that every server takes as numbers; all may be null."""
_ABOUT_THE_TEXT: Final = frozenset({"logprobs", "prompt_logprobs", "echo", "return_token_ids"})
"""Fields that ask for measures or copies of this very text: another text's answer cannot have them right."""


class Parsed(NamedTuple):
    """A body that an upstream could answer.

    Attributes:
        endpoint: Where it was sent.
        raw: The bytes as they came.
        body: The same, parsed, integers exact.
        settled: The same with one spelling for every number: what the key is made of.
        model: The model as the caller names it.
        stream: Whether the caller wants events.
        include_usage: Whether it asked for the usage event.
    """

    endpoint: Endpoint
    raw: bytes
    body: Json
    settled: Json
    model: str
    stream: bool
    include_usage: bool


_Owner: TypeAlias = "tuple[str, ...] | None"
"""With whom a request may share, as a part of its key; None where it may share with nobody."""


def parse(endpoint: Endpoint, raw: bytes) -> Parsed:
    """Reads a request's body. Fields that aren't known are never an error.

    Raises:
        Refusal: 400 with a sentence that names what is wrong.
    """
    try:
        body, settled = read(raw)
    except ValueError as error:
        raise Refusal(400, "invalid_json", f"The body is not a valid JSON object: {error}.") from None
    for name, value in body.items():
        rule = _TYPES.get(name)
        if rule is not None and value is not None and type(value) not in rule[0]:
            _refuse(name, f"`{name}` must be {rule[1]}.")
    model = body.get("model")
    if type(model) is not str or not model:
        _refuse(
            "model", "`model` is missing: name the model as a string; GET /v1/models lists what there is."
        )
    if len(model) > _MODEL_LENGTH:
        _refuse("model", f"`model` is longer than {_MODEL_LENGTH} characters.")
    if endpoint is Endpoint.CHAT:
        _check_messages(body.get("messages"))
    elif endpoint is Endpoint.COMPLETIONS:
        _check_prompt(body.get("prompt"))
    elif "messages" not in body:  # which some servers embed as well
        _check_input(body.get("input"))
    stream_options = body.get("stream_options")
    include_usage = stream_options is not None and _include_usage(stream_options)
    return Parsed(endpoint, raw, body, settled, model, body.get("stream") is True, include_usage)


def fingerprint(  # noqa: PLR0917 - six ingredients, one call site
    parsed: Parsed,
    caller: Caller,
    policy: Policy,
    route: Route,
    options: Sequence[tuple[str, str]],
    retry: bool,  # noqa: FBT001 - the gateway's one call site names it
) -> Ask:
    """The keys of a request, or why it has none.

    The text that is asked goes into the exact key after everything else, so that one hash gives both keys: the
    partition is its state before the text. A semantic match needs the same partition, hence the same of all else.

    Args:
        parsed: What is asked.
        caller: Who asks.
        policy: With whom answers may be shared, and which tiers are on.
        route: Where the request goes.
        options: Further headers that reach the upstream and change its answer.
        retry: Whether the caller's client says that it repeats a request of its own.
    """
    hot = _is_hot(parsed, policy)
    owner, joinable, unshared = _sharing(parsed, caller, policy, hot=hot, retry=retry)
    unmatched, turns = unshared or _unmatched(parsed, policy, hot=hot), 0
    exact_key = partition = text = None
    if parsed.endpoint is Endpoint.CHAT:
        turns = [message["role"] for message in parsed.body["messages"]].count("user")
        unmatched = unmatched or ("turns" if turns > policy.max_turns else "")
    if owner is not None:
        form = canonical(parsed.endpoint, parsed.settled, route.model)
        named = (FORMAT, owner, parsed.endpoint, route.upstream, route.model, sorted(options))
        digest = hashlib.sha256(orjson.dumps(named) + form.context)
        text = form.text
        if not unmatched and (text is None or not text or text.isspace()):
            unmatched = "not-plain-text"
        if not unmatched:
            partition = digest.digest()
        if text is not None:
            digest.update(b"\0" + text.encode())
        exact_key = digest.digest()
    return Ask(
        endpoint=parsed.endpoint,
        route=route,
        model=parsed.model,
        raw=parsed.raw,
        body=parsed.body,
        stream=parsed.stream,
        include_usage=parsed.include_usage,
        exact_key=exact_key,
        partition=partition,
        text=None if unmatched else text,
        turns=turns,
        unshared=unshared,
        unmatched=unmatched,
        hot=hot,
        joinable=joinable,
    )


def rerouted(request: Request, route: Route) -> Request:
    """The same question to another model: its keys are those that the other model's own answers have.

    To another upstream neither the caller's credential travels nor what else was meant for the one it named.
    """
    ask, caller, headers = request.ask, request.caller, request.headers
    if route.upstream != ask.route.upstream:
        caller, headers = dataclasses.replace(caller, credential=None), ()
    parsed = parse(ask.endpoint, ask.raw)
    asked = fingerprint(parsed, caller, request.policy, route, headers, retry=False)
    return request._replace(ask=asked, caller=caller, headers=headers)


def _is_hot(parsed: Parsed, policy: Policy) -> bool:
    if parsed.endpoint is Endpoint.EMBEDDINGS:
        return False
    temperature = parsed.body.get("temperature")
    limit = policy.max_temperature
    return bool((_PROVIDER_TEMPERATURE if temperature is None else temperature) > limit)


def _sharing(
    parsed: Parsed, caller: Caller, policy: Policy, *, hot: bool, retry: bool
) -> tuple[_Owner, bool, str]:
    """Whose the key is, whether the request may join a flight, and why nothing is shared.

    A hot request whose temperature was chosen is shared with retries of its own caller alone: its key carries the
    caller's identity, so that a retry meets the flight of the first attempt, and only a retry may join.
    """
    owner, unshared = _owner(parsed, caller, policy)
    if owner is None:
        return None, False, unshared
    allowed = policy.inflight_high_temperature
    if not hot or allowed is HighTemperature.ON:
        return owner, True, ""
    if allowed is HighTemperature.OFF:
        return None, False, "high-temperature"
    if parsed.body.get("temperature") is None:
        return owner, True, ""
    return (*owner, "retries", caller.identity.hex()), retry, ""


def _owner(parsed: Parsed, caller: Caller, policy: Policy) -> tuple[_Owner, str]:
    """The isolation boundary by name, or why there is none: an unknown tenant shares nothing in any scope."""
    tenant = caller.tenant
    if tenant is None:
        return None, "no-tenant"
    if policy.scope is Scope.TENANT:
        return ("tenant", tenant), ""
    if policy.scope is Scope.SHARED:
        return ("shared", policy.pool), ""
    user, safety_identifier = parsed.body.get("user") or "", parsed.body.get("safety_identifier") or ""
    if not user and not safety_identifier:
        return None, "no-user"
    return ("user", tenant, user, safety_identifier), ""


def _unmatched(parsed: Parsed, policy: Policy, *, hot: bool) -> str:
    """Why the semantic tier doesn't apply, as far as the fields beside the messages tell; "" where it may."""
    if parsed.endpoint is not Endpoint.CHAT:
        return "not-chat"
    if policy.semantic is SemanticMode.OFF:
        return "semantic-off"
    return "hot" if hot else _unmatched_field(parsed.body, policy)


def _unmatched_field(body: Json, policy: Policy) -> str:
    if body.get("n") not in (None, 1):
        return "n-above-1"
    if not policy.semantic_tools and (body.get("tools") or body.get("functions")):
        return "tools"
    if not _ABOUT_THE_TEXT.isdisjoint(body):
        for name in _ABOUT_THE_TEXT:
            if (wanted := body.get(name)) is not None and wanted is not False:
                return "about-the-text"
    return ""


def _check_messages(messages: Any) -> None:
    if type(messages) is not list or not messages:
        _refuse("messages", "`messages` is missing: give a list with at least one message.")
    for index, message in enumerate(messages):
        if type(message) is not dict or type(message.get("role")) is not str:
            _refuse("messages", f"`messages[{index}]` must be an object with a `role`.")


def _check_prompt(prompt: Any) -> None:
    if prompt is not None and not _is_text_or_tokens(prompt, frozenset({str})):
        _refuse("prompt", "`prompt` must be a string, or a list of strings, of tokens or of lists of tokens.")


def _check_input(given: Any) -> None:
    if not _is_text_or_tokens(given, frozenset({str, dict})):  # objects: images, on servers that embed them
        _refuse("input", "`input` must be a string, or a list of strings, of tokens or of lists of tokens.")


def _is_text_or_tokens(value: Any, elements: frozenset[type]) -> bool:
    if type(value) is not list:
        return type(value) is str
    kinds = set(map(type, value))
    if kinds == {list}:
        return all(set(map(type, tokens)) == {int} for tokens in value)
    return kinds == {int} or (bool(kinds) and kinds <= elements)


def _include_usage(stream_options: Json) -> bool:
    wanted = stream_options.get("include_usage")
    if wanted is not None and type(wanted) is not bool:
        _refuse("stream_options", "`stream_options.include_usage` must be true or false.")
    return wanted is True


def _refuse(param: str, sentence: str) -> NoReturn:
    raise Refusal(400, "invalid_field", sentence, param=param)
