"""A real LLM server: llama.cpp's, with a tiny random model, and a gateway before it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

from llama.llama_server import SLOTS, LlamaServer
from llama.tiny_model import write_model
from servers import PATIENCE_S, Server, gateway, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CONFIG = """\
upstreams:
  - {{name: llama, base_url: "{llama}", api_key: none, models: [tiny]}}
  - {{name: vectors, base_url: "{vectors}", api_key: none, models: [tiny-vectors]}}
defaults: {{semantic: "off", linger: 0s}}
"""


@pytest.fixture(scope="session")
def program() -> Path:
    """`llama-server`: skipped where nobody has named one; `make test-llama` always does."""
    named = os.environ.get("ASKONCE_LLAMA_SERVER")
    if not named:
        pytest.skip(
            "no real LLM server: run `make test-llama`, or set ASKONCE_LLAMA_SERVER to a llama-server"
        )
    return Path(named)


@contextlib.contextmanager
def serving(program: Path, folder: Path, *options: str) -> Iterator[LlamaServer]:
    """A process of it on a free port, with the tiny model."""
    model, log = folder / "tiny.gguf", folder / "llama.log"
    write_model(model)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    command = [str(program), "-m", str(model), "--host", "127.0.0.1", "--port", port]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "-t", "1", "-np", str(SLOTS), *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = LlamaServer(Server(process, f"http://127.0.0.1:{port}/v1", log))
    try:
        until(lambda: process.poll() is not None or server.ready, "llama-server is ready")
        assert process.poll() is None, f"llama-server did not start: {log.read_text()}"
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="session")
def llama(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A server that generates, 16,384 tokens at most in each of its four slots."""
    with serving(
        program, tmp_path_factory.mktemp("llama"), "-c", str(SLOTS * 16_384), "--metrics", "--slots"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def vectors(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """A server that embeds."""
    options = ("-c", "8192", "--embeddings", "--pooling", "last", "--metrics")
    with serving(program, tmp_path_factory.mktemp("vectors"), *options) as server:
        yield server


@pytest.fixture(scope="session")
def askonce(
    tmp_path_factory: pytest.TempPathFactory, llama: LlamaServer, vectors: LlamaServer
) -> Iterator[Server]:
    """A gateway before both, which stops an upstream call as soon as nobody wants it any more."""
    config = CONFIG.format(llama=llama.base_url, vectors=vectors.base_url)
    with gateway(tmp_path_factory.mktemp("gateway"), config) as server:
        yield server


@pytest.fixture
def client(askonce: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=askonce.base_url, api_key="sk-test", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture
async def aclient(askonce: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=askonce.base_url, api_key="sk-test", max_retries=0, timeout=60
    ) as client:
        yield client


@pytest.fixture
def direct(llama: LlamaServer) -> Iterator[openai.OpenAI]:
    """The SDK without the gateway between."""
    with openai.OpenAI(base_url=llama.base_url, api_key="none", max_retries=0, timeout=60) as client:
        yield client
