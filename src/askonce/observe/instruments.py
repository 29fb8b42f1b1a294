"""OpenTelemetry metrics, by the GenAI conventions' names and the gateway's own (`askonce.…`).

Labels are bounded: tenants are configured names, models those that the configuration or a price list names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from askonce import __version__
from askonce.model import Endpoint
from askonce.observe.conventions import DURATIONS_S, METRICS, OPERATIONS, TOKENS

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.sdk.metrics import MeterProvider

    from askonce.model import Request
    from askonce.observe.conventions import Known
    from askonce.ports import Charge, Record, UpstreamCall

__all__ = ["Instruments"]

_NANOUSD: Final = 1e9
_USD_UNIT: Final = "{USD}"
_SNAPSHOT: Final = re.compile(r"-20\d\d-\d\d-\d\d$")
"""The date that providers append to a model's name for one of its snapshots."""
_COUNTED: Final = frozenset({"input_usage", "output_usage", "cached_usage"})
_MOST_CODES: Final = 200
"""Different errors that are told by their code: an upstream's own may be among them."""
_OTHER_ERROR: Final = "_OTHER"
"""What the conventions call an error that has no type of its own."""
_Attributes = dict[str, str]


class Instruments:
    """Records what has ended; the SDK sums it up and sends it in a thread of its own.

    Args:
        provider: The SDK's.
        names: `old`, `new` or `both`.
        known: What labels may name.
    """

    def __init__(self, provider: MeterProvider, names: str, known: Known) -> None:
        self._meter = provider.get_meter("askonce", __version__)
        self._names = names
        self._peers = known.peers
        self._models = known.models
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        self._codes: set[str] = set()
        meter = self._meter
        self._requests = meter.create_counter(
            "askonce.requests", "{request}", "Requests by how they were answered."
        )
        self._saved = meter.create_counter("askonce.saved", _USD_UNIT, "What wasn't spent.")
        self._spent = meter.create_counter("askonce.spent", _USD_UNIT, "What upstream calls cost.")
        self._waits = meter.create_histogram(
            "askonce.queue.wait",
            "s",
            "How long upstream calls waited for their turn.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )

    def request(self, record: Record) -> None:
        """A request has ended."""
        outcome = record.outcome
        own = {
            "askonce.tenant": record.tenant,
            "askonce.feature": record.feature,
            "askonce.outcome": "refused" if outcome is None else outcome.name,
        }
        self._requests.add(1, own)
        if record.saved_nanousd:
            self._saved.add(record.saved_nanousd / _NANOUSD, own)
        if record.request is None:
            return
        request = record.request
        attributes = self._of_request(request, request.ask.route.upstream, request.ask.model)
        attributes["askonce.outcome"] = own["askonce.outcome"]
        if record.answer_model:
            attributes["gen_ai.response.model"] = self._model(record.answer_model)
        if record.code:
            attributes["error.type"] = self._code(record.code)
        endpoint = request.ask.endpoint
        self._observe("request_duration", endpoint, record.duration_s, attributes)
        if outcome is not None:
            self._observe("first_token", endpoint, record.first_byte_s, attributes)

    def charged(self, charge: Charge) -> None:
        """An upstream call is paid for; nothing where nobody said what it took."""
        for share in charge.shares if charge.usage is not None else ():
            if share.nanousd:
                own = {
                    "askonce.tenant": share.label,
                    "askonce.feature": share.feature,
                    "askonce.outcome": share.outcome,
                }
                self._spent.add(share.nanousd / _NANOUSD, own)

    def call(self, call: UpstreamCall) -> None:
        """An upstream call has ended."""
        request, answer, endpoint = call.request, call.answer, call.request.ask.endpoint
        attributes = self._of_request(request, call.upstream, request.ask.route.model)
        peer = self._peers.get(call.upstream)
        if peer is not None and peer.address:
            attributes["server.address"] = peer.address
        self._waits.record(
            call.queued_s, {"askonce.upstream": call.upstream, "askonce.lane": request.policy.lane}
        )
        timed = attributes if call.status == "ok" else {**attributes, "error.type": call.status}
        if call.counts:
            self._observe("call_duration", endpoint, call.duration_s, timed)
        if call.first_s is not None:
            self._observe("first_chunk", endpoint, call.first_s, timed)
        if answer is None:
            return
        attributes["gen_ai.response.model"] = self._model(answer.model)
        usage = answer.usage
        self._observe("input_tokens", endpoint, usage.prompt_tokens, attributes, "input")
        self._observe("input_usage", endpoint, usage.prompt_tokens, attributes)
        self._observe("cached_usage", endpoint, usage.cached_tokens, attributes)
        if endpoint is not Endpoint.EMBEDDINGS:
            self._observe("output_tokens", endpoint, usage.completion_tokens, attributes, "output")
            self._observe("output_usage", endpoint, usage.completion_tokens, attributes)

    def _of_request(self, request: Request, upstream: str, model: str) -> _Attributes:
        peer = self._peers.get(upstream)
        return {
            "gen_ai.operation.name": OPERATIONS[request.ask.endpoint],
            "gen_ai.provider.name": peer.provider if peer is not None else upstream,
            "gen_ai.request.model": self._model(model),
        }

    def _model(self, name: str) -> str:
        """A model's label: callers choose names, so that those that nobody has configured or priced are one."""
        if name in self._models:
            return name
        family = _SNAPSHOT.sub("", name)
        return family if family in self._models else "other"

    def _code(self, code: str) -> str:
        """An error's label."""
        if len(self._codes) < _MOST_CODES:
            self._codes.add(code)
        return code if code in self._codes else _OTHER_ERROR

    def _observe(
        self, what: str, endpoint: Endpoint, value: float, attributes: _Attributes, token_type: str = ""
    ) -> None:
        """Records a value under its old name, its new one, or both, where it has them."""
        named = METRICS[what]
        new = named.new_of_embeddings if endpoint is Endpoint.EMBEDDINGS else named.new
        if new and named.old == new:
            self._histogram(new, what).record(value, attributes)
            return
        if self._names != "new" and named.old:
            typed = {**attributes, "gen_ai.token.type": token_type} if token_type else attributes
            self._histogram(named.old, what).record(value, typed)
        if self._names != "old" and new:
            if what in _COUNTED:
                self._counter(new, what).add(value, {**attributes, "gen_ai.token.modality": "unknown"})
            else:
                self._histogram(new, what).record(value, attributes)

    def _histogram(self, name: str, what: str) -> Histogram:
        if name not in self._histograms:
            named = METRICS[what]
            self._histograms[name] = self._meter.create_histogram(
                name,
                named.unit,
                named.text,
                explicit_bucket_boundaries_advisory=DURATIONS_S if named.unit == "s" else TOKENS,
            )
        return self._histograms[name]

    def _counter(self, name: str, what: str) -> Counter:
        if name not in self._counters:
            self._counters[name] = self._meter.create_counter(name, METRICS[what].unit, METRICS[what].text)
        return self._counters[name]
