"""The configuration read again while the gateway runs: by signal and by the API, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from compliance.admin_front import ADMIN, Admin, bearer, chat, digest, tenants_config
from servers import Server, gateway, running, simulator, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREE = f"""
  - {{name: acme, keys: ["{digest("acme-2")}"], features: [search]}}
  - {{name: zeta, keys: ["{digest("zeta")}"]}}
  - {{name: iota, keys: ["{digest("iota")}"]}}"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A provider that takes its time."""
    with simulator(tmp_path_factory.mktemp("slow"), "--ttft", "700") as server:
        yield server


def write(folder: Path, provider: Server, **sections: str) -> Path:
    file = folder / "askonce.yaml"
    file.write_text("listen: 127.0.0.1:0\n" + tenants_config(folder, provider.base_url, **sections))
    return file


def test_a_good_file_takes_effect_at_once_and_whole(tmp_path: Path, provider: Server, question: str) -> None:
    """Tenants, keys, features, policies, administrators: the next request meets the new ones; fields are named."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        admin = Admin(server)
        assert [chat(server, "acme", question) for _ in range(2)] == ["fresh", "exact"]
        write(tmp_path, provider, tenants=THREE, features="{search: {exact: off}}")
        told = admin.post("/admin/reload", {})
        assert told["needs_restart"] == []
        assert set(told["applied"]) == {"tenants", "features.support", "features.search"}
        assert chat(server, "acme", question) == "invalid_api_key", "its key has gone, memos included"
        assert [chat(server, "acme-2", question) for _ in range(2)] == ["fresh", "fresh"], (
            "exact is off there"
        )
        assert chat(server, "iota", question) == "fresh"
        budgets = admin.get("/admin/budgets")["features"]
        assert set(budgets) == {"default", "search"}
        assert admin.trail("reload")[0]["applied"] == told["applied"]


@pytest.mark.slow
def test_a_broken_file_changes_nothing_and_is_told_as_check_tells_it(
    tmp_path: Path, provider: Server, question: str
) -> None:
    """All its problems with their lines, and the gateway goes on as it was; one bad line spoils the good ones too."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        file = write(tmp_path, provider, tenants=THREE, features="{search: {ttl: soon, exakt: on}}")
        status, answer = Admin(server).ask("POST", "/admin/reload", {})
        assert (status, answer["error"]["code"]) == (422, "invalid_configuration")
        checked = subprocess.run(
            [sys.executable, "-m", "askonce", "check", str(file)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 1
        assert answer["error"]["message"].strip() == checked.stderr.strip()
        assert chat(server, "acme", question) == "fresh"
        assert chat(server, "iota", question) == "invalid_api_key"
        assert Admin(server).trail("reload")[0] == {"refused": "invalid_configuration"}
        file.unlink()
        assert Admin(server).ask("POST", "/admin/reload", {})[0] == 422
        assert chat(server, "acme", question) == "exact"


@pytest.mark.slow
def test_a_signal_does_the_same(tmp_path: Path, provider: Server, question: str) -> None:
    """SIGHUP with a broken file is an error in the log and nothing more; with a good one it takes effect."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        assert server.json("/readyz") == {"ready": True}
        write(tmp_path, provider, tenants="nonsense")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: Admin(server).trail("reload"), "the signal was taken")
        assert "configuration not reloaded" in server.log.read_text()
        assert chat(server, "acme", question) == "fresh"
        write(tmp_path, provider, tenants=THREE, features="{search: {}}")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: chat(server, "iota", question) != "invalid_api_key", "the new tenant is known")
        assert "configuration reloaded" in server.log.read_text()
        acts = [act for act in Admin(server).get("/admin/trail")["acts"] if act["action"] == "reload"]
        assert [act["actor"] for act in acts] == ["SIGHUP", "SIGHUP"]


@pytest.mark.slow
def test_what_can_not_change_is_named(tmp_path: Path, provider: Server, question: str) -> None:
    """A new place to listen, other upstreams and the like wait for a restart; the rest of the file is in force."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        write(
            tmp_path,
            provider,
            store="'memory:'",
            limits="{max_body_bytes: 500, drain_timeout: 5s}",
            log="{requests: on}",
            prices="{sim-small: {input: 100000, output: 0}}",
            upstreams='[{name: other, base_url: "http://127.0.0.1:9/v1", api_key: x}]',
        )
        told = Admin(server).post("/admin/reload", {})
        assert set(told["needs_restart"]) == {"store", "upstreams", "limits.drain_timeout"}
        assert {"limits.max_body_bytes", "log.requests"} <= set(told["applied"])
        assert chat(server, "acme", question) == "fresh", "still the old upstream, at a new price"
        assert server.metric("askonce_spent_usd_total") > 0.1
        assert chat(server, "acme", question * 100) == "request_too_large"
        assert '"tenant": "acme"' in server.log.read_text()
        assert set(Admin(server).post("/admin/reload", {})["needs_restart"]) == set(told["needs_restart"])


@pytest.mark.slow
def test_tenants_can_not_come_or_go(tmp_path: Path, provider: Server, question: str) -> None:
    """Opening the gateway to everybody, or closing it, is no matter of a signal: refused, nothing changed."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        file = write(tmp_path, provider, tenants="!")
        file.write_text(file.read_text().replace("tenants: !\n", "").replace("support: {}", "search: {}"))
        status, answer = Admin(server).ask("POST", "/admin/reload", {})
        assert (status, answer["error"]["code"]) == (409, "needs_restart")
        assert chat(server, "acme", question, {"X-Askonce-Feature": "support"}) == "fresh"
        assert chat(server, "anybody", question) == "invalid_api_key"


@pytest.mark.slow
def test_administrators_change_too(tmp_path: Path, provider: Server) -> None:
    """The old administrator's key ends with the reload that takes it out."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        write(tmp_path, provider, admin=f'{{keys: ["{digest("other-admin")}"]}}')
        assert Admin(server).post("/admin/reload", {})["applied"] == ["admin.keys"]
        assert server.send("GET", "/admin/trail", None, bearer(ADMIN))[0] == 401
        assert server.send("GET", "/admin/trail", None, bearer("other-admin"))[0] == 200


@pytest.mark.slow
def test_issued_keys_follow_their_tenant(tmp_path: Path, provider: Server, question: str) -> None:
    """A key of a tenant that is taken out ends with it, and is back when the tenant is."""
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        admin = Admin(server)
        key = admin.post("/admin/keys", {"tenant": "zeta"})["key"]
        only = f'[{{name: acme, keys: ["{digest("acme")}"]}}]'
        write(tmp_path, provider, tenants=only)
        admin.post("/admin/reload", {})
        assert chat(server, key, question) == "invalid_api_key"
        assert [one["usable"] for one in admin.get("/admin/keys")["keys"]] == [True, False]
        write(tmp_path, provider)
        admin.post("/admin/reload", {})
        assert chat(server, key, question) == "fresh"


@pytest.mark.slow
def test_a_flight_under_way_keeps_what_it_began_with(tmp_path: Path, slow: Server, question: str) -> None:
    """A request whose feature goes while it waits is answered, and its answer is kept as its policy said."""
    with gateway(tmp_path, tenants_config(tmp_path, slow.base_url)) as server:
        outcomes: list[str] = []
        support = {"X-Askonce-Feature": "support"}
        asking = threading.Thread(target=lambda: outcomes.append(chat(server, "acme", question, support)))
        asking.start()
        until(lambda: server.json("/healthz")["flights"]["running"], "the flight is in the air")
        write(tmp_path, slow, tenants=THREE, features="{search: {}}")
        Admin(server).post("/admin/reload", {})
        asking.join()
        assert outcomes == ["fresh"]
        assert chat(server, "acme-2", question) == "exact", "the same tenant: the same key"


@pytest.mark.slow
def test_without_a_file_there_is_nothing_to_read_again(tmp_path: Path, provider: Server) -> None:
    """A gateway that the environment configures says so, and lives on."""
    environment = {
        "OPENAI_API_KEY": "sk-own",
        "OPENAI_BASE_URL": provider.base_url,
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    with running("serve", "--listen", "127.0.0.1:0", log=tmp_path / "log", environment=environment) as server:
        assert server.json("/readyz") == {"ready": True}
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "no_configuration_file" in server.log.read_text(), "the refusal is logged")
        assert server.json("/readyz") == {"ready": True}


@pytest.mark.slow
def test_signals_disturb_no_ending(tmp_path: Path, slow: Server, question: str) -> None:
    """While the last requests are answered, and after: nothing is read, and the process ends in order."""
    with gateway(tmp_path, tenants_config(tmp_path, slow.base_url)) as server:
        outcomes: list[str] = []
        asking = threading.Thread(target=lambda: outcomes.append(chat(server, "acme", question)))
        asking.start()
        until(lambda: server.json("/healthz")["flights"]["running"], "it is under way")
        server.process.terminate()
        until(lambda: not listens(server), "it takes no more connections")
        while server.process.poll() is None:
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        asking.join()
        assert (outcomes, server.process.returncode) == (["fresh"], 0)
        assert "reload" not in server.log.read_text()
        assert "exception" not in server.log.read_text()


def listens(server: Server) -> bool:
    try:
        server.get("/healthz")
    except OSError:
        return False
    return True
