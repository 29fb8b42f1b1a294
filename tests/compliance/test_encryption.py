"""Encryption at rest through the front door: keys that are wrong, missing, renewed, or turned on late."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from compliance.admin_front import bearer
from compliance.privacy_front import WORDINGS, Person, config, found, provider, ready, settled
from servers import Server, gateway, until

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = WORDINGS
ZOE = Person("acme", "quivnexa")
OLD, NEW = "6f" * 32, "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="


def key(*keys: str) -> dict[str, str]:
    return {"cache_encryption_key": json.dumps(keys)}


def store_health(server: Server) -> dict[str, object]:
    told: dict[str, object] = server.json("/healthz")["store"]
    return told


@pytest.mark.slow
def test_a_key_is_turned_on_renewed_and_missed(tmp_path: Path) -> None:
    """A clear file is sealed while it serves; a renewed key needs the old one until that is done; a wrong one serves nothing."""
    state = tmp_path / "state"
    with provider(tmp_path, ZOE) as upstream:
        with gateway(tmp_path, config(tmp_path, upstream.base_url)) as server:
            ready(server)
            assert ZOE.outcome(server, FIRST) == "fresh"
            assert ZOE.outcome(server, SECOND) == "semantic"
            ZOE.job(server, "Write to {topic} at once.", "one", model="direct-1")
            assert ZOE.done(server, "one")["status"] == "completed"
            settled(server)
            server.stop()
        assert found(state, *ZOE.words).keys() == {"askonce.db"}
        for keys in ((OLD,), (NEW, OLD), (NEW,)):
            with gateway(tmp_path, config(tmp_path, upstream.base_url, **key(*keys))) as server:
                ready(server)
                assert ZOE.outcome(server, FIRST) == "exact", keys
                assert ZOE.done(server, "one")["response"]["choices"]
                until(lambda: not store_health(server)["rows_to_encrypt"], "all is sealed")
                assert store_health(server)["encrypted"]
                assert found(state, *ZOE.words) == {}
                server.stop()
        for wrong, said in (([OLD], "cache_encryption_key doesn't have"), ([], "isn't set")):
            with gateway(tmp_path, config(tmp_path, upstream.base_url, **key(*wrong))) as server:
                ready(server)
                assert ZOE.outcome(server, FIRST) == "fresh"
                health = server.json("/healthz")
                assert (health["status"], health["store"]["durable"]) == ("degraded", False)
                assert said in health["store"]["detail"]
                assert said in (tmp_path / "gateway.log").read_text()
                told = {**bearer("acme"), "X-Askonce-Lane": "batch"}
                body = {"model": "direct-1", "messages": [{"role": "user", "content": "Anything?"}]}
                assert server.post("/v1/chat/completions", body, told)[0] == 503
                server.stop()
        assert found(state, *ZOE.words) == {}
        with gateway(tmp_path, config(tmp_path, upstream.base_url, **key(NEW))) as server:
            assert ZOE.outcome(server, FIRST) == "exact"


def test_a_key_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    """The gateway doesn't start with a key of another length, and doesn't repeat it."""
    with (
        pytest.raises(AssertionError, match="32 random bytes"),
        gateway(tmp_path, config(tmp_path, "http://127.0.0.1:9/v1", **key("c2hvcnQ="))),
    ):
        pass
    assert "c2hvcnQ=" not in (tmp_path / "gateway.log").read_text()
