"""The examples of docs/admin.md do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from compliance.admin_front import ADMIN, Admin, chat, tenants_config
from servers import gateway, until

if TYPE_CHECKING:
    from servers import Server

PAGE = Path(__file__).parents[2] / "docs" / "admin.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are written for curl")
def test_the_examples_run(tmp_path: Path, provider: Server) -> None:
    """All of them, in their order, in one shell: each call is answered without an error, with JSON."""
    sections = {"defaults": '{semantic: "on", error_budget: 30%, audit_share: 0}'}
    with gateway(tmp_path, tenants_config(tmp_path, provider.base_url, **sections)) as server:
        until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
        assert chat(server, "acme", "Reset my password, please", {"X-Askonce-Feature": "support"}) == "fresh"
        blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        here = blocks[0].replace("http://127.0.0.1:8080", server.root).replace("admin-key", ADMIN)
        script = "set -e -o pipefail\n" + "\necho\n".join([here, *blocks[1:]])
        done = subprocess.run(
            [str(shutil.which("bash")), "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        answers = json.loads("[" + re.sub(r"}\s*{", "},{", done.stdout.strip()) + "]")
        assert len(answers) >= 11
        assert (tmp_path / "answers.jsonl").read_bytes().startswith(b'{"format":"askonce-cache"')
        assert {act["action"] for act in Admin(server).get("/admin/trail")["acts"]} == {
            "cache.invalidate",
            "cache.export",
            "cache.import",
            "keys.issue",
            "keys.rotate",
            "keys.revoke",
            "reload",
        }
