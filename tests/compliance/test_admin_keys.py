"""Keys that are issued, rotated and revoked while the gateway runs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from compliance.admin_front import Admin, chat, tenants_config
from servers import Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("keys")
    with gateway(folder, tenants_config(folder, provider.base_url)) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Admin:
    return Admin(server)


def test_a_key_works_from_the_answer_on_and_not_after_its_revocation(
    server: Server, admin: Admin, question: str
) -> None:
    """At once, also for a request that was answered a moment before and is repeated to the byte; twice is no error."""
    new = admin.post("/admin/keys", {"tenant": "acme", "note": "for the demo"})
    assert new["key"].startswith("ak-acme-")
    assert [chat(server, new["key"], question) for _ in range(3)] == ["fresh", "exact", "exact"]
    assert chat(server, "acme", question) == "exact", "the same tenant, whichever key"
    assert chat(server, "zeta", question) == "fresh"
    for _ in range(2):
        status, ended = admin.ask("DELETE", f"/admin/keys/{new['id']}")
        assert (status, ended["usable"]) == (200, False)
        assert chat(server, new["key"], question) == "invalid_api_key"
    assert chat(server, "acme", question) == "exact"


def test_a_rotated_key_overlaps_with_its_successor(server: Server, admin: Admin, question: str) -> None:
    """Both work for as long as was said, then the successor alone; without an overlap the old one ends at once."""
    old = admin.post("/admin/keys", {"tenant": "zeta"})
    new = admin.post(f"/admin/keys/{old['id']}/rotate", {"overlap": "1500ms"})
    assert new["replaces"]["id"] == old["id"]
    assert chat(server, old["key"], question) == "fresh"
    assert chat(server, new["key"], question) == "exact"
    until(lambda: chat(server, old["key"], question) == "invalid_api_key", "the old key ends")
    assert chat(server, new["key"], question) == "exact"
    last = admin.post(f"/admin/keys/{new['id']}/rotate", {})
    assert chat(server, new["key"], question) == "invalid_api_key"
    assert chat(server, last["key"], question) == "exact"
    assert admin.ask("POST", f"/admin/keys/{new['id']}/rotate", {})[1]["error"]["code"] == "key_revoked"


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_keys_and_revocations_survive_the_process(
    tmp_path: Path, provider: Server, question: str, end: signal.Signals
) -> None:
    """What was answered is on the disk: killed the moment after, the new key works and the revoked one doesn't."""
    config = tenants_config(tmp_path, provider.base_url)
    with gateway(tmp_path, config) as server:
        kept, lost = (Admin(server).post("/admin/keys", {"tenant": "acme"}) for _ in range(2))
        assert Admin(server).ask("DELETE", f"/admin/keys/{lost['id']}")[0] == 200
        server.stop(end)
    with gateway(tmp_path, config) as server:
        assert chat(server, kept["key"], question) == "fresh"
        assert chat(server, lost["key"], question) == "invalid_api_key"
        listed = {key["id"]: key["usable"] for key in Admin(server).get("/admin/keys")["keys"]}
        assert (listed[kept["id"]], listed[lost["id"]]) == (True, False)


def test_the_list_names_every_key_and_shows_none(server: Server, admin: Admin) -> None:
    """Digests' beginnings, tenants, where a key comes from; the trail knows who did what to which."""
    new = admin.post("/admin/keys", {"tenant": "acme", "note": "listed"})
    status, _, raw = server.send("GET", "/admin/keys", None, {"Authorization": "Bearer admin-key"})
    assert status == 200
    assert new["key"].encode() not in raw
    keys = admin.get("/admin/keys")
    assert keys["durable"]
    assert {"tenant": "acme", "source": "issued", "note": "listed"}.items() <= keys["keys"][-1].items()
    assert [key["tenant"] for key in keys["keys"] if key["source"] == "configuration"] == ["acme", "zeta"]
    assert admin.trail("keys.issue")[0] == {"tenant": "acme", "id": new["id"]}
    assert new["key"] not in str(admin.get("/admin/trail"))


def test_what_can_not_be_done_is_refused_with_the_reason(admin: Admin) -> None:
    """Unknown tenants and keys, keys of the configuration, short names, misspelt fields; and nobody else may."""
    configured = admin.get("/admin/keys")["keys"][0]["id"]
    refusals = [
        admin.ask("POST", "/admin/keys", {"tenant": "nobody"}),
        admin.ask("POST", "/admin/keys", {"tenant": "acme", "notes": "x"}),
        admin.ask("DELETE", "/admin/keys/00000000ffff"),
        admin.ask("DELETE", "/admin/keys/ab"),
        admin.ask("DELETE", f"/admin/keys/{configured}"),
        admin.ask("POST", f"/admin/keys/{configured}/rotate", {"overlap": "soon"}),
    ]
    assert [(status, answer["error"]["code"]) for status, answer in refusals] == [
        (404, "unknown_tenant"),
        (400, "unknown_field"),
        (404, "unknown_key"),
        (409, "ambiguous_key"),
        (409, "configured_key"),
        (400, "invalid_field"),
    ]
    assert admin.ask("POST", "/admin/keys", {"tenant": "acme"}, {"Authorization": "Bearer acme"})[0] == 401
    assert admin.trail("access.refused")[0]["times"] == 1


@pytest.mark.slow
def test_without_tenants_there_are_no_keys_to_issue(tmp_path: Path, provider: Server) -> None:
    """Where callers present the provider's own keys, the gateway has none to give."""
    sections = {"tenants": "", "store": "'memory:'", "features": "{}"}
    config = tenants_config(tmp_path, provider.base_url, **sections).replace("tenants: \n", "")
    with gateway(tmp_path, config) as server:
        status, answer = Admin(server).ask("POST", "/admin/keys", {"tenant": "acme"})
        assert (status, answer["error"]["code"]) == (409, "no_tenants")
