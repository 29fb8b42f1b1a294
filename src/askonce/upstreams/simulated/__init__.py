"""A provider that isn't one: answers in OpenAI's shapes, made up from a seed, with the faults that are asked for.

`options` is what it can be told, `directive` what a single request can tell it (`x_simulate`), `requests` what it
refuses, `text`, `answers`, `schema` and `dice` where its words come from, `chat`, `completions` and `embeddings` the shapes,
`engine` what a call costs, `reply` the pace at which answers arrive, `limits` what is too much, `outages` when it is dead,
`upstream` the port.
"""

from askonce.upstreams.simulated.answers import read_answers
from askonce.upstreams.simulated.batches import BatchRules, SimulatedBatches
from askonce.upstreams.simulated.chat_batch import CHAT_BATCH
from askonce.upstreams.simulated.counters import Counters
from askonce.upstreams.simulated.directive import Directive, Fault
from askonce.upstreams.simulated.failures import Severed, refused
from askonce.upstreams.simulated.limits import LimitKind, RateLimits
from askonce.upstreams.simulated.options import SimulatedModel, Simulation
from askonce.upstreams.simulated.outages import OutageKind, PlannedOutage
from askonce.upstreams.simulated.reply import SimulatedReply
from askonce.upstreams.simulated.upstream import SimulatedUpstream

__all__ = [
    "CHAT_BATCH",
    "BatchRules",
    "Counters",
    "Directive",
    "Fault",
    "LimitKind",
    "OutageKind",
    "PlannedOutage",
    "RateLimits",
    "Severed",
    "SimulatedBatches",
    "SimulatedModel",
    "SimulatedReply",
    "SimulatedUpstream",
    "Simulation",
    "read_answers",
    "refused",
]
