"""The port: calls in, replies out, everything counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import UpstreamFailure
from askonce.model import Endpoint
from askonce.upstreams.simulated.books import CallBooks
from askonce.upstreams.simulated.chat import generate_chat
from askonce.upstreams.simulated.chat_batch import CHAT_BATCH, generate_chat_batch
from askonce.upstreams.simulated.completions import generate_completions
from askonce.upstreams.simulated.counters import Counters
from askonce.upstreams.simulated.dice import Dice, digest
from askonce.upstreams.simulated.directive import FIELD, Fault, read_directive, roll
from askonce.upstreams.simulated.embeddings import generate_embeddings
from askonce.upstreams.simulated.engine import Engine
from askonce.upstreams.simulated.failures import Severed, refused, simulated_failure
from askonce.upstreams.simulated.generation import Job
from askonce.upstreams.simulated.limits import Turnstile
from askonce.upstreams.simulated.options import SimulatedModel
from askonce.upstreams.simulated.outages import Outages
from askonce.upstreams.simulated.reply import Pace, SimulatedReply, Tally
from askonce.upstreams.simulated.requests import Fields, canonical, parse
from askonce.upstreams.simulated.text import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from askonce.model import Call, Json
    from askonce.ports import Clock
    from askonce.upstreams.simulated.directive import Directive
    from askonce.upstreams.simulated.generation import Generation
    from askonce.upstreams.simulated.options import Simulation

__all__ = ["SimulatedUpstream"]

_GENERATORS: Final[Mapping[Endpoint, Callable[[Job], Generation]]] = {
    Endpoint.CHAT: generate_chat,
    Endpoint.COMPLETIONS: generate_completions,
    Endpoint.EMBEDDINGS: generate_embeddings,
}
_MAX_REMEMBERED: Final = 100_000
"""Contents whose calls are counted; beyond them the longest unasked start again from the first attempt."""
_MODELS_CREATED: Final = 1_700_000_000


class _Attempts:
    """How often each content was asked."""

    def __init__(self) -> None:
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def next(self, content: bytes) -> int:
        """How many calls with this content came before."""
        count = self._counts.pop(content, 0)
        self._counts[content] = count + 1
        if len(self._counts) > _MAX_REMEMBERED:
            self._counts.popitem(last=False)
        return count


class SimulatedUpstream:
    """Answers in OpenAI's shapes without a model.

    Texts and vectors are functions of the seed and the request's content; ids and faults also of how many calls
    with that content came before. A run that repeats another's requests repeats its answers and its faults.

    Attributes:
        counters: What was asked so far.
        books: What each call took, by its id.
        outages: When it is dead; one can be ordered.
    """

    def __init__(self, simulation: Simulation, clock: Clock) -> None:
        self.counters = Counters()
        self.books = CallBooks()
        self._simulation = simulation
        self._clock = clock
        self._answers = {normalise(question): answer for question, answer in simulation.answers.items()}
        self._models = {model.name: model for model in simulation.models}
        self._attempts = _Attempts()
        self._pace = Pace(simulation, self.counters)
        self._engine = Engine(simulation)
        self._turnstile = Turnstile(simulation.rate_limits)
        self.outages = Outages(simulation.outages)

    @property
    def name(self) -> str:
        """The name in the configuration."""
        return self._simulation.name

    async def open(self, call: Call) -> SimulatedReply:
        """Accepts a call: a stream once its first token is due, a plain answer once all of it is.

        Raises:
            UpstreamFailure: the request is invalid, above a rate limit, or fails by direction or by chance; or the
                upstream is dead (`Severed`, where it doesn't answer).
        """
        self.counters.begin(call.endpoint, stream=call.stream)
        self.books.begin(call.id)
        try:
            return await self._open(call)
        except BaseException as error:
            self.counters.end(_outcome(error))
            self.books.end(call.id, _outcome(error))
            raise

    def offline(self, endpoint: Endpoint, raw: bytes, call: str = "") -> bytes:
        """The answer to a request that came in a batch: at once, in no counter and under no limit; `call` is its id.

        Raises:
            UpstreamFailure: the request is invalid, or is directed to fail.
        """
        body = parse(raw)
        self.model(body["model"])
        job = self._job(endpoint, body, stream=False)
        if job.directive.status is not None:
            raise _ordered(job.directive, own_key=True)
        generation = _GENERATORS[endpoint](job)
        self.books.begin(call)
        self.books.end(call, str(Fault.NONE), generation.tokens.prompt, generation.tokens.completion)
        return generation.whole

    async def models(self, credential: str | None) -> list[Json]:  # noqa: ARG002 - the port's shape
        """The models on offer; where any name is accepted, one that stands for all."""
        return [_model_object(name) for name in self._models or (SimulatedModel("simulated").name,)]

    def model(self, name: str) -> Json:
        """One model's object.

        Raises:
            UpstreamFailure: there is none of that name.
        """
        if self._models and name not in self._models:
            message = f"The model `{name}` does not exist or you do not have access to it."
            raise refused(404, "model_not_found", message, param="model")
        return _model_object(name)

    async def close(self) -> None:
        """Holds nothing to close."""

    async def _open(self, call: Call) -> SimulatedReply:
        since = asyncio.get_running_loop().time()
        await self._meet_outage()
        body = parse(call.body)
        self.model(body["model"])
        with self._counting_refusals():
            self._turnstile.admit(call.credential, since)
        job = self._job(call.endpoint, body, stream=call.stream)
        directive = job.directive
        if directive.status is not None:
            await self._wait_for_first(directive)
            raise _ordered(directive, own_key=call.credential is not None)
        generate = generate_chat_batch if call.path == CHAT_BATCH else _GENERATORS[call.endpoint]
        generation = generate(job)
        with self._counting_refusals():
            self._turnstile.charge(call.credential, generation.tokens.total, since)
        return await self._accept(generation, job, call, partial(self.outages.check, since))

    def _job(self, endpoint: Endpoint, body: Json, *, stream: bool) -> Job:
        """What is to be generated for a request, and what is to go wrong with it."""
        content = canonical(body)
        directed = (
            orjson.dumps(body[FIELD], option=orjson.OPT_SORT_KEYS) if body.get(FIELD) is not None else b""
        )
        content_digest = digest(endpoint.value, content, directed)
        attempt = self._attempts.next(content_digest)
        dice = Dice(self._simulation.seed, content_digest, attempt)
        mark = dice.hex(28)
        return Job(
            simulation=self._simulation,
            answers=self._answers,
            body=body,
            fields=Fields(body),
            directive=read_directive(directed, attempt)
            if directed
            else roll(self._simulation, dice, stream=stream),
            stream=stream,
            mark=mark,
            created=int(self._clock.now()),
        )

    async def _accept(
        self, generation: Generation, job: Job, call: Call, check: Callable[[], None]
    ) -> SimulatedReply:
        """Answers once the engine has come to it; `check` raises where the upstream has died meanwhile."""
        await self._engine.start(generation.inputs)
        try:
            await self._wait_for_first(job.directive)
            if not job.stream:
                await self._pace.wait(generation.length - 1)
            check()
        except BaseException:
            self._engine.finish()
            raise
        self.counters.inputs += generation.inputs
        self.counters.images += generation.images
        return SimulatedReply(
            generation,
            job.directive,
            self._pace,
            Tally(self.counters, self._models.get(job.body["model"]), self._engine, self.books, call.id),
            limit_headers=self._turnstile.headers(call.credential, asyncio.get_running_loop().time()),
            check=check,
        )

    async def _meet_outage(self) -> None:
        try:
            await self.outages.meet()
        except BaseException:  # callers that give up on a hanging upstream have met its outage too
            self.counters.in_outage += 1
            raise

    @contextlib.contextmanager
    def _counting_refusals(self) -> Iterator[None]:
        try:
            yield
        except UpstreamFailure:
            self.counters.rate_limited += 1
            raise

    async def _wait_for_first(self, directive: Directive) -> None:
        ttft_ms = self._simulation.ttft_ms if directive.ttft_ms is None else directive.ttft_ms
        if ttft_ms:
            await asyncio.sleep(ttft_ms / 1000)


def _outcome(error: BaseException) -> str:
    """The word under which a call that wasn't accepted is counted."""
    if isinstance(error, Severed):
        return "severed"
    return str(error.status) if isinstance(error, UpstreamFailure) else "cancelled"


def _ordered(directive: Directive, *, own_key: bool) -> UpstreamFailure:
    """The failure that a directive orders."""
    return simulated_failure(
        directive.status or 500,
        directive.code,
        directive.retry_after_s,
        html=directive.html,
        own_key=own_key,
    )


def _model_object(name: str) -> Json:
    return {"id": name, "object": "model", "created": _MODELS_CREATED, "owned_by": "simulated"}
