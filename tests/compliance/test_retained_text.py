"""What `retain_text` lets a gateway keep of questions outside of the answer cache, by a search of its files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from compliance.admin_front import Admin, bearer
from compliance.privacy_front import WORDINGS, Person, config, found, provider, ready, settled
from servers import Server, gateway, until

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = WORDINGS
ZOE = Person("acme", "quivnexa")
CACHE = {"askonce.db", "askonce.db-wal"}
"""The files of the answer cache."""
QUIET = {"X-Askonce-Feature": "apart"}
"""A feature without the semantic tier."""


def use(server: Server) -> None:
    """Every feature of the gateway, and what it refuses."""
    ready(server)
    for question in (FIRST, SECOND, FIRST):
        ZOE.ask(server, question)
        ZOE.ask(server, question, QUIET)
    until(lambda: Admin(server).get("/admin/audits")["audits"], "the hit is audited")
    ZOE.job(server, "Write to {topic} by batch.", "batch")
    ZOE.job(server, "Write to {topic} at once.", "direct", model="direct-1")
    ZOE.job(server, "Refuse {topic}.", "refused", model="direct-1", x_simulate={"status": 400})
    for name, end in (("batch", "completed"), ("direct", "completed"), ("refused", "failed")):
        assert ZOE.done(server, name)["status"] == end
    for spoilt in (
        f'{{"model": "cheap", "messages": [{{"role": "user", "content": "{ZOE.topic}}}]}}',
        f'{{"model": "cheap", "user": 7, "messages": "{ZOE.topic}"}}',
    ):
        assert server.post("/v1/chat/completions", spoilt.encode(), bearer("acme"))[0] == 400
    messages = [{"role": "user", "content": f"Half of {ZOE.topic}"}]
    broken = {"model": "cheap", "x_simulate": {"garbage": True, "attempts": 9}, "messages": messages}
    assert server.post("/v1/chat/completions", broken, bearer("acme"))[0] >= 500
    settled(server)


@pytest.mark.slow
@pytest.mark.parametrize("retain", ["none", "hashed"])
def test_questions_stay_in_the_answer_cache(tmp_path: Path, retain: str) -> None:
    """Neither the ledger nor the logs at level debug have a word of a question, an answer or a user's name."""
    state = tmp_path / "state"
    with (
        provider(tmp_path, ZOE) as upstream,
        gateway(tmp_path, config(tmp_path, upstream.base_url, retain)) as server,
    ):
        use(server)
        assert found(state, ZOE.topic).keys() <= CACHE
        server.stop()
    assert found(state, *ZOE.words).keys() <= CACHE
    assert found(tmp_path, ZOE.topic, ZOE.answer, ZOE.user).keys() <= {
        *CACHE,
        "answers.jsonl",
        "simulator.log",
    }
    log = (tmp_path / "gateway.log").read_text()
    assert '"event": "request"' in log
    assert ZOE.name not in log
    with closing(sqlite3.connect(state / "askonce.ledger.db")) as books:
        rows = books.execute("SELECT key, text FROM questions").fetchall()
    assert bool(rows) == (retain == "hashed")
    assert all(text is None for _, text in rows)
    with closing(sqlite3.connect(state / "askonce.db")) as store:
        keys = {key[:16] for (key,) in store.execute("SELECT key FROM entries")}
    assert not keys & {key for key, _ in rows}


@pytest.mark.slow
def test_a_jobs_question_goes_as_soon_as_it_is_answered(tmp_path: Path) -> None:
    """While a job waits its body is kept, or it could not be asked after a kill; then only its result is."""
    state = tmp_path / "state"
    with (
        provider(tmp_path, ZOE) as upstream,
        gateway(tmp_path, config(tmp_path, upstream.base_url, "none")) as server,
    ):
        ZOE.job(server, "Write to {topic} at once.", "one", QUIET, model="direct-1", temperature=2)
        assert ZOE.done(server, "one")["status"] == "completed"
        settled(server)
        server.stop()
    with closing(sqlite3.connect(state / "askonce.db")) as store:
        assert store.execute("SELECT body FROM lines").fetchall() == [(b"",)]
    assert found(state, ZOE.user) == {}


@pytest.mark.slow
def test_full_keeps_the_text_of_top_questions(tmp_path: Path) -> None:
    """The ledger has the text then, and that of a feature that retains none isn't there."""
    state = tmp_path / "state"
    quiet = '{apart: {semantic: "off", retain_text: none}}'
    with provider(tmp_path, ZOE) as upstream:
        text = config(tmp_path, upstream.base_url, "full")
        text = text.replace('features: {apart: {semantic: "off"}}', f"features: {quiet}")
        with gateway(tmp_path, text) as server:
            ready(server)
            ZOE.ask(server, FIRST)
            ZOE.ask(server, "In private: what is {topic}?", QUIET)
            settled(server)
            server.stop()
    with closing(sqlite3.connect(state / "askonce.ledger.db")) as books:
        texts = [text for (text,) in books.execute("SELECT text FROM questions")]
    assert texts == [FIRST.format(topic=ZOE.topic)]
