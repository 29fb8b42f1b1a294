"""The plug points: what the pipeline asks of upstreams, stores, indexes, embedders, clocks, observers and the ledger."""

from askonce.ports.clock import Clock
from askonce.ports.jobs import BatchApi, JobStore, Postman
from askonce.ports.ledger import Act, Books, CallEntry, Latency, Ledger, Span, Sums, TopQuestion
from askonce.ports.observers import MATCH, Charge, Observer, Record, Share, UpstreamCall
from askonce.ports.selection import Kept, Listed, Selection
from askonce.ports.semantics import Embedder, EmbedderState, Embedding, Index
from askonce.ports.stores import Erased, Store, StoreHealth
from askonce.ports.upstreams import Upstream, UpstreamReply

__all__ = [
    "MATCH",
    "Act",
    "BatchApi",
    "Books",
    "CallEntry",
    "Charge",
    "Clock",
    "Embedder",
    "EmbedderState",
    "Embedding",
    "Erased",
    "Index",
    "JobStore",
    "Kept",
    "Latency",
    "Ledger",
    "Listed",
    "Observer",
    "Postman",
    "Record",
    "Selection",
    "Share",
    "Span",
    "Store",
    "StoreHealth",
    "Sums",
    "TopQuestion",
    "Upstream",
    "UpstreamCall",
    "UpstreamReply",
]
