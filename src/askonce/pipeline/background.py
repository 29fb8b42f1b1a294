"""Upstream calls that no caller waits for: within a daily limit, and never with a caller's own key unasked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import orjson
import structlog

from askonce.errors import AuditDropped, Refusal
from askonce.model import Lane
from askonce.pipeline.answers import parse_whole
from askonce.pipeline.dispatch import unstreamed
from askonce.pipeline.split import share

if TYPE_CHECKING:
    from askonce.model import Answer, Request
    from askonce.pipeline.dispatch import Dispatcher
    from askonce.pipeline.leg import Leg
    from askonce.pipeline.prices import Prices
    from askonce.ports import Clock, Share, Store
    from askonce.sending.passage import Passage

__all__ = ["BackgroundCalls", "Purse"]

_DAY_S: Final = 86_400
_KEPT: Final = "audit-spend"
_log = structlog.get_logger("askonce.audit")


class Purse:
    """What may be spent per day (UTC); what was spent today outlives a restart.

    Attributes:
        daily_limit_nanousd: The most to spend in a day.
        total_nanousd: Spent since the start of this process.
    """

    def __init__(self, store: Store, clock: Clock, daily_limit_nanousd: int) -> None:
        self.daily_limit_nanousd = daily_limit_nanousd
        self.total_nanousd = 0
        self._store = store
        self._clock = clock
        self._day = self._today()
        self._spent = 0
        self._reserved = 0

    def load(self) -> None:
        """Takes up what was spent today before a restart."""
        kept = self._store.kept(_KEPT)
        if kept is not None:
            self._day, self._spent = orjson.loads(kept)

    @property
    def spent_nanousd(self) -> int:
        """Spent today."""
        self._turn_page()
        return self._spent

    def reserve(self, nanousd: int) -> bool:
        """Sets money aside for a call; False where the day's limit doesn't allow for it."""
        self._turn_page()
        if self._spent + self._reserved + nanousd > self.daily_limit_nanousd:
            return False
        self._reserved += nanousd
        return True

    def settle(self, reserved_nanousd: int, spent_nanousd: int) -> None:
        """Ends a call that money was set aside for: what it did cost."""
        self._turn_page()
        self._reserved -= reserved_nanousd
        self._spent += spent_nanousd
        self.total_nanousd += spent_nanousd
        self._store.keep(_KEPT, orjson.dumps([self._day, self._spent]))

    def _turn_page(self) -> None:
        """Another day, a full purse. A clock that is set back doesn't fill it: what was spent counts tomorrow too."""
        today = self._today()
        if today > self._day:
            self._day, self._spent = today, 0
        self._day = min(self._day, today + 1)

    def _today(self) -> int:
        return int(self._clock.now() // _DAY_S)


class BackgroundCalls:
    """Asks upstreams on nobody's time. Joins no flight and stores nothing."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        prices: Prices,
        purse: Purse,
        unknown_price_nanousd: int,
        pass_through: bool,  # noqa: FBT001 - a setting by that name
    ) -> None:
        self._dispatcher = dispatcher
        self._prices = prices
        self._purse = purse
        self._unknown_price_nanousd = unknown_price_nanousd
        self._pass_through = pass_through

    def allowed(self, request: Request) -> bool:
        """Whether a call may be made for a request: not with its caller's own key, unless that is configured."""
        return self._pass_through or not self._dispatcher.spends_callers_key(request)

    async def ask(self, request: Request, expected_nanousd: int | None) -> Answer:
        """The upstream's plain answer.

        A call that fails counts as expected: it may have been billed.

        Raises:
            AuditDropped: it may not be asked, or doesn't answer.
        """
        if not self.allowed(request):
            raise AuditDropped("pass-through")
        reserved = expected_nanousd or self._unknown_price_nanousd
        if not self._purse.reserve(reserved):
            raise AuditDropped("spend-limit")
        cost = reserved
        try:
            answer = await self._ask(unstreamed(request))
            known = (
                answer.usage.prompt_tokens or answer.usage.completion_tokens
            )  # without usage nothing seems free
            cost = (
                answer.cost_nanousd
                if known and answer.cost_nanousd is not None
                else self._unknown_price_nanousd
            )
        except Refusal as failure:
            _log.info("audit call failed", upstream=request.ask.route.upstream, code=failure.code)
            raise AuditDropped("upstream-failed") from failure
        finally:
            self._purse.settle(reserved, cost)
        return answer

    async def _ask(self, request: Request) -> Answer:
        errand = _Errand(request, self._prices, asyncio.get_running_loop().time())
        await self._dispatcher.single(request, errand).travel(request)
        return errand.answer


class _Errand:
    """What a background call's journey is for: a plain answer, some time."""

    lane: Final = Lane.RELAXED
    begun: Final = False

    def __init__(self, request: Request, prices: Prices, now: float) -> None:
        self.deadline = now + request.policy.timeout_s
        self.answer: Answer
        self._request = request
        self._prices = prices

    def payers(self, nanousd: int) -> tuple[Share, ...]:
        """The account of the request that is audited."""
        return (share(self._request, "audit", nanousd),)

    async def take(self, leg: Leg, passage: Passage) -> None:
        """Takes the answer in."""
        ask = leg.request.ask
        body = await passage.reply.body()
        self.answer, _, _ = parse_whole(
            body, ask.endpoint, lambda usage: self._prices.cost_nanousd(ask.route.model, usage)
        )
        leg.answer = self.answer
        leg.bill.answered(self.answer)
        passage.settle(self.answer.usage)
