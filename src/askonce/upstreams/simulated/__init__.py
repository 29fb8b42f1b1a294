"""A provider that isn't one: answers in OpenAI's shapes, made up from a seed, with the faults that are asked for.

`options` is what it can be told, `directive` what a single request can tell it (`x_simulate`), `requests` what it
refuses, `text`, `answers`, `schema` and `dice` where its words come from, `chat`, `completions` and `embeddings` the shapes,
`reply` the pace at which they arrive, `upstream` the port.
"""

from askonce.upstreams.simulated.answers import read_answers
from askonce.upstreams.simulated.counters import Counters
from askonce.upstreams.simulated.directive import Directive, Fault
from askonce.upstreams.simulated.failures import refused
from askonce.upstreams.simulated.options import SimulatedModel, Simulation
from askonce.upstreams.simulated.reply import SimulatedReply
from askonce.upstreams.simulated.upstream import SimulatedUpstream

__all__ = [
    "Counters",
    "Directive",
    "Fault",
    "SimulatedModel",
    "SimulatedReply",
    "SimulatedUpstream",
    "Simulation",
    "read_answers",
    "refused",
]
