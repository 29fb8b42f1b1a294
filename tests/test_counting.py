"""Which requests the rate of wrong answers among all is a rate of."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from askonce.gateway import Gateway, Parts
from askonce.model import Bypass, Exact, Fresh, Joined, Semantic, SemanticMode
from askonce.pipeline.equivalence import Equivalence
from askonce.pipeline.split import CostPolicy
from fakes import request

if TYPE_CHECKING:
    from askonce.model import Outcome, Request
    from askonce.pipeline.cases import Told

ENTRY = b"e" * 32


class Counts:
    """Budgets, audits and tier at once, as far as counting goes."""

    def __init__(self) -> None:
        self.missed_of: list[str] = []
        self.served_of: list[tuple[str, bytes, Told]] = []

    def applies(self, asked: Request) -> bool:
        return asked.policy.semantic is not SemanticMode.OFF

    def missed(self, feature: str) -> None:
        self.missed_of.append(feature)

    def served(self, _: Request, request_id: str, entry: bytes, told: Told) -> None:
        self.served_of.append((request_id, entry, told))


class Sent:
    """A reply that has begun."""

    answer = None
    allotment = None
    seat = None

    def __init__(self, outcome: Outcome, asked: Request) -> None:
        self.outcome, self.request = outcome, asked


def serve(outcome: Outcome, **policy: Any) -> tuple[Counts, Sent]:
    counts: Any = Counts()
    nothing = cast("Any", None)
    equivalence = Equivalence(
        counts, budgets=counts, links=nothing, audits=counts, store=nothing, clock=nothing
    )
    named = dict.fromkeys(Parts.__dataclass_fields__, nothing) | {
        "equivalence": equivalence,
        "audits": counts,
        "fetcher": SimpleNamespace(policy=CostPolicy.LEADER),
    }
    sent: Any = Sent(outcome, request(**({"semantic": SemanticMode.ON} | policy)))
    Gateway(Parts(**named)).served(sent, "r1")
    return counts, sent


@pytest.mark.parametrize(
    "outcome", [Fresh("match-gone"), Fresh("low-confidence"), Joined(), Bypass("high-temperature")], ids=str
)
def test_every_answer_of_the_upstream_is_a_request_among_all(outcome: Outcome) -> None:
    """Also one whose match was gone, and one that was shared by identical requests: each caller counts."""
    counts, _ = serve(outcome)
    assert (counts.missed_of, counts.served_of) == (["default"], [])


@pytest.mark.parametrize("joined", [False, True])
def test_an_equivalent_answer_counts_as_a_hit(joined: bool) -> None:  # noqa: FBT001
    """With what its caller is sent, to be judged by."""
    outcome = Semantic(ENTRY, 0.99, joined=joined, age_s=0, ttl_s=0, reason="match")
    counts, sent = serve(outcome)
    assert counts.missed_of == []
    assert counts.served_of == [("r1", ENTRY, sent)]


@pytest.mark.parametrize(
    "policy", [{"semantic": SemanticMode.OFF}, {"read": False}, {"store": False}], ids=str
)
def test_what_the_tier_has_nothing_to_do_with_does_not_count(policy: dict[str, Any]) -> None:
    """Neither requests that don't look for stored answers, nor exact repetitions."""
    assert serve(Fresh("miss"), **policy)[0].missed_of == []
    assert serve(Exact(ENTRY, 0, 0))[0].missed_of == []
