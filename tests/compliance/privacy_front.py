"""What tests of privacy ask at the front door, and how they search a gateway's files for it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compliance.admin_front import ADMIN, bearer, digest
from servers import simulator, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Server

__all__ = ["WORDINGS", "Person", "config", "found", "provider", "ready", "settled", "traces"]


def config(folder: Path, upstream: str, retain: str = "hashed", **sections: str) -> str:
    """A configuration (YAML without `listen`) with tenants, jobs and the semantic tier; `sections` are added."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    return f"""
store: sqlite://{state}/askonce.db
upstreams:
  - {{name: own, base_url: "{upstream}", api_key: sk-own, models: ["direct-*"]}}
  - {{name: provider, base_url: "{upstream}", api_key: sk-own, batch_api: on, aliases: {{cheap: sim-small}}}}
tenants:
  - {{name: acme, keys: ["{digest("acme")}"], features: [default, apart]}}
  - {{name: zeta, keys: ["{digest("zeta")}"], features: [default, apart]}}
features: {{apart: {{semantic: "off"}}}}
defaults: {{semantic: "on", error_budget: 30%, audit_share: 100%, retain_text: {retain}}}
jobs: {{batch_wait: 50ms, poll_interval: 50ms, max_poll_interval: 100ms}}
admin: {{keys: ["{digest(ADMIN)}"]}}
log: {{level: debug, requests: on}}
""" + "".join(f"{name}: {text}\n" for name, text in sections.items())


WORDINGS = (
    "How do I reset my password for {topic}?",
    "How can I reset my password for {topic}?",
)
"""One question in several wordings, which are equivalent to the shipped verifier."""


class Person:
    """Somebody whose questions, answers and name can be told from all others'.

    Args:
        tenant: Its tenant; the key is the same word.
        name: A word that occurs nowhere else.
    """

    def __init__(self, tenant: str, name: str) -> None:
        self.tenant = tenant
        self.name = name
        self.user = f"Zoë-{name}@example.org"
        self.topic = f"Ærø-{name}"
        """In all of its questions, and so in the answers: the simulated provider repeats what it was asked."""
        self.answer = f"Šárka-{name}"
        """In the answer to the wordings of one question."""

    @property
    def words(self) -> tuple[str, ...]:
        """What must be nowhere once this person is erased."""
        return self.name, self.user, self.topic, self.answer

    def ask(self, server: Server, question: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """A chat answer's headers and body."""
        messages = [{"role": "user", "content": question.format(topic=self.topic)}]
        body = {"model": "cheap", "user": self.user, "messages": messages, **fields}
        told = bearer(self.tenant) | (headers or {})
        status, said, answer = server.post("/v1/chat/completions", body, told)
        assert status in (200, 202), answer
        return said, json.loads(answer)

    def answers(self) -> dict[str, object]:
        """What the provider says to this person's questions: the same, however they are put."""
        questions = [one.format(topic=self.topic) for one in WORDINGS]
        return {
            "questions": questions,
            "answer": f"Write to {self.answer}, who knows all about {self.topic}.",
        }

    def outcome(self, server: Server, question: str, **fields: Any) -> str:
        """How a question is answered."""
        return str(self.ask(server, question, **fields)[0]["x-askonce-outcome"])

    def job(
        self, server: Server, question: str, name: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        """Hands in a job of the batch lane."""
        told = {"X-Askonce-Lane": "batch", "X-Request-Id": name, **(headers or {})}
        self.ask(server, question, told, **fields)

    def done(self, server: Server, name: str) -> Any:
        """A job, once it has ended."""
        status, _, body = server.send("GET", f"/v2/inference/{name}?wait=20", None, bearer(self.tenant))
        assert status == 200, body
        return json.loads(body)


def traces(text: str) -> list[bytes]:
    """The ways in which a text may stand in a file."""
    return [
        text.encode(),
        text.encode("utf-16-le"),
        text.encode("utf-16-be"),
        json.dumps(text)[1:-1].encode(),
        json.dumps(text)[1:-1].upper().encode(),
        text.encode("cp1250", "ignore"),
        text.encode().hex().encode(),
    ]


def found(folder: Path, *texts: str) -> dict[str, list[str]]:
    """The files below a folder in which any of the texts stands, and which."""
    hits: dict[str, list[str]] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            there = [text for text in texts if any(trace in content for trace in traces(text))]
            if there:
                hits[file.name] = there
    return hits


@contextmanager
def provider(folder: Path, *people: Person) -> Iterator[Server]:
    """A simulated provider with a Batch API that knows what to say to these people."""
    answers = folder / "answers.jsonl"
    answers.write_text("".join(json.dumps(one.answers()) + "\n" for one in people))
    with simulator(folder, "--batch-delay", "0.2", "--answers", str(answers)) as server:
        yield server


def settled(server: Server) -> None:
    """Waits until everything is on the disk."""
    until(lambda: server.json("/healthz")["store"]["pending_writes"] == 0, "answers are committed")


def ready(server: Server) -> None:
    """Waits until questions are matched by their meaning."""
    until(lambda: server.json("/healthz")["semantic"]["state"] == "ready", "the embedder is ready")
