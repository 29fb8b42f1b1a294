"""The admin API asked in its own process by whoever wishes it ill, or sends what nobody expects."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from askonce.config import loads
from askonce.errors import Refusal
from askonce.http.app import App
from askonce.http.rest import json_body
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from askonce.http.asgi import Message

KEY = "ak-admin-of-tests"
KEYS = {"admin": KEY, "acme": "ak-acme", "zeta": "ak-zeta"}
CONFIG = """\
upstreams: [{{type: simulated}}]
defaults: {{semantic: "off"}}
tenants:
  - {{name: acme, keys: ["{acme}"], features: [default, pooled]}}
  - {{name: zeta, keys: ["{zeta}"], features: [default, pooled]}}
features: {{pooled: {{scope: shared}}}}
admin: {{keys: ["{admin}"]}}
"""
ADMIN = {"authorization": f"Bearer {KEY}"}
ACME = {"authorization": "Bearer ak-acme"}
PATHS = {
    "/admin/budgets": ("GET",),
    "/admin/budgets/{feature}": ("POST",),
    "/admin/audits": ("GET",),
    "/admin/upstreams": ("GET",),
    "/admin/trail": ("GET",),
    "/admin/cache/invalidate": ("POST",),
    "/admin/cache/export": ("GET",),
    "/admin/cache/import": ("POST",),
    "/admin/erase": ("POST",),
    "/admin/explain": ("POST",),
    "/admin/reload": ("POST",),
    "/admin/keys": ("GET", "POST"),
    "/admin/keys/{key}": ("DELETE",),
    "/admin/keys/{key}/rotate": ("POST",),
    "/admin/limits": ("GET",),
    "/admin/ledger": ("GET",),
    "/admin/ledger/calls": ("GET",),
    "/admin/live": ("GET",),
    "/admin/feedback": ("POST",),
}


@asynccontextmanager
async def opened(config: str = CONFIG) -> AsyncIterator[App]:
    keys = {name: f"sha256:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in KEYS.items()}
    app = App(loads(config.format_map(keys), "test", {}))
    steps, told = asyncio.Queue[Any](), asyncio.Queue[Any]()
    life = asyncio.ensure_future(app({"type": "lifespan"}, steps.get, told.put))
    await steps.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    try:
        yield app
    finally:
        await steps.put({"type": "lifespan.shutdown"})
        await life


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        told: str = self.json["error"]["code"]
        return told


async def ask(app: App, method: str, path: str, parts: Sequence[Message], headers: dict[str, str]) -> Answer:
    """What an application answers to a body that comes in parts; nothing comes after the last one."""
    answer, waiting = Answer(), list(parts)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    said = {"host": "127.0.0.1:8080", **headers}
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "scheme": "http", "http_version": "1.1", "client": ("10.0.0.1", 1), "server": ("127.0.0.1", 8080),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in said.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    return answer


async def get(app: App, path: str, **headers: str) -> Answer:
    """As an administrator."""
    return await ask(app, "GET", path, [{"type": "http.request"}], {**ADMIN, **headers})


async def post(app: App, path: str, body: Any, headers: dict[str, str] = ADMIN) -> Answer:
    """As an administrator, unless other headers say otherwise."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await ask(app, "POST", path, [{"type": "http.request", "body": raw}], headers)


def chat(text: str, **fields: Any) -> Any:
    return {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}


def nested(depth: int) -> str:
    return '{"in":' * depth + "1" + "}" * depth


async def test_every_path_asks_who_is_there_whatever_the_method() -> None:
    """All routes are known here; without an administrator's key each method is refused, and none says more than that."""
    async with opened() as app:
        routes = [route for route in app._rest.routes if route.path.startswith("/admin/")]  # type: ignore[attr-defined]
        assert {route.path for route in routes} - {"/admin/session"} == set(PATHS)  # type: ignore[attr-defined]
        for path, methods in PATHS.items():
            for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
                for headers in ({}, ACME, {"cookie": "askonce_session_8080=x"}):
                    parts: list[Message] = [{"type": "http.request"}]
                    answer = await ask(
                        app, method, path.format(key="a" * 8, feature="pooled"), parts, headers
                    )
                    takes = method in methods or (method == "HEAD" and "GET" in methods)
                    assert answer.status == (401 if takes else 405), (method, path, headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/admin/keys"), ("GET", "/admin/session"), ("GET", "/admin/live"), ("POST", "/admin/feedback")],
)
async def test_wrong_keys_stand_in_the_trail_wherever_they_are_tried(method: str, path: str) -> None:
    """Paths that a cookie opens too are no quieter place to guess."""
    async with opened() as app:
        await ask(app, method, path, [{"type": "http.request"}], ACME)
        acts = (await get(app, "/admin/trail")).json["acts"]
        assert [(act["action"], act["detail"]) for act in acts] == [("access.refused", {"times": 1})]


@pytest.mark.parametrize("depth", [250, 300, 900, 5_000])
@pytest.mark.parametrize("path", ["/admin/explain", "/admin/cache/invalidate"])
async def test_a_body_nested_deeply_is_a_clear_error(path: str, depth: int) -> None:
    """Not one that only parsing survives."""
    asked = json.dumps(chat("x"))[:-1] + f', "x": {nested(depth)}}}'
    body = f'{{"tenant": "acme", "request": {asked}}}'
    if "cache" in path:
        body = f'{{"dry_run": true, "equivalent_to": {body}}}'
    async with opened() as app:
        answer = await post(app, path, body.encode())
        assert answer.status == 400
        assert answer.code in {"invalid_json", "invalid_field"}


async def test_a_request_as_deep_as_callers_may_send_is_explained() -> None:
    """With its canonical form, and what keeps it apart from a flat one."""
    deep = json.loads(json.dumps(chat("x"))[:-1] + f', "x": {nested(198)}}}')
    async with opened() as app:
        body = {"tenant": "acme", "request": deep, "against": {"tenant": "acme", "request": chat("x")}}
        answer = await post(app, "/admin/explain", body)
        assert answer.status == 200
        assert answer.json["against"]["apart"] == ["field /x"]


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://["}, {"origin": "null"}, {"host": "x:\xb2"}, {"host": f"x:{'1' * 5_000}"}],
    ids=["broken origin", "null", "superscript port", "long port"],
)
async def test_headers_that_no_browser_sends_break_no_sign_in(headers: dict[str, str]) -> None:
    """Another origin is refused; a port that is none names no cookie."""
    async with opened() as app:
        answer = await post(app, "/admin/session", {"key": KEY}, headers)
        assert answer.status == (403 if "origin" in headers else 200)
        assert len(answer.headers.get("set-cookie", "")) < 200


@pytest.mark.parametrize("path", ["/admin/explain", "/admin/session", "/v1/askonce/feedback"])
async def test_a_client_that_leaves_within_its_body_fails_nothing(path: str) -> None:
    """Nobody is left to be answered; there is nothing to be logged as a failure of the gateway's."""
    parts: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    async with opened() as app:
        assert (await ask(app, "POST", path, parts, ADMIN)).status == 400


@virtual_time
async def test_a_body_that_never_ends_is_given_up() -> None:
    """After a minute: nobody needs a key to begin to sign in."""

    async def receive() -> Message:
        await asyncio.sleep(1)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(Refusal) as caught:
        await json_body(Request({"type": "http"}, receive))
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")


async def test_the_trail_keeps_the_beginning_of_what_is_long() -> None:
    """A call may name a hundred thousand entries: the trail says which ones first, and how many more."""
    async with opened() as app:
        body = {"entry": [f"{number:064x}" for number in range(100_000)], "tags": "t" * 1_000}
        assert (await post(app, "/admin/cache/invalidate", body)).status == 200
        trail = await get(app, "/admin/trail")
        assert len(trail.body) < 10_000
        detail = trail.json["acts"][0]["detail"]
        assert detail["entry"][0] == "0" * 64
        assert detail["entry"][-1] == "… 99950 more"
        assert len(detail["tags"]) == 201


@pytest.mark.parametrize("tenant", ["sk-live-A1", "ak-acme-AbC", "key:", "key:xyz", "tenant:", "a b"])
async def test_no_credential_gets_into_the_trail(tenant: str) -> None:
    """Whoever takes one for a tenant's name is told what a name looks like."""
    async with opened() as app:
        answer = await post(app, "/admin/cache/invalidate", {"tenant": tenant, "dry_run": True})
        assert (answer.status, answer.code) == (400, "invalid_field")
        assert (await get(app, "/admin/trail")).json["acts"] == []


async def test_without_tenants_a_name_is_no_tenant() -> None:
    """There a tenant is what reports call a credential; a lower-case credential would look like a name."""
    config = "upstreams: [{{type: simulated}}]\ndefaults: {{semantic: 'off'}}\nadmin: {{keys: ['{admin}']}}\n"
    async with opened(config) as app:
        for tenant, status in (("sk-live", 400), ("key:0123456789ab", 200), ("tenant:acme", 200)):
            answer = await post(app, "/admin/cache/invalidate", {"tenant": tenant, "dry_run": True})
            assert answer.status == status


async def test_an_age_of_nothing_means_everything() -> None:
    """As a number and as a text."""
    async with opened() as app:
        await post(app, "/v1/chat/completions", chat("x"), ACME)
        for age in (0, "0s"):
            body = {"older_than": age, "dry_run": True}
            answer = await post(app, "/admin/cache/invalidate", body)
            assert answer.json["forgotten"] == 1


async def test_heads_and_encodings_of_an_export() -> None:
    """A HEAD exports nothing; who refuses gzip gets none."""
    path = "/admin/cache/export"
    async with opened() as app:
        head = await ask(app, "HEAD", path, [{"type": "http.request"}], ADMIN)
        assert (head.status, head.headers["content-type"]) == (200, "application/x-ndjson")
        assert head.body == b""
        for accepted, encoding in (
            ("gzip", "gzip"),
            ("br, GZIP;q=0.5", "gzip"),
            ("gzip;q=0", None),
            ("gzip; q=0.0, *", None),
            ("x-gzipped", None),
        ):
            answer = await get(app, path, **{"accept-encoding": accepted})
            assert answer.headers.get("content-encoding") == encoding
            raw = gzip.decompress(answer.body) if encoding else answer.body
            assert len(raw.splitlines()) == 2
        acts = (await get(app, "/admin/trail")).json["acts"]
        assert [act["action"] for act in acts] == ["cache.export"] * 5


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("created_before=2026-11-21T09:00:00+00:00", 200),
        ("created_before=2026-11-21T09:00:00%2B00:00", 200),
        ("older_than=12.5", 200),
        ("older_than=nan", 400),
        ("created_before=inf", 400),
        ("older_than=1h&older_than=2h", 400),
        ("tenant=", 400),
        ("dry_run=true", 400),
    ],
)
async def test_an_exports_query_is_read_strictly(query: str, status: int) -> None:
    """As strictly as the body of the call that forgets; a plus sign needs no escape."""
    async with opened() as app:
        assert (await get(app, f"/admin/cache/export?{query}")).status == status


async def test_an_entry_of_a_pool_is_everybodys() -> None:
    """It isn't kept apart from another tenant's request; other words are."""
    async with opened() as app:
        asked = {**ACME, "x-askonce-feature": "pooled"}
        await post(app, "/v1/chat/completions", chat("x"), asked)
        again = await post(app, "/v1/chat/completions", chat("x"), asked)
        entry = again.headers["x-askonce-entry"]
        for text, apart in (("x", []), ("y", ["unknown: the store keeps no question of this entry"])):
            body = {
                "tenant": "zeta",
                "feature": "pooled",
                "request": chat(text),
                "against": {"entry": entry},
            }
            answer = await post(app, "/admin/explain", body)
            assert answer.json["against"]["apart"] == apart
        body = {"tenant": "zeta", "request": chat("x"), "against": {"entry": entry}}
        answer = await post(app, "/admin/explain", body)
        assert answer.json["against"]["apart"][0] == "tenant"
