"""Stored answers carried from one gateway to another."""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from compliance.admin_front import ADMIN, Admin, bearer, chat, tenants_config, told
from servers import CallCounter, Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
EXPORT, IMPORT = "/admin/cache/export", "/admin/cache/import"
SUPPORT = {"X-Askonce-Feature": "support"}
TEXTS = ("How do I reset my password?", "How do I turn dark mode on?", "Which plans are there?")
PARAPHRASE = "how can I reset my password"
SEMANTIC = {"defaults": '{semantic: "on", error_budget: 30%, audit_share: 0}'}


def ready(server: Server) -> bool:
    state: str = server.json("/healthz")["semantic"]["state"]
    return state == "ready"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    """A gateway that knows three questions of acme's, a paraphrase of one, and one of zeta's."""
    folder = tmp_path_factory.mktemp("source")
    with gateway(folder, tenants_config(folder, provider.base_url, **SEMANTIC)) as server:
        until(lambda: ready(server), "the embedder is ready")
        assert [chat(server, "acme", text) for text in TEXTS[:2]] == ["fresh"] * 2
        assert chat(server, "acme", TEXTS[2], {**SUPPORT, "X-Askonce-Tags": "plans"}, user="ann") == "fresh"
        assert chat(server, "acme", PARAPHRASE) == "semantic"
        assert chat(server, "zeta", TEXTS[0]) == "fresh"
        yield server


@pytest.fixture
def target(tmp_path: Path, provider: Server) -> Iterator[Server]:
    """A gateway with the same tenants and upstreams, and nothing stored."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url, **SEMANTIC)) as server:
        until(lambda: ready(server), "the embedder is ready")
        yield server


def exported(server: Server, query: str = "", headers: dict[str, str] | None = None) -> bytes:
    status, _, raw = server.send("GET", EXPORT + query, None, bearer(ADMIN) | (headers or {}))
    assert status == 200, raw
    return raw


def lines(raw: bytes) -> list[Any]:
    return [json.loads(line) for line in raw.splitlines()]


def imported(server: Server, raw: bytes, query: str = "", **headers: str) -> Any:
    status, _, answer = server.send("POST", IMPORT + query, raw, bearer(ADMIN) | headers)
    assert status == 200, answer
    return json.loads(answer)


def test_an_export_names_what_it_has(source: Server) -> None:
    """A header, an entry a line, and how many there were; by tenant, feature and tag; questions and links included."""
    header, *entries, end = lines(exported(source))
    assert (header["format"], header["version"]) == ("askonce-cache", 1)
    assert end == {"end": {"entries": 4}}
    assert {entry["tenant"] for entry in entries} == {"tenant:acme", "tenant:zeta"}
    first = next(one for one in entries if one["tenant"] == "tenant:acme" and one["links"])
    assert first["question"]["text"] == TEXTS[0]
    assert first["answer"]["choices"][0]["message"]["content"]
    assert len(first["links"]) == 1
    for query, count in (
        ("?tenant=zeta", 1),
        ("?feature=support", 1),
        ("?tags=plans&tenant=acme", 1),
        ("?model=x", 0),
    ):
        assert lines(exported(source, query))[-1]["end"]["entries"] == count
    assert source.send("GET", f"{EXPORT}?tenants=zeta", None, bearer(ADMIN))[0] == 400
    assert source.send("GET", EXPORT, None, bearer("acme"))[0] == 401
    assert Admin(source).trail("cache.export")[-1] == {}


def test_another_gateway_answers_from_an_import(source: Server, target: Server, calls: CallCounter) -> None:
    """Exact, by the paraphrase's link, and by other words yet: no call, the same answer; and to nobody else."""
    result = imported(target, exported(source, "?tenant=acme"))
    assert (result["imported"], result["links"], result["bad"], result["complete"]) == (3, 1, 0, True)
    assert result["same_secret"] is False
    before = calls.total
    outcomes = [chat(target, "acme", text) for text in (*TEXTS[:2], PARAPHRASE)]
    assert outcomes == ["exact", "exact", "semantic"]
    assert chat(target, "acme", "How may I reset my password, please?") == "semantic", "its vector came along"
    assert chat(target, "acme", TEXTS[2], SUPPORT, user="ann") == "exact"
    assert calls.total == before
    assert chat(target, "zeta", TEXTS[0]) == "fresh", "tenants stay apart"
    again = imported(target, exported(source, "?tenant=acme"))
    assert (again["imported"], again["skipped"]) == (0, {"newer-known": 3})
    assert Admin(target).post("/admin/cache/invalidate", {"tags": "plans"})["forgotten"] == 1
    assert Admin(target).trail("cache.import")[0]["imported"] == 0


def test_an_import_outlives_a_restart(tmp_path: Path, source: Server, provider: Server) -> None:
    """It is on the disk when the answer comes, compressed on its way here."""
    config = tenants_config(tmp_path, provider.base_url)
    raw = exported(source, headers={"Accept-Encoding": "gzip"})
    assert lines(gzip.decompress(raw))[-1] == {"end": {"entries": 4}}
    with gateway(tmp_path, config) as server:
        assert imported(server, raw, **{"Content-Encoding": "gzip"})["imported"] == 4
        server.process.kill()
    with gateway(tmp_path, config) as server:
        assert [chat(server, key, TEXTS[0]) for key in ("acme", "zeta")] == ["exact", "exact"]


def test_bad_lines_are_counted_and_the_others_taken(source: Server, target: Server) -> None:
    """Each with its number and what is wrong, never with what is in it; a file that breaks off is said to."""
    header, *entries, end = exported(source, "?tenant=acme").splitlines(keepends=True)
    damaged = [
        b"{no json\n",
        b"[]\n",
        entries[0].replace(b'"expires_at":', b'"expires":', 1),
        entries[0].replace(b'"choices":[', b'"choices":7,"x":[', 1),
        b'{"entry": "'
        + b"z" * 64
        + b'", "secret-text": 1, "answer": {"choices": []}, "tokens": [1, 2, 3]}\n',
        b"x" * 20_000_000 + b"\n",
    ]
    result = imported(target, header + b"".join(damaged) + entries[0] + b"\n" + entries[1][:-20])
    assert (result["imported"], result["bad"], result["complete"]) == (1, 7, False)
    assert [one["line"] for one in result["bad_lines"]] == [2, 3, 4, 5, 6, 7, 10]
    assert "secret-text" not in json.dumps(result)
    assert "too long" in result["bad_lines"][5]["problem"]
    assert imported(target, header + b"".join(entries) + end)["complete"]


def test_what_is_no_export_is_refused(source: Server, target: Server) -> None:
    """Before anything is taken: another format, another version, another encoding; a dry run takes nothing either."""
    raw = exported(source, "?tenant=acme")
    header = lines(raw)[0]
    for body, headers, status, code in (
        (b"", {}, 400, "not_an_export"),
        (b'{"some": "thing"}\n', {}, 400, "not_an_export"),
        (json.dumps({**header, "version": 2}).encode() + b"\n", {}, 422, "other_version"),
        (raw, {"Content-Encoding": "br"}, 415, "unsupported_encoding"),
        (raw, {"Content-Encoding": "gzip"}, 400, "invalid_encoding"),
    ):
        got, _, answer = target.send("POST", IMPORT, body, bearer(ADMIN) | headers)
        assert (got, json.loads(answer)["error"]["code"]) == (status, code)
    assert imported(target, raw, "?dry_run=true")["imported"] == 3
    assert target.json("/healthz")["store"]["entries"] == 0


def test_an_answers_life_is_not_prolonged(source: Server, target: Server) -> None:
    """What is over isn't taken; what claims to live for years lives as long as the feature's answers do here."""
    header, *entries, end = lines(exported(source, "?tenant=acme"))
    entries[0]["expires_at"] = time.time() - 1
    entries[1]["expires_at"] = time.time() + 1e9
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in (header, *entries, end))
    result = imported(target, raw)
    assert (result["imported"], result["skipped"], result["complete"]) == (2, {"expired": 1}, True)
    longest = max(line["expires_at"] for line in lines(exported(target))[1:-1])
    assert longest <= time.time() + 86_400


def test_a_store_in_memory_exports_answers_without_questions(
    tmp_path: Path, provider: Server, question: str
) -> None:
    """It keeps no questions; exact hits work from its export all the same."""
    memory = tmp_path / "memory"
    memory.mkdir()
    sections = {"store": "'memory:'"}
    with (
        gateway(memory, tenants_config(memory, provider.base_url, **sections)) as server,
        gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as other,
    ):
        assert chat(server, "acme", question) == "fresh"
        raw = exported(server)
        assert lines(raw)[1]["question"] is None
        assert imported(other, raw)["imported"] == 1
        outcome, headers = told(other, "acme", question)
        assert (outcome, headers["x-askonce-entry"]) == ("exact", lines(raw)[1]["entry"])


def test_an_encrypted_store_takes_and_gives_plain_lines(
    tmp_path: Path, source: Server, provider: Server
) -> None:
    """An administrator reads what the file hides; selections find by what is known of entries all the same."""
    key = base64.b64encode(bytes(range(32))).decode()
    config = tenants_config(tmp_path, provider.base_url, cache_encryption_key=f'"{key}"')
    with gateway(tmp_path, config) as server:
        assert imported(server, exported(source))["imported"] == 4
        assert lines(exported(server, "?tags=plans"))[1]["question"]["text"] == TEXTS[2]
        assert (
            Admin(server).post("/admin/cache/invalidate", {"tags": "plans", "dry_run": True})["forgotten"]
            == 1
        )
        server.stop()
        kept = b"".join(file.read_bytes() for file in tmp_path.glob("askonce.db*"))
        assert TEXTS[0].encode() not in kept
    with gateway(tmp_path, config) as server:
        assert chat(server, "acme", TEXTS[0]) == "exact"
        assert {one["question"]["text"] for one in lines(exported(server))[1:-1]} == set(TEXTS)


def test_nothing_that_is_known_makes_way_for_an_imports_link(source: Server, target: Server) -> None:
    """A link under an answer's key is left out; an answer larger than this gateway keeps is said not to be kept."""
    assert chat(target, "acme", TEXTS[1]) == "fresh"
    Admin(target).committed()
    (known,) = lines(exported(target))[1:-1]
    header, *entries, end = lines(exported(source, "?tenant=acme"))
    first = next(one for one in entries if one["links"])
    first["links"][0]["key"] = known["entry"]
    large = next(one for one in entries if one is not first and one["entry"] != known["entry"])
    large["answer"]["choices"][0]["message"]["content"] = "x" * 5_000_000
    raw = b"".join(json.dumps(line).encode() + b"\n" for line in (header, first, large, end))
    result = imported(target, raw)
    assert (result["imported"], result["links"], result["skipped"]) == (1, 0, {"too-large": 1})
    assert chat(target, "acme", TEXTS[1]) == "exact"


def test_a_time_to_come_is_now(source: Server, target: Server) -> None:
    """An answer from a gateway whose clock is ahead lives no longer for it, and its age can be told and selected."""
    header, *entries, end = lines(exported(source, "?tenant=acme"))
    for entry in entries:
        entry["created_at"] += 1e6
        entry["expires_at"] += 1e6
    imported(target, b"".join(json.dumps(line).encode() + b"\n" for line in (header, *entries, end)))
    outcome, headers = told(target, "acme", TEXTS[0])
    assert (outcome, int(headers["age"]) < 60) == ("exact", True)
    assert Admin(target).post("/admin/cache/invalidate", {"older_than": "0s"})["forgotten"] == 3
