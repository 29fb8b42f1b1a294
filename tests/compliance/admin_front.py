"""A gateway with tenants, a store on disk and an administrator, as the tests of the admin API meet it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from servers import until

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server

__all__ = ["ADMIN", "Admin", "bearer", "chat", "digest", "tenants_config"]

ADMIN = "admin-key"


def digest(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def tenants_config(folder: Path, upstream: str, **sections: str) -> str:
    """A configuration (YAML without `listen`); `sections` replace whole sections."""
    chosen = {
        "upstreams": f'[{{name: p, base_url: "{upstream}", api_key: x}}]',
        "store": f"sqlite://{folder}/askonce.db",
        "tenants": f"""
  - {{name: acme, keys: ["{digest("acme")}"], features: [default, support]}}
  - {{name: zeta, keys: ["{digest("zeta")}"]}}""",
        "features": "{support: {}}",
        "defaults": '{semantic: "off"}',
        "admin": f'{{keys: ["{digest(ADMIN)}"]}}',
        **sections,
    }
    return "".join(f"{name}: {text}\n" for name, text in chosen.items())


@dataclass(frozen=True)
class Admin:
    """The admin API of a server."""

    server: Server

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and parsed body."""
        data = None if body is None else json.dumps(body).encode()
        status, _, answer = self.server.send(method, path, data, bearer(ADMIN) | (headers or {}))
        return status, json.loads(answer)

    def post(self, path: str, body: Any) -> Any:
        """The body of an answer that is no error."""
        status, answer = self.ask("POST", path, body)
        assert status in (200, 201), answer
        return answer

    def get(self, path: str) -> Any:
        """The body of an answer that is no error."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def trail(self, action: str) -> list[Any]:
        """The details of all acts of that name, newest first."""
        return [act["detail"] for act in self.get("/admin/trail")["acts"] if act["action"] == action]

    def committed(self) -> None:
        """Waits until all answers are on the disk."""
        until(lambda: self.server.json("/healthz")["store"]["pending_writes"] == 0, "answers are committed")


def chat(server: Server, key: str, text: str, headers: dict[str, str] | None = None, **fields: Any) -> str:
    """Asks; the outcome, or the error's code."""
    return told(server, key, text, headers, **fields)[0]


def told(
    server: Server, key: str, text: str, headers: dict[str, str] | None = None, **fields: Any
) -> tuple[str, dict[str, str]]:
    """Asks; the outcome, or the error's code, and the response's headers."""
    body = {"model": "sim-small", "messages": [{"role": "user", "content": text}], **fields}
    status, answered, answer = server.post("/v1/chat/completions", body, bearer(key) | (headers or {}))
    if status != 200:
        return json.loads(answer)["error"]["code"], answered
    return answered["x-askonce-outcome"], answered
