"""What upstream calls come to: written down before they are sent, charged once they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from askonce.model import Endpoint, Usage
from askonce.pipeline.answers import said_usage
from askonce.ports import Charge
from askonce.sending.estimate import estimated_usage, text_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.errors import UpstreamFailure
    from askonce.model import Answer, Request
    from askonce.pipeline.prices import Prices
    from askonce.ports import Clock, Observer, Share

__all__ = ["Bill", "Billing", "Payers"]

Payers: TypeAlias = "Callable[[int], tuple[Share, ...]]"
"""Who pays so many nano-dollars, as of now: at least one share, and they add up."""


class Billing:
    """Opens a bill for each attempt at an upstream.

    Args:
        observer: Told what a call came to.
        begun: Told what a call counts as should nothing more be heard of it, before it is sent.
        prices: What tokens cost.
        clock: Wall-clock time.
    """

    def __init__(
        self, observer: Observer, begun: Callable[[Charge], None], prices: Prices, clock: Clock
    ) -> None:
        self.charged = observer.charged
        self.begun = begun
        self.prices = prices
        self.now = clock.now

    def open(self, request: Request, payers: Payers) -> Bill:
        """The bill of one attempt."""
        return Bill(self, request, payers)


class Bill:
    """What one attempt at an upstream comes to. Each call that goes out is charged once."""

    __slots__ = ("_billing", "_heard_tokens", "_payers", "_pending", "_request")

    def __init__(self, billing: Billing, request: Request, payers: Payers) -> None:
        self._billing = billing
        self._request = request
        self._payers = payers
        self._pending: Charge | None = None
        self._heard_tokens = 0

    def leaves(self, call: str, part: int) -> None:
        """The call is about to go out. One that went before was refused as a part of a batch, which is sent anew."""
        self.refused()
        ask = self._request.ask
        self._pending = self._estimated(call, part, ask.route.upstream, estimated_usage(ask))
        self._billing.begun(self._pending)

    def heard(self, size_bytes: int) -> None:
        """So much of a streamed answer has come: all that is known of its length if it ends here."""
        self._heard_tokens = text_tokens(size_bytes)

    def answered(self, answer: Answer) -> tuple[Share, ...]:
        """The whole answer has come: charged, to whom is returned. Nobody may have been told of it yet."""
        pending = self._pending
        if pending is None:
            return ()
        usage = said_usage(answer)
        if usage is None:
            if self._request.ask.endpoint is not Endpoint.EMBEDDINGS:  # vectors aren't tokens
                self.heard(len(answer.fields))
            self.close()
            return ()
        prices = self._billing.prices
        charge = pending._replace(
            at=self._billing.now(),
            usage=usage,
            cost_nanousd=answer.cost_nanousd,
            saved_prompt_cache_nanousd=prices.saved_by_prompt_cache_nanousd(pending.model, usage),
            shares=self._payers(answer.cost_nanousd or 0),
        )
        self._tell(charge)
        return charge.shares

    def failed(self, failure: UpstreamFailure) -> None:
        """The call has failed: it costs nothing, unless the upstream may have begun to work on it."""
        if not failure.began:
            self.refused()

    def refused(self) -> None:
        """The call took no work, if there was one."""
        if self._pending is not None:
            charge = self._pending._replace(usage=Usage(), cost_nanousd=0, shares=self._payers(0))
            self._tell(charge._replace(at=self._billing.now()))

    def close(self) -> None:
        """The attempt is over: a call of which nobody said what it took counts as what it may have taken."""
        pending = self._pending
        if pending is None:
            return
        estimate = pending.estimate
        if self._request.ask.stream or self._heard_tokens:
            estimate = Usage(estimate.prompt_tokens, self._heard_tokens)
        self._tell(self._estimated(pending.call, pending.part, pending.upstream, estimate))

    def _estimated(self, call: str, part: int, upstream: str, estimate: Usage) -> Charge:
        model = self._request.ask.route.model
        cost = self._billing.prices.cost_nanousd(model, estimate)
        at, shares = self._billing.now(), self._payers(cost or 0)
        return Charge(call, at, upstream, model, None, estimate, cost, 0, 0, shares, part)

    def _tell(self, charge: Charge) -> None:
        self._pending = None
        self._billing.charged(charge)
