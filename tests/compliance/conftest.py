"""One gateway before one simulated provider, for all tests that need nothing special."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import openai
import pytest

from servers import CallCounter, Server, gateway, simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PLAIN = """\
upstreams:
  - name: provider
    base_url: "{upstream}"
    aliases: {{cheap: sim-small}}
    retries: {{attempts: 0}}
    breaker: {{failures: 1000, least_calls: 1000}}
defaults: {{semantic: "off"}}
"""
"""Failures are told as they are: what is made of them is `test_sending.py`'s."""
JOBS = """\
store: sqlite://{folder}/jobs.db
upstreams:
  - {{name: own, base_url: "{batched}", api_key: sk-own, models: ["direct-*"]}}
  - {{name: provider, base_url: "{batched}", api_key: sk-own, batch_api: on, aliases: {{cheap: sim-small}}}}
tenants:
  - {{name: acme, keys: ["sha256:{acme}"], features: [default, slow]}}
  - {{name: other, keys: ["sha256:{other}"]}}
features: {{slow: {{lane: batch}}}}
defaults: {{semantic: "off"}}
jobs:
  batch_wait: 50ms
  poll_interval: 50ms
  max_poll_interval: 100ms
  max_open_per_tenant: 12
  webhooks: {{allow_private: on, allowed_hosts: ["127.0.0.1"], first_retry: 50ms, max_attempts: 3}}
"""
_numbers = itertools.count()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with simulator(tmp_path_factory.mktemp("provider")) as server:
        yield server


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, provider: Server) -> Iterator[Server]:
    """A gateway with exact cache and coalescing, without the semantic tier."""
    folder = tmp_path_factory.mktemp("plain")
    with gateway(folder, PLAIN.format(upstream=provider.base_url)) as server:
        yield server


@pytest.fixture(scope="session")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A provider with a Batch API."""
    with simulator(tmp_path_factory.mktemp("batched"), "--batch-delay", "0.2") as server:
        yield server


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory, batched: Server) -> Iterator[Server]:
    """A gateway with a batch lane, for the tenants acme and other."""
    folder = tmp_path_factory.mktemp("lane")
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("acme", "other")}
    with gateway(folder, JOBS.format(folder=folder, batched=batched.base_url, **keys)) as server:
        yield server


@pytest.fixture
def client(plain: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=plain.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
async def aclient(plain: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=plain.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


@pytest.fixture
def question() -> str:
    """A question that no other test asks."""
    return f"What is the meaning of number {next(_numbers)}?"


@pytest.fixture
def calls(provider: Server) -> CallCounter:
    return CallCounter(provider)
