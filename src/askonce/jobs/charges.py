"""What the lines of providers' batches come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from askonce.jobs.request_file import custom_id
from askonce.model import Caller, Usage
from askonce.pipeline.answers import said_usage
from askonce.ports import Charge, Share
from askonce.sending.estimate import text_tokens

if TYPE_CHECKING:
    from askonce.job import Batch, Line
    from askonce.model import Answer, Json
    from askonce.pipeline.bill import Billing

__all__ = ["LineCharges", "line_caller"]

_UNKNOWN: Final = "unknown"
_MILLION: Final = 1_000_000


def line_caller(context: Json) -> Caller:
    """Whose job asked a line first, as its context says."""
    tenant, label, features, identity = context["caller"]
    return Caller(tenant, label, tuple(features), None, bytes.fromhex(identity))


class LineCharges:
    """Makes charges of results.

    A line is written down before its jobs end, and told of afterwards: a kill between them costs nothing, and a result
    that is read again has the same name, so that the ledger knows it.
    """

    def __init__(self, billing: Billing, price_factor: float) -> None:
        """`price_factor`: what a batch costs, as a share of the usual price; taken in millionths."""
        self._billing = billing
        self._price_millionths = round(price_factor * _MILLION)

    def cost_nanousd(self, model: str, usage: Usage) -> int | None:
        """What a line costs; None where the price isn't known."""
        return self._billing.prices.cost_nanousd(model, usage, self._price_millionths)

    def of(self, batch: Batch, line: Line, answer: Answer | None, feature: str) -> Charge:
        """What a line comes to, to be paid by whoever asked first; without an answer that can be read, an estimate."""
        caller = line_caller(orjson.loads(line.context))
        share = Share(caller.account, feature, "batch", 0, caller.label)
        return self._charge(batch, line.number, answer, Usage(text_tokens(len(line.body))), share)

    def unwanted(
        self, batch: Batch, number: int, answer: Answer, asker: tuple[str, str, str] | None
    ) -> Charge:
        """What a line comes to whose jobs have ended another way; `asker` is the first one's tenant, label and feature.

        A line that was taken before comes to the same again under the same name, which the ledger knows; nobody's
        budget does, so that it is nobody's.
        """
        share = Share(_UNKNOWN, _UNKNOWN, "abandoned", 0, _UNKNOWN)
        if asker is not None:
            tenant, label, feature = asker
            share = Share(Caller(tenant, label, (), None, b"").account, feature, "abandoned", 0, label)
        return self._charge(batch, number, answer, Usage(), share)

    def _charge(
        self, batch: Batch, number: int, answer: Answer | None, estimate: Usage, share: Share
    ) -> Charge:
        usage = None if answer is None else said_usage(answer)
        model, prices = batch.group.model, self._billing.prices
        full, cost = (count(model, usage or estimate) for count in (prices.cost_nanousd, self.cost_nanousd))
        return Charge(
            call=f"{batch.remote_id}/{custom_id(number)}",
            at=self._billing.now(),
            upstream=batch.group.upstream,
            model=model,
            usage=usage,
            estimate=estimate,
            cost_nanousd=cost,
            saved_prompt_cache_nanousd=prices.saved_by_prompt_cache_nanousd(model, usage) if usage else 0,
            saved_batch_nanousd=0 if full is None or cost is None or usage is None else full - cost,
            shares=(share._replace(nanousd=cost or 0),),
        )

    def begin(self, charge: Charge) -> None:
        """Writes it down: it counts from now on, whatever becomes of this process."""
        self._billing.begun(charge)

    def tell(self, charge: Charge) -> None:
        """Its jobs have ended."""
        self._billing.charged(charge)
