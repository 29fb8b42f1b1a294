"""The right to erasure through the front door, proven by searching every byte of the gateway's files."""

from __future__ import annotations

import concurrent.futures
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from compliance.admin_front import Admin, bearer
from compliance.privacy_front import WORDINGS, Person, config, found, provider, ready, settled
from servers import Server, gateway, until

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = WORDINGS
ZOE, MAX, ZETA = Person("acme", "quivnexa"), Person("acme", "brolmist"), Person("zeta", "tendrilo")
"""Two users of one tenant, and one of another."""


def live(server: Server, person: Person) -> None:
    """Everything that leaves text behind: answers, links with and without questions, jobs, refusals."""
    hits = audited(server)
    assert person.outcome(server, FIRST) == "fresh"
    assert person.outcome(server, SECOND) == "semantic"
    until(lambda: audited(server) > hits, "the hit is audited")
    person.ask(server, "What does {topic} cost?", stream=False, safety_identifier=person.user)
    person.job(server, "Write to {topic} by batch.", f"{person.name}-batch")
    person.job(server, "Write to {topic} at once.", f"{person.name}-direct", model="direct-1")
    for kind in ("batch", "direct"):
        assert person.done(server, f"{person.name}-{kind}")["status"] == "completed"
    settled(server)


def audited(server: Server) -> int:
    """Hits that were judged: a question whose answer was found right can be found itself then, and is on the disk."""
    return sum(audit["source"] == "hit" for audit in Admin(server).get("/admin/audits")["audits"])


def erase(server: Server, person: Person, **fields: Any) -> Any:
    told = {"tenant": person.tenant, "user": person.user, **fields}
    return Admin(server).post("/admin/erase", told)["erased"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", "6b" * 32])
def test_a_user_is_erased_to_the_last_byte(tmp_path: Path, key: str) -> None:
    """After the call no file has a word of hers, in clear or encrypted files; the others' answers are hits as before."""
    sections = {"cache_encryption_key": f'["{key}"]'} if key else {}
    state = tmp_path / "state"
    with provider(tmp_path, ZOE, MAX, ZETA) as upstream:
        text = config(tmp_path, upstream.base_url, "full", **sections)
        with gateway(tmp_path, text) as server:
            ready(server)
            for person in (ZOE, MAX, ZETA):
                live(server, person)
            server.stop(signal.SIGKILL)
        for aside in ("askonce.db.corrupt-1", "askonce.ledger.db.corrupt-1"):
            (state / aside).write_bytes(ZOE.topic.encode())
        if not key:
            assert set(found(state, ZOE.topic)) & {"askonce.db", "askonce.db-wal"}
        with gateway(tmp_path, text) as server:
            ready(server)
            planned = erase(server, ZOE, dry_run=True)
            assert ZOE.outcome(server, FIRST) == "exact"
            erased = erase(server, ZOE)
            assert (planned["answers"], planned["links"], planned["jobs"]) == (4, 1, 2)
            assert {**erased, "files_deleted": []} == planned
            assert erased["files_deleted"] == ["askonce.db.corrupt-1", "askonce.ledger.db.corrupt-1"]
            assert found(state, *ZOE.words) == {}
            assert found(tmp_path, ZOE.user, ZOE.answer).keys() <= {"answers.jsonl"}
            for person in (MAX, ZETA):
                assert person.outcome(server, FIRST) == "exact"
                assert person.outcome(server, SECOND) == "semantic"
                assert person.done(server, f"{person.name}-batch")["status"] == "completed"
            status, _, _ = server.send("GET", f"/v2/inference/{ZOE.name}-batch", None, bearer(ZOE.tenant))
            assert status == 404
            trail = Admin(server).trail("erase")
            assert [act["dry_run"] for act in trail] == [False, True]
            assert ZOE.user not in str(trail)
        assert found(state, *ZOE.words) == {}
        with gateway(tmp_path, text) as server:
            ready(server)
            assert ZOE.outcome(server, FIRST) == "fresh"
            assert MAX.outcome(server, FIRST) == "exact"


@pytest.mark.slow
def test_a_tenant_is_erased_to_the_last_byte(tmp_path: Path) -> None:
    """Both users' data goes, with the text in the ledger; another tenant's stays, and so do the sums."""
    state = tmp_path / "state"
    with provider(tmp_path, ZOE, MAX, ZETA) as upstream:
        text = config(tmp_path, upstream.base_url, "full")
        with gateway(tmp_path, text) as server:
            ready(server)
            for person in (ZOE, MAX, ZETA):
                live(server, person)
            erased = Admin(server).post("/admin/erase", {"tenant": "acme"})["erased"]
            assert (erased["answers"], erased["links"], erased["jobs"]) == (8, 2, 4)
            assert erased["top_questions"] > 0
            assert found(state, *ZOE.words, *MAX.words) == {}
            assert ZETA.outcome(server, FIRST) == "exact"
            assert erase(server, ZOE)["answers"] == 0
    with closing(sqlite3.connect(state / "askonce.ledger.db")) as books:
        spent = dict(books.execute("SELECT tenant, sum(requests) FROM hours GROUP BY tenant"))
        assert spent["acme"] > spent["zeta"] > 0


@pytest.mark.slow
def test_evictions_and_expiry_leave_no_text(tmp_path: Path) -> None:
    """What was evicted for room or has expired can't be read from the file's free pages."""
    state = tmp_path / "state"
    guests = [Person("acme", f"guest{number}x") for number in range(30)]
    with provider(tmp_path, ZOE) as upstream:
        text = config(tmp_path, upstream.base_url, cache="{disk_bytes: 300KiB}")
        with gateway(tmp_path, text) as server:
            ready(server)
            ZOE.ask(server, "Tell me of {topic}.", x_simulate={"tokens": 2_000})
            for guest in guests:
                guest.ask(server, "Tell me of {topic}.", x_simulate={"tokens": 5_000})
            settled(server)
            until(lambda: server.json("/healthz")["store"]["entries"] < 25, "some were evicted")
            server.stop()
    with closing(sqlite3.connect(state / "askonce.db")) as store:
        alive = {text for (text,) in store.execute("SELECT text FROM questions")}
    gone = [guest for guest in guests if not any(guest.topic in text for text in alive)]
    assert gone
    assert found(state, *(guest.topic for guest in gone)) == {}


@pytest.mark.slow
def test_what_is_under_way_isnt_kept(tmp_path: Path) -> None:
    """A call that is being answered while its user is erased is answered, and leaves nothing in any file."""
    state = tmp_path / "state"
    with (
        provider(tmp_path, ZOE) as upstream,
        gateway(tmp_path, config(tmp_path, upstream.base_url, "full")) as server,
    ):
        ready(server)
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            asking = threads.submit(ZOE.outcome, server, FIRST, x_simulate={"ttft_ms": 1_500})
            until(lambda: server.json("/healthz")["flights"]["running"], "it is under way")
            assert erase(server, ZOE)["calls_under_way"] == 1
            assert asking.result() == "fresh"
        settled(server)
        assert ZOE.outcome(server, FIRST) == "fresh"
        erase(server, ZOE)
    assert found(state, *ZOE.words) == {}


def test_only_administrators_erase_and_mistakes_are_told(tmp_path: Path) -> None:
    """Without a key 401; a misspelt field, an empty user and a missing tenant are refused before anything happens."""
    with gateway(tmp_path, config(tmp_path, "http://127.0.0.1:9/v1")) as server:
        admin = Admin(server)
        assert server.post("/admin/erase", {"tenant": "acme"}, bearer("acme"))[0] == 401
        for wrong in (
            {"tenant": "acme", "usr": "x"},
            {"tenant": "acme", "user": ""},
            {"user": "x"},
            {"tenant": "A B"},
        ):
            status, answer = admin.ask("POST", "/admin/erase", wrong)
            assert (status, answer["error"]["type"]) == (400, "invalid_request_error"), wrong
        assert admin.post("/admin/erase", {"tenant": "acme"})["erased"]["answers"] == 0
