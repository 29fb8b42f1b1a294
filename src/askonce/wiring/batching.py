"""Settings → what goes together, and the functions that answer in place of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.config import ConfigError, Problem, PythonUpstream
from askonce.model import Endpoint, Lane
from askonce.sending.batches.bodies import Bodies
from askonce.sending.batches.chat import VllmChat
from askonce.sending.batches.lists import COMPLETIONS, EMBEDDINGS
from askonce.sending.batches.pile import Load
from askonce.sending.batches.rules import BatchingRules
from askonce.upstreams.function import find_function

if TYPE_CHECKING:
    from askonce.config import BatchingSettings, Settings, UpstreamSettings
    from askonce.sending.batches.form import Form

__all__ = ["batching_rules", "check_functions"]


def batching_rules(settings: UpstreamSettings) -> BatchingRules | None:
    """What of an upstream's calls goes together; None where nothing does."""
    chosen = settings.batching
    forms: dict[Endpoint, Form] = {}
    if isinstance(settings, PythonUpstream):
        forms = dict.fromkeys(Endpoint, Bodies())
    else:
        if chosen.embeddings:
            forms[Endpoint.EMBEDDINGS] = EMBEDDINGS
        if chosen.completions:
            forms[Endpoint.COMPLETIONS] = COMPLETIONS
        if chosen.chat == "vllm":
            forms[Endpoint.CHAT] = VllmChat()
    if not forms or chosen.max_items == 1:
        return None
    return BatchingRules(
        forms=forms,
        most=Load(chosen.max_items, chosen.max_tokens, chosen.max_bytes),
        in_flight=chosen.max_in_flight,
        target_s=chosen.target_latency_s,
        linger_s=_linger_s(chosen),
        linger_items=chosen.linger.items,
        max_waiting=settings.limits.max_queue,
    )


def check_functions(settings: Settings, source_name: str) -> None:
    """Imports what `type: python` upstreams name; `source_name` is the configuration's.

    Raises:
        ConfigError: something can't be imported, or isn't such a function.
    """
    problems = []
    for number, upstream in enumerate(settings.upstreams):
        if isinstance(upstream, PythonUpstream):
            try:
                find_function(upstream.function)
            except ValueError as error:
                problems.append(Problem(("upstreams", number, "function"), None, str(error)))
    if problems:
        raise ConfigError(source_name, problems)


def _linger_s(settings: BatchingSettings) -> dict[Lane, float]:
    linger = settings.linger
    wanted = {
        Lane.INTERACTIVE: linger.interactive_s,
        Lane.RELAXED: linger.relaxed_s,
        Lane.BATCH: linger.batch_s,
    }
    return {lane: seconds for lane, seconds in wanted.items() if seconds}
