"""`askonce keys` and `askonce explain` against a running gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from askonce.cli import cli
from compliance.admin_front import ADMIN, chat, tenants_config, told
from servers import gateway

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server

pytestmark = pytest.mark.slow


def test_commands_act_on_a_running_gateway(tmp_path: Path, provider: Server, question: str) -> None:
    """Issue, list, rotate, revoke; explain by id and by body, with what differs; errors in the gateway's words."""

    def run(*arguments: str, code: int = 0, key: str = ADMIN) -> str:
        place = ["--url", server.root]
        done = CliRunner(env={"ASKONCE_ADMIN_KEY": key}).invoke(cli, [*arguments, *place])
        assert done.exit_code == code, done.output
        return done.output

    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url)) as server:
        issued = run("keys", "issue", "acme", "--note", "by hand").strip()
        assert chat(server, issued, question) == "fresh"
        listed = run("keys", "list").splitlines()
        assert [line.split()[1] for line in listed] == ["acme", "zeta", "acme"]
        assert listed[-1].endswith("by hand")
        successor = run("keys", "rotate", listed[-1].split()[0]).strip()
        assert (chat(server, issued, question), chat(server, successor, question)) == (
            "invalid_api_key",
            "exact",
        )
        assert "ended" in run("keys", "revoke", run("keys", "list").splitlines()[-1].split()[0])
        assert chat(server, successor, question) == "invalid_api_key"
        assert "no such key" in run("keys", "revoke", "00000000", code=1)
        assert "administrator" in run("keys", "list", code=1, key="acme")
        assert "hexadecimal" in run("keys", "revoke", "../budgets", code=2)

        request_id = told(server, "acme", question)[1]["x-request-id"]
        said = run("explain", request_id)
        assert "then: exact (stored), status 200" in said
        assert "now: It is answered from the store" in said
        body, other = tmp_path / "body.json", tmp_path / "other.json"
        messages = [{"role": "user", "content": question}]
        body.write_text(json.dumps({"model": "sim-small", "messages": messages}))
        other.write_text(json.dumps({"model": "sim-small", "messages": messages, "seed": 7}))
        said = run("explain", "--request", str(body), "--tenant", "acme", "--against-request", str(other))
        assert "  /seed (only-other): 7" in said
        whole = json.loads(run("explain", "--request", str(body), "--tenant", "acme", "--json"))
        assert whole["decision"]["outcome"] == "exact"
        assert "isn't known" in run("explain", "never-seen", code=1)
        run("explain", code=2)
    assert "can't be asked" in run("keys", "list", code=1)
