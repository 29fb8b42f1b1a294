"""Both stores against the simplest thing that could be right: a dict, and the rules in ten lines."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from askonce.model import Entry, Link, Question, Stored
from askonce.stores.memory import MemoryStore
from askonce.stores.sqlite import SqliteStore
from stores.samples import FakeClock, entry, key, link, question

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from askonce.ports import Store

NAMES = st.sampled_from("abcdef")
LIVES_S = st.sampled_from([5.0, 20.0, 100.0])
TAGS = st.sets(st.sampled_from("xyz"), max_size=2).map(lambda tags: tuple(sorted(tags)))
MEMORY_BYTES = st.sampled_from([0, 3_000, 2**20])


class Stores(RuleBasedStateMachine):
    """Puts, links, removals, changes of class, invalidations, time, flushes and restarts, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.records: dict[bytes, Entry | Link] = {}
        self.questions: dict[bytes, Question] = {}
        self.texts = 0

    @initialize(memory_bytes=MEMORY_BYTES)
    def open(self, memory_bytes: int) -> None:
        memory = MemoryStore(self.clock, memory_bytes, 10_000)
        self.durable = SqliteStore(
            self.folder / "a.db", memory, self.clock, commit_interval_s=0.001, read_wait_s=30
        )
        self.alone = MemoryStore(self.clock, 2**24, 10_000)
        self.run(self.durable.start())

    def run(self, waiting: Coroutine[None, None, object]) -> object:
        return self.runner.run(waiting)

    async def everywhere(self, change: str, *arguments: object) -> None:
        """Calls a plain method of both stores, on the event loop where they live."""
        for store in (self.durable, self.alone):
            getattr(store, change)(*arguments)

    @rule(name=NAMES, ttl_s=LIVES_S, tags=TAGS, asked=st.booleans())
    def put(self, name: str, ttl_s: float, tags: tuple[str, ...], *, asked: bool) -> None:
        self.texts += 1
        kept = entry(name, at=self.clock.time, ttl_s=ttl_s, tags=tags, text=f"answer {self.texts}")
        self.change(kept, question(name) if asked else None, "put")

    @rule(name=NAMES, goal=NAMES, ttl_s=LIVES_S, asked=st.booleans())
    def link(self, name: str, goal: str, ttl_s: float, *, asked: bool) -> None:
        if name != goal:
            kept = link(name, goal, at=self.clock.time, ttl_s=ttl_s)
            self.change(kept, question(name) if asked else None, "link")

    def change(self, record: Entry | Link, asked: Question | None, method: str) -> None:
        self.records[record.key] = record
        self.questions.pop(record.key, None)
        if asked is not None:
            self.questions[record.key] = asked
        self.run(self.everywhere(method, record, asked))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.records.pop(key(name), None)
        self.questions.pop(key(name), None)
        self.run(self.everywhere("remove", key(name)))

    @rule(name=NAMES, answer=NAMES)
    def reclass(self, name: str, answer: str) -> None:
        asked = self.questions.get(key(name))
        if asked is not None:
            self.questions[key(name)] = replace(asked, answer=key(answer))
        self.run(self.everywhere("reclass", key(name), key(answer)))

    @rule(tags=st.sets(st.sampled_from("xyz"), min_size=1))
    def invalidate(self, tags: set[str]) -> None:
        unwanted = {
            one.key for one in self.records.values() if isinstance(one, Entry) and tags.intersection(one.tags)
        }
        alive = {one for one in unwanted if self.clock.time < self.records[one].expires_at}
        for store in (self.durable, self.alone):
            forgotten = self.run(store.invalidate(sorted(tags)))
            assert isinstance(forgotten, list)
            assert alive <= set(forgotten) <= unwanted
        for one in unwanted:
            del self.records[one]
            self.questions.pop(one, None)

    @rule(seconds=st.sampled_from([1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule()
    def flush(self) -> None:
        self.run(self.durable.flush())

    @rule(memory_bytes=MEMORY_BYTES)
    def restart(self, memory_bytes: int) -> None:
        self.run(self.durable.close())
        self.drop_what_tidying_drops()
        memory = MemoryStore(self.clock, memory_bytes, 10_000)
        self.durable = SqliteStore(
            self.folder / "a.db", memory, self.clock, commit_interval_s=0.001, read_wait_s=30
        )
        self.run(self.durable.start())
        assert self.durable.health().durable

    def drop_what_tidying_drops(self) -> None:
        """An expired entry may take its links along; the memory store is told, to stay comparable."""
        gone = [one for one in self.records.values() if self.clock.time >= one.expires_at]
        gone += [
            one
            for one in self.records.values()
            if isinstance(one, Link) and one.target in {g.key for g in gone}
        ]
        for one in gone:
            self.records.pop(one.key, None)
            self.questions.pop(one.key, None)
            self.alone.remove(one.key)

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        for store in (self.durable, self.alone):
            assert self.run(store.get(key(name))) == self.expected(name), type(store).__name__

    @invariant()
    def peek_is_right_or_silent(self) -> None:
        """Memory may have forgotten what the disk knows, but is never wrong."""
        for name in "abcdef":
            assert self.run(peek(self.durable, name)) in (None, self.expected(name))
            assert self.run(peek(self.alone, name)) == self.expected(name)

    @rule()
    def rebuild(self) -> None:
        asked = self.run(all_questions(self.durable))
        alive = [
            one for name in "abcdef" for one in [self.questions.get(key(name))] if one and self.expected(name)
        ]
        assert sorted(str(one) for one in alive) == sorted(str(one) for one in asked)  # type: ignore[attr-defined]

    def expected(self, name: str) -> Stored | None:
        record = self.records.get(key(name))
        through = record if isinstance(record, Link) else None
        target = self.records.get(through.target) if through is not None else record
        if not isinstance(target, Entry) or self.clock.time >= target.expires_at:
            return None
        if through is not None and self.clock.time >= through.expires_at:
            return None
        return Stored(target, through)

    def teardown(self) -> None:
        self.run(self.durable.close())
        self.runner.close()
        shutil.rmtree(self.folder)


async def peek(store: Store, name: str) -> Stored | None:
    return store.peek(key(name))


async def all_questions(store: Store) -> list[Question]:
    return [one async for batch in store.questions() for one in batch]


class TestStores(Stores.TestCase):  # type: ignore[misc, valid-type]
    """Any order of calls leaves both stores in agreement with the model."""

    settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
