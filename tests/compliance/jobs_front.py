"""What tests of the batch lane hand in at the front door, and how they fetch it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from servers import Server

ACME, OTHER = {"Authorization": "Bearer acme"}, {"Authorization": "Bearer other"}
BATCH = {**ACME, "X-Askonce-Lane": "batch"}


def chat(question: str, **fields: Any) -> dict[str, Any]:
    return {"model": "cheap", "messages": [{"role": "user", "content": question}], **fields}


def find(
    lane: Server, name: str, headers: dict[str, str] = ACME, wait: int = 20
) -> tuple[int, dict[str, Any]]:
    status, _, body = lane.send("GET", f"/v2/inference/{name}?wait={wait}", None, headers)
    return status, json.loads(body)
