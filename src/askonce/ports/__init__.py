"""The plug points: what the pipeline asks of upstreams, stores, indexes, embedders, clocks and observers."""

from askonce.ports.clock import Clock
from askonce.ports.jobs import BatchApi, JobStore, Postman
from askonce.ports.observers import Observer, Record
from askonce.ports.semantics import Embedder, EmbedderState, Embedding, Index
from askonce.ports.stores import Store, StoreHealth
from askonce.ports.upstreams import Upstream, UpstreamReply

__all__ = [
    "BatchApi",
    "Clock",
    "Embedder",
    "EmbedderState",
    "Embedding",
    "Index",
    "JobStore",
    "Observer",
    "Postman",
    "Record",
    "Store",
    "StoreHealth",
    "Upstream",
    "UpstreamReply",
]
