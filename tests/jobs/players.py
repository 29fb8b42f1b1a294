"""A batch lane without sockets and threads: a store in memory that answers at once, a provider that is told what to do."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, cast

from askonce.errors import Sharing, UpstreamFailure
from askonce.gateway import Gateway, Parts
from askonce.job import Group, NewJob, NewLine, Ready, RemoteBatch, RemoteState
from askonce.jobs.carrier import Carrier, Pauses
from askonce.jobs.charges import LineCharges
from askonce.jobs.engine import Engine, Gathering
from askonce.jobs.results import Results
from askonce.model import Answer, Usage
from askonce.pipeline.bill import Billing
from askonce.pipeline.dispatch import Dispatcher
from askonce.pipeline.fetch import Fetcher
from askonce.pipeline.identity import Identity
from askonce.pipeline.policy import Policies
from askonce.pipeline.prices import Price, Prices
from askonce.pipeline.users import Users
from askonce.stores.job_room import JobLimits
from askonce.stores.jobs import SqliteJobs
from askonce.stores.schema import SCHEMA
from askonce.stores.transactions import Transactions
from fakes import POLICY, FakeClock, FakeObserver, FakeStore, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GROUP = Group("provider", "chat/completions", "sim-small")


def immediate(path: str = ":memory:") -> Transactions:
    """Transactions on the caller's own thread, so that virtual time stands still meanwhile."""
    connection = sqlite3.connect(path, isolation_level=None)
    SCHEMA.bring_up_to_date(connection)

    def run(work: Callable[[sqlite3.Connection], Any]) -> asyncio.Future[Any]:
        done = asyncio.get_running_loop().create_future()
        try:
            done.set_result(work(connection))
        except (sqlite3.Error, OSError) as error:
            done.set_exception(error)
        return done

    return Transactions(run, durable=False, close=connection.close)


def store(path: str = ":memory:", *, limits: JobLimits | None = None) -> SqliteJobs:
    return SqliteJobs(immediate(path), limits or JobLimits(1_000, 2**30))


ANSWER = Answer(
    b'"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Yes."},'
    b'"finish_reason":"stop"}]',
    b'{"prompt_tokens":3}',
    "sim-small-1",
    "chatcmpl-",
    Usage(3, 1, 0),
    1_000,
)


def new_job(name: str, *, key: bytes | None = None, tenant: str = "tenant:acme", **changes: Any) -> NewJob:
    body = json.dumps({"model": "sim-small", "messages": [{"role": "user", "content": name}]}).encode()
    context = json.dumps(
        {"caller": [tenant, "acme", ["default"], ""], "headers": {"x-askonce-lane": "batch"}}
    )
    job = NewJob(
        tenant=tenant,
        request_id=name,
        digest=body,
        label="acme",
        feature="default",
        model="sim-small",
        native=False,
        created_at=100.0,
        looked_at=100.0,
        deadline_at=1_100.0,
        fallback_at=1_000.0,
        webhook="",
        line=NewLine(key, GROUP, context.encode(), body, batched=True),
        ready=None,
    )
    return replace(job, **changes)


def ready(outcome: str = "exact") -> Ready:
    return Ready(ANSWER, outcome)


@dataclass
class FakeBatchApi:
    """A provider that remembers what it was asked, and does what it is told.

    `trouble` is raised by the named calls, once each, after they have had their effect (`after:create`) or before
    (`create`). A batch is in the provider's list `shows_after_s` after it was made.
    """

    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    batches: dict[str, tuple[str, RemoteBatch]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    trouble: dict[str, UpstreamFailure] = field(default_factory=dict)
    shows_after_s: float = 0.0
    results_of: dict[str, list[bytes]] = field(default_factory=dict)

    async def upload(self, name: str, file: IO[bytes]) -> str:
        return cast("str", await self._do("upload", lambda: self._upload(name, file.read())))

    async def find_file(self, name: str) -> str | None:
        found = [identity for identity, (own, _) in self.files.items() if own == name]
        return cast("str | None", await self._do("find_file", lambda: found[-1] if found else None))

    async def create(self, file_id: str, endpoint: str, intent: str) -> RemoteBatch:
        def create() -> RemoteBatch:
            identity = f"batch-{len(self.batches)}"
            self.shown_at[identity] = asyncio.get_running_loop().time() + self.shows_after_s
            batch = RemoteBatch(identity, RemoteState.RUNNING, "validating", file_id, (), "")
            self.batches[identity] = intent, batch
            return batch

        return cast("RemoteBatch", await self._do(f"create {endpoint}", create))

    async def find(self, intent: str) -> RemoteBatch | None:
        def find() -> RemoteBatch | None:
            now = asyncio.get_running_loop().time()
            listed = (one for name, one in self.batches.items() if self.shown_at[name] <= now)
            return next((one for own, one in listed if own == intent), None)

        return cast("RemoteBatch | None", await self._do("find", find))

    async def retrieve(self, batch_id: str) -> RemoteBatch:
        return cast("RemoteBatch", await self._do("retrieve", lambda: self.batches[batch_id][1]))

    async def cancel(self, batch_id: str) -> None:
        await self._do("cancel", lambda: self.end(batch_id, status="cancelled"))

    async def results(self, file_id: str) -> AsyncIterator[bytes]:
        await self._do("results", lambda: None)
        for line in self.results_of[file_id]:
            yield line

    async def delete_file(self, file_id: str) -> None:
        await self._do("delete_file", lambda: self.files.pop(file_id, None))

    async def close(self) -> None:
        pass

    def end(
        self,
        batch_id: str,
        *,
        status: str = "completed",
        reason: str = "",
        answer: Callable[[str], dict[str, Any]] | None = None,
    ) -> None:
        """The provider is done: every line gets what `answer` says of its question; "" for no line at all."""
        intent, batch = self.batches[batch_id]
        lines = [json.loads(line) for line in self.files[batch.input_file][1].splitlines()]
        outcome = answer or answered
        name = f"out-{batch_id}"
        self.results_of[name] = [
            json.dumps(
                {"custom_id": line["custom_id"], **outcome(line["body"]["messages"][-1]["content"])}
            ).encode()
            for line in lines
            if status != "cancelled"
        ]
        state = RemoteState.FAILED if status == "failed" else RemoteState.ENDED
        files = () if status in {"failed", "cancelled"} else (name,)
        self.batches[batch_id] = (
            intent,
            replace(batch, state=state, status=status, output_files=files, reason=reason),
        )

    @property
    def handed_in(self) -> list[str]:
        """The questions of all batches, in order."""
        lines = [
            json.loads(line)
            for _, batch in self.batches.values()
            for line in self.kept[batch.input_file].splitlines()
        ]
        return [line["body"]["messages"][-1]["content"] for line in lines]

    kept: dict[str, bytes] = field(default_factory=dict)
    shown_at: dict[str, float] = field(default_factory=dict)

    def _upload(self, name: str, content: bytes) -> str:
        identity = f"file-{len(self.kept)}"
        self.files[identity] = name, content
        self.kept[identity] = content
        return identity

    async def _do(self, what: str, effect: Callable[[], Any]) -> Any:
        self.asked.append(what)
        await asyncio.sleep(0.01)
        word = what.partition(" ")[0]
        if word in self.trouble:
            raise self.trouble.pop(word)
        value = effect()
        if f"after:{word}" in self.trouble:
            raise self.trouble.pop(f"after:{word}")
        return value


def answered(question: str) -> dict[str, Any]:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "sim-small-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"About {question}"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20},
    }
    return {"response": {"status_code": 200, "body": body}, "error": None}


def broken(sharing: Sharing = Sharing.TRANSIENT, status: int = 502) -> UpstreamFailure:
    return UpstreamFailure(status, "upstream_unreachable", "It could not be reached.", sharing=sharing)


class LoopClock(FakeClock):
    """Wall-clock time that goes as the event loop's does."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()


class _NoTier:
    """A semantic tier that is off."""

    def applies(self, _: object) -> bool:
        return False


class _Provider:
    """An upstream that is only ever routed to."""

    name = "provider"


class FakeSender:
    """Notes what is to be sent one by one, and answers it if told to."""

    def __init__(self, jobs: SqliteJobs) -> None:
        self.jobs = jobs
        self.taken: list[int] = []
        self.busy = False
        self.wake = asyncio.Event()

    async def fill(self) -> None:
        now = asyncio.get_running_loop().time()
        self.taken += [line.number for line in await self.jobs.take_direct(10, now)]

    def drain(self) -> None:
        pass

    async def close(self, _: float) -> None:
        pass


class FakeCourier:
    """Delivers nothing."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    def wake(self) -> None:
        pass

    async def close(self) -> None:
        pass


class Players:
    """A lane over a store, with a provider that is told what to do."""

    def __init__(self, path: str = ":memory:", api: FakeBatchApi | None = None, **gathering: Any) -> None:
        nothing = cast("Any", None)
        self.clock = LoopClock()
        self.api = api or FakeBatchApi()
        self.jobs = store(path)
        self.answers = FakeStore(self.clock)
        self.observer = FakeObserver()
        gateway = Gateway(
            Parts(
                identity=Identity(None, ("default",), b"secret"),
                users=Users(b"secret"),
                policies=Policies({"default": POLICY}),
                allowances=nothing,
                dispatcher=Dispatcher([served(cast("Any", _Provider()))], nothing, nothing),
                fetcher=Fetcher(nothing, nothing, nothing, nothing),
                store=cast("Any", self.answers),
                semantic=cast("Any", _NoTier()),
                budgets=nothing,
                equivalence=nothing,
                audits=nothing,
                clock=self.clock,
                log_memory=nothing,
            )
        )
        prices = Prices({"sim-*": Price.per_million(1.0, 1.0)})
        charges = LineCharges(Billing(self.observer, self.observer.begun.append, prices, self.clock), 0.5)
        self.results = Results(gateway, self.jobs, charges, self.observer, told=lambda: None)
        self.carrier = Carrier(
            self.jobs,
            self.api,
            self.results,
            pauses=Pauses(1.0, 10.0, lambda: 0.5),
            clock=self.clock,
            max_attempts=2,
        )
        self.sender = FakeSender(self.jobs)
        rules = {"requests": 3, "size_bytes": 2**20, "wait_s": 5.0, "max_batches": 2, "retention_s": 1e6}
        self.engine = Engine(
            self.jobs,
            {"provider": self.carrier},
            results=self.results,
            sender=cast("Any", self.sender),
            courier=cast("Any", FakeCourier()),
            gathering=Gathering(**{**rules, **gathering}),
            clock=self.clock,
        )

    async def submit(self, name: str, **changes: Any) -> None:
        now = self.clock.now()
        times = {"created_at": now, "looked_at": now, "fallback_at": now + 900, "deadline_at": now + 1_000}
        receipt = await self.jobs.submit(new_job(name, **{**times, **changes}))
        await self.results.announce(receipt.ended)
        self.engine.submitted()
