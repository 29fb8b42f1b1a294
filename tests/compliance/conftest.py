"""One gateway before one simulated provider, for all tests that need nothing special."""

from __future__ import annotations

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
