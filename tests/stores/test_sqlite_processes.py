"""Whole processes: two on one file, one that may not write, one that is cut short, one that is killed."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from askonce.stores import writer
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from stores.samples import FakeClock, entry, key

if TYPE_CHECKING:
    from collections.abc import Callable


TESTS = Path(__file__).parents[1]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come after milliseconds, so that tests of healing take no longer."""
    monkeypatch.setattr(writer, "_FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(writer, "_LAST_RETRY_S", 0.02)


async def until(reached: Callable[[], bool]) -> None:
    """Waits for something that happens in the background; pytest's own timeout is the limit."""
    while not reached():  # noqa: ASYNC110 - what happens there has no event of its own
        await asyncio.sleep(0.005)


async def test_two_processes_never_share_a_file(tmp_path: Path, clock: FakeClock) -> None:
    """The second notices and keeps to memory; when the first ends it takes over."""
    holder = subprocess.Popen(  # noqa: ASYNC220 - our own interpreter
        [sys.executable, "-c", HOLD, str(tmp_path / "a.db")],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"durable\n"
    store = SqliteStore(tmp_path / "a.db", MemoryStore(clock), clock, commit_interval_s=0.001, read_wait_s=30)
    await store.start()
    store.put(entry("ours"), None)
    assert await store.get(key("ours")) is not None
    assert not store.health().durable
    assert "another process" in store.health().detail
    secret = await store.secret()
    holder.communicate(b"end\n")
    await until(lambda: store.health().durable)
    assert await store.get(key("theirs")) is not None
    await store.close()
    again = SqliteStore(tmp_path / "a.db", MemoryStore(clock), clock)
    await again.start()
    assert await again.secret() == secret
    await again.close()


HOLD = """
import asyncio, sys
from pathlib import Path
from stores.samples import FakeClock, entry
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore

async def main():
    clock = FakeClock()
    store = SqliteStore(Path(sys.argv[1]), MemoryStore(clock), clock)
    await store.start()
    store.put(entry("theirs"), None)
    await store.flush()
    print("durable" if store.health().durable else "degraded", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await store.close()

asyncio.run(main())
"""


def test_a_read_only_directory() -> None:
    """Where nothing may be written the store runs in memory and says why."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o555)
        ended = subprocess.run(
            [sys.executable, "-c", READ_ONLY, directory],
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"Permission denied" in ended.stdout


READ_ONLY = """
import asyncio, os, sys
from pathlib import Path
from stores.samples import FakeClock, entry, key
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore

async def main():
    clock = FakeClock()
    store = SqliteStore(Path(sys.argv[1]) / "a.db", MemoryStore(clock), clock)
    await store.start()
    store.put(entry("a"), None)
    assert await store.get(key("a")) is not None
    assert not store.health().durable
    print(store.health().detail)
    await store.close()

if os.geteuid() == 0:
    os.seteuid(65534)
asyncio.run(main())
"""


def test_a_limit_on_the_files_size(tmp_path: Path) -> None:
    """A write that the system cuts short degrades the store; what was committed before is whole."""
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "a.db")],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    with closing(sqlite3.connect(tmp_path / "a.db")) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert reading.execute("SELECT count(*) FROM entries").fetchone()[0] >= 1


LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from stores.samples import FakeClock, entry, key
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore

async def main():
    clock = FakeClock()
    store = SqliteStore(Path(sys.argv[1]), MemoryStore(clock), clock)
    await store.start()
    store.put(entry("a"), None)
    await store.flush()
    assert store.health().durable
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for number in range(100):
        store.put(entry(number, size=10_000), None)
    await store.flush()
    assert not store.health().durable, store.health()
    assert await store.get(key(5)) is not None
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("run", range(3))
def test_a_killed_process_loses_only_the_last_interval(tmp_path: Path, run: int) -> None:
    """Killed at a random moment while it writes: the file is whole, and what was put 0.5 s earlier is there."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path / "a.db")],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
    ) as writing:
        assert writing.stdout is not None
        # Each line says how many entries had been put half a second (ten commit intervals) before.
        safe, lines = 0, random.Random(run).randint(20, 80)  # noqa: S311 - a moment, not a secret
        for _ in range(lines):
            safe = int(writing.stdout.readline())
        writing.kill()
    with closing(sqlite3.connect(tmp_path / "a.db")) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {found for (found,) in reading.execute("SELECT key FROM entries")}
    assert safe > 0
    assert all(key(number) in kept for number in range(safe))


ENDLESS = """
import asyncio, sys, time
from collections import deque
from pathlib import Path
from stores.samples import entry, question, unit
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore

class Wall:
    def now(self):
        return time.time()

async def main():
    store = SqliteStore(Path(sys.argv[1]), MemoryStore(Wall()), Wall(), commit_interval_s=0.05)
    await store.start()
    put, history = 0, deque()
    while True:
        for _ in range(20):
            store.put(entry(put, at=time.time(), ttl_s=10_000, tags=("x",)), question(put, vector=unit(1)))
            put += 1
        await asyncio.sleep(0.01)
        history.append((time.monotonic(), put))
        while history and time.monotonic() - history[0][0] > 0.5:
            print(history.popleft()[1], flush=True)

asyncio.run(main())
"""
