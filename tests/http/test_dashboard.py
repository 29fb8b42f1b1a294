"""The dashboard's server side, in process: who gets what, under which headers, and how much a viewer may cost."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from askonce.config import loads
from askonce.http import dashboard_session, live
from askonce.http.app import App
from askonce.http.dashboard_session import Throttle
from askonce.http.live import EventStream, Feed
from askonce.observe.live import SLOTS
from virtual_time import virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from askonce.http.asgi import Message

KEY = "ak-admin-of-tests"
CONFIG = """\
upstreams: [{{type: simulated}}]
defaults: {{semantic: "off"}}
admin: {{keys: ["sha256:{digest}"]}}
"""
HOST = "127.0.0.1:8080"


class Answer:
    """What came back."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Front:
    """An application, asked in its own process."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.cookie = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request as a browser sends it from the page itself, unless `headers` (with `_` for `-`) say otherwise."""
        said = {"host": HOST, "sec_fetch_site": "same-origin", "cookie": self.cookie, **headers}
        lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in said.items() if value]
        answer, raw = Answer(), b"" if body is None else json.dumps(body).encode()

        async def receive() -> Message:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": raw}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
            "scheme": "http", "http_version": "1.1", "headers": lines, "client": ("10.0.0.1", 1), "server": ("127.0.0.1", 8080),
        }  # fmt: skip
        await self.app(scope, receive, send)
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    async def sign_in(self) -> Answer:
        return await self.ask("POST", "/admin/session", {"key": KEY})


@asynccontextmanager
async def front(config: str = CONFIG) -> AsyncIterator[Front]:
    settings = loads(config.format(digest=hashlib.sha256(KEY.encode()).hexdigest()), "test", {})
    app, steps, told = App(settings), asyncio.Queue[Any](), asyncio.Queue[Any]()
    life = asyncio.ensure_future(app({"type": "lifespan"}, steps.get, told.put))
    await steps.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    yield Front(app)
    await steps.put({"type": "lifespan.shutdown"})
    await life


async def test_the_page_and_its_files_come_with_a_strict_policy() -> None:
    """Every file says what may run and be asked, is revalidated by its ETag, and answers HEAD and the icon too."""
    async with front() as gateway:
        for path, kind in (("/", "text/html"), ("/login", "text/html"), ("/static/main.js", "text/javascript"),
                           ("/static/dashboard.css", "text/css"), ("/favicon.ico", "image/svg+xml")):  # fmt: skip
            answer = await gateway.ask("GET", path)
            assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            same = await gateway.ask("GET", path, if_none_match=answer.headers["etag"])
            assert (same.status, same.body) == (304, b"")
            head = await gateway.ask("HEAD", path)
            assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


async def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    """No script, style or handler stands in the page, and its files name no other host but SVG's namespace."""
    async with front() as gateway:
        page = (await gateway.ask("GET", "/")).body.decode()
        assert (
            page.count("<script") == page.count('<script type="module" src="/static/main.js"></script>') == 1
        )
        assert "<style" not in page
        assert " style=" not in page
        assert " on" + "click=" not in page
        for name in ("main.js", "dom.js", "door.js", "stream.js", "dashboard.css"):
            text = (await gateway.ask("GET", f"/static/{name}")).body.decode()
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
            assert "innerHTML" not in text
            assert "eval(" not in text


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "dashboard.py", "__init__.py", "", "main.js/x", "%00"]
)
async def test_only_the_pages_own_files_are_served(name: str) -> None:
    """Whatever else is asked for under /static isn't there."""
    async with front() as gateway:
        assert (await gateway.ask("GET", f"/static/{name}")).status == 404


async def test_a_session_is_a_cookie_that_no_script_and_no_other_site_has() -> None:
    """Signing in sets an HttpOnly, SameSite=Strict cookie (Secure behind TLS) that opens, until it is given back."""
    async with front() as gateway:
        assert (await gateway.ask("GET", "/admin/session")).json == {"signed_in": False, "configured": True}
        cookie = (await gateway.sign_in()).headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "secure" not in cookie
        assert (await gateway.ask("GET", "/admin/session")).json["signed_in"] is True
        stolen = gateway.cookie
        await gateway.ask("DELETE", "/admin/session")
        assert (await gateway.ask("GET", "/admin/session", cookie=stolen)).json["signed_in"] is False
        again = await gateway.ask("POST", "/admin/session", {"key": KEY}, x_forwarded_proto="https")
        assert "; secure" in again.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "body", [{"key": "ak-wrong"}, {"key": None}, {"key": ["x"]}, {}, {"key": ""}, {"key": "\ud83d\ude00"}]
)
async def test_wrong_keys_open_nothing(body: dict[str, Any]) -> None:
    """Whatever isn't an administrator's key is refused, and no cookie is set."""
    async with front() as gateway:
        answer = await gateway.ask("POST", "/admin/session", body)
        assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_admin_key")
        assert "set-cookie" not in answer.headers


async def test_guessing_has_to_wait() -> None:
    """After five wrong keys even the right one has to wait, and is told how long."""
    async with front() as gateway:
        for _ in range(5):
            assert (await gateway.ask("POST", "/admin/session", {"key": "ak-guess"})).status == 401
        answer = await gateway.sign_in()
        assert (answer.status, answer.json["error"]["code"]) == (429, "too_many_attempts")
        assert 0 < int(answer.headers["retry-after"]) <= 2


async def test_guesses_that_come_together_wait_as_well() -> None:
    """Forty wrong keys at once, each of which was let in before any was judged: five are looked at."""
    async with front() as gateway:
        asked = [gateway.ask("POST", "/admin/session", {"key": "ak-guess"}) for _ in range(40)]
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
        assert (statuses.count(401), statuses.count(429)) == (5, 35)


async def test_signing_in_again_ends_the_session_before() -> None:
    """A browser has one session: what its cookie named before opens nothing afterwards."""
    async with front() as gateway:
        await gateway.sign_in()
        before = gateway.cookie
        await gateway.sign_in()
        assert gateway.cookie != before
        assert (await gateway.ask("GET", "/admin/session", cookie=before)).json["signed_in"] is False
        assert (await gateway.ask("GET", "/admin/session")).json["signed_in"] is True


@pytest.mark.parametrize("path", ["/admin/session", "/admin/live"])
async def test_a_wrong_bearer_token_stands_in_the_trail(path: str) -> None:
    """Wherever a key is tried, that it was refused is written down."""
    async with front() as gateway:
        await gateway.ask("GET", path, authorization="Bearer ak-guess")
        trail = await gateway.ask("GET", "/admin/trail", authorization=f"Bearer {KEY}")
        assert [act["action"] for act in trail.json["acts"]] == ["access.refused"]


def test_a_guesser_waits_longer_each_time_and_is_forgotten_in_the_end() -> None:
    """Waits double up to a minute, others don't wait, and a guesser's memory is bounded."""
    throttle, waits = Throttle(), []
    for number in range(12):
        throttle.failed("guesser", float(number))
        waits.append(throttle.wait_s("guesser", float(number)))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]
    assert throttle.wait_s("other", 12.0) == 0
    assert throttle.wait_s("guesser", 1_000.0) == 0
    for number in range(2_000):
        throttle.failed(f"address {number}", 1_000.0)
    assert len(throttle._failures) == 1_000
    throttle.succeeded("address 1999")
    assert throttle.wait_s("address 1999", 1_000.0) == 0


_ELSEWHERE: list[dict[str, str]] = [
    {"sec_fetch_site": "cross-site"},
    {"sec_fetch_site": "same-site"},
    {"sec_fetch_site": "", "origin": "https://evil.example"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "null"},
    {"sec_fetch_site": ""},
]


@pytest.mark.parametrize("headers", _ELSEWHERE)
async def test_other_sites_change_nothing(headers: dict[str, str]) -> None:
    """With the cookie, but from another site's page or from nowhere, a verdict is refused; the bearer token may."""
    async with front() as gateway:
        await gateway.sign_in()
        verdict = {"request_id": "req_1", "correct": False}
        refused = await gateway.ask("POST", "/admin/feedback", verdict, **headers)
        assert (refused.status, refused.json["error"]["code"]) == (403, "cross_site")
        assert (await gateway.ask("POST", "/admin/feedback", verdict)).status == 404
        bearer = {**headers, "cookie": "", "authorization": f"Bearer {KEY}"}
        assert (await gateway.ask("POST", "/admin/feedback", verdict, **bearer)).status == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"request_id": "r"}, {"request_id": 1, "correct": True}, {"request_id": "r", "correct": "yes"},
     {"request_id": "r", "correct": True, "tenant": 1}],
)  # fmt: skip
async def test_verdicts_that_say_nothing_are_refused(body: dict[str, Any]) -> None:
    """A verdict names a request and says right or wrong."""
    async with front() as gateway:
        await gateway.sign_in()
        assert (await gateway.ask("POST", "/admin/feedback", body)).status == 400


async def test_what_is_live_is_for_administrators() -> None:
    """Without a session or with a wrong bearer token there is nothing to see; HEAD opens no stream."""
    async with front() as gateway:
        for headers in ({}, {"authorization": "Bearer ak-wrong"}, {"cookie": "askonce_session_8080=made-up"}):
            assert (await gateway.ask("GET", "/admin/live", **headers)).status == 401
        await gateway.sign_in()
        assert (await gateway.ask("HEAD", "/admin/live")).status == 200


async def test_sessions_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session ends with its time, with its key, and when too many others were begun since."""
    async with front() as gateway:
        await gateway.sign_in()
        first, running = gateway.cookie, gateway.app._running
        assert running is not None
        with monkeypatch.context() as revoked:
            revoked.setattr(type(running), "admin_digests", ())
            assert (await gateway.ask("GET", "/admin/session")).json == {
                "signed_in": False,
                "configured": False,
            }
        assert (await gateway.ask("GET", "/admin/session", cookie=first)).json["signed_in"] is False
        await gateway.sign_in()
        second = gateway.cookie
        monkeypatch.setattr(dashboard_session, "_MOST", 2)
        await gateway.sign_in()
        await gateway.sign_in()
        assert (await gateway.ask("GET", "/admin/session", cookie=second)).json["signed_in"] is False
        assert (await gateway.ask("GET", "/admin/session")).json["signed_in"] is True
        later = asyncio.get_running_loop().time() + 13 * 3_600
        monkeypatch.setattr(dashboard_session, "_now", lambda: later)
        assert (await gateway.ask("GET", "/admin/session")).json["signed_in"] is False


class Sight:
    """A view that shows what it is told to."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {"now": 1, "hits": []}
        self.looks = 0

    def parts(self) -> dict[str, Any]:
        self.looks += 1
        if self.shown == {"bug": True}:
            raise ZeroDivisionError
        return dict(self.shown)

    def series(self, count: int) -> dict[str, Any]:
        return {"number": self.looks, "count": count}


class Past:
    """Books that are never read."""

    async def refresh(self) -> None:
        """Nothing to read."""


def feed_of(sight: Sight) -> Feed:
    return Feed(sight, Past())  # type: ignore[arg-type]


def event(data: bytes) -> tuple[str, dict[str, Any]]:
    name, said = data.decode().rstrip("\n").split("\n")
    return name.removeprefix("event: "), json.loads(said.removeprefix("data: "))


@virtual_time
async def test_a_viewer_sees_all_and_then_what_changes() -> None:
    """First everything, then each second what differs, with the newest slots; nobody looks when nobody looks on."""
    sight = Sight()
    feed = feed_of(sight)
    with feed.viewing():
        events = feed.events(lambda: True)
        kind, parts = event(await anext(events))
        assert (kind, parts["now"], parts["hits"], parts["series"]["count"]) == ("whole", 1, [], SLOTS)
        sight.shown["now"] = 2
        kind, parts = event(await anext(events))
        assert (kind, parts["now"], "hits" in parts, "tail" in parts) == ("update", 2, False, True)
        kind, parts = event(await anext(events))
        assert (kind, list(parts)) == ("update", ["tail"])
    before = sight.looks
    await asyncio.sleep(60)
    assert sight.looks == before


@virtual_time
async def test_all_viewers_share_one_look_and_the_slow_one_is_skipped() -> None:
    """However many there are, the gateway is looked at once a second; who was away gets everything, nothing is kept."""
    sight = Sight()
    feed = feed_of(sight)
    with feed.viewing(), feed.viewing(), feed.viewing():
        first, second, slow = (feed.events(lambda: True) for _ in range(3))
        for events in (first, second, slow):
            assert event(await anext(events))[0] == "whole"
        for _ in range(10):
            assert event(await anext(first)) == event(await anext(second))
        assert sight.looks in {11, 12}
        assert event(await anext(slow))[0] == "whole"
        assert event(await anext(slow))[0] == "update"
    await asyncio.sleep(0)


@virtual_time
async def test_who_is_not_welcome_any_more_is_shown_out() -> None:
    """When a session ends or the gateway drains, the stream ends within a second, also where looking fails."""
    sight = Sight()
    feed = feed_of(sight)
    welcome = True
    with feed.viewing():
        events = feed.events(lambda: welcome)
        await anext(events)
        sight.shown = {"bug": True}
        welcome = False
        assert event(await anext(events))[0] == "end"
        assert [data async for data in events] == []
    await asyncio.sleep(0)


@virtual_time
async def test_a_viewer_that_takes_nothing_loses_its_place() -> None:
    """A minute of taking nothing ends a viewer; one that has left is noticed at the next second."""
    for stalls in (True, False):
        feed = feed_of(Sight())
        sent: list[Message] = []
        gone = asyncio.Event()

        async def send(message: Message, sent: list[Message] = sent, *, stalls: bool = stalls) -> None:
            sent.append(message)
            if stalls and message["type"] == "http.response.body":
                await asyncio.sleep(3_600)

        async def receive(gone: asyncio.Event = gone) -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        stream = asyncio.ensure_future(EventStream(feed, lambda: True, [])({}, receive, send))
        await asyncio.sleep(30)
        assert feed._viewers == 1
        if not stalls:
            gone.set()
        await asyncio.sleep(2 if not stalls else 40)
        assert (stream.done(), feed._viewers) == (True, 0)
        assert len(sent) < 40


async def test_viewers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of viewers the next one is told to come back."""
    monkeypatch.setattr(live, "_VIEWERS", 0)
    async with front() as gateway:
        await gateway.sign_in()
        answer = await gateway.ask("GET", "/admin/live")
        assert (answer.status, answer.json["error"]["code"]) == (503, "too_many_viewers")
