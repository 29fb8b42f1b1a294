"""askonce.observe.tally: what is counted, and how often at most."""

from __future__ import annotations

from typing import Any

from askonce.model import Bypass, Exact, Fresh, Joined, Semantic, Usage
from askonce.observe.tally import Kind, Tallies
from askonce.ports import Charge, Record, Share

USAGE = Usage(100, 20, 60)


def record(**said: Any) -> Record:
    given: dict[str, Any] = {
        "request_id": "r", "endpoint": "chat/completions", "tenant": "acme", "feature": "default", "model": "m",
        "outcome": Fresh("miss"), "status": 200, "code": "", "duration_s": 1.0, "first_byte_s": 0.5, "overhead_s": 0.1,
        "usage": USAGE, "spent_nanousd": 5, "saved_nanousd": 0,
    }  # fmt: skip
    return Record(**{**given, **said})


def count(tallies: Tallies, told: Record, reason: str = "") -> None:
    name = "refused" if told.outcome is None else told.outcome.name
    tallies.count(Kind(told.endpoint, told.tenant, told.feature, name, reason, told.status), told)


def values(tallies: Tallies, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """A family's values by some of its labels."""
    [family] = [one for one in tallies.collect() if one.name == name]
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in family.samples}


def test_savings_are_told_by_what_saved_them() -> None:
    """Each outcome's layer, and what the provider took off its price: whoever asked first has that."""
    tallies = Tallies()
    for outcome, saved in (
        (Exact(b"e", 1, 2), 1_000_000_000),
        (Joined(), 2_000_000_000),
        (Semantic(b"e", 0.9, joined=False, age_s=1, ttl_s=2, reason="match"), 3_000_000_000),
        (Semantic(b"e", 0.9, joined=True, age_s=0, ttl_s=0, reason="match"), 4_000_000_000),
        (Fresh("miss"), 0),
        (Bypass("high-temperature"), 500_000_000),
    ):
        count(tallies, record(outcome=outcome, saved_nanousd=saved))
    shares = (Share("acme", "default", "fresh", 5, "acme"), Share("b", "default", "joined", 5, "b"))
    tallies.charged(Charge("c", 0, "up", "m", USAGE, USAGE, 10, 5_000_000_000, 6_000_000_000, shares))
    assert values(tallies, "askonce_saved_usd", "tenant", "layer") == {
        ("acme", "exact"): 1,
        ("acme", "inflight"): 2.5,
        ("acme", "semantic"): 7,
        ("acme", "prompt_cache"): 5,
        ("acme", "batch"): 6,
    }


def test_spending_is_who_pays() -> None:
    """By share; what nobody said the tokens of is the books' to reconcile, and in no sum here."""
    tallies = Tallies()
    shares = (
        Share("key:0123456789ab", "default", "fresh", 1_000_000_000, "pass-through"),
        Share("acme", "search", "audit", 2_000_000_000, "acme"),
    )
    charge = Charge("c", 0, "up", "m", USAGE, USAGE, 3_000_000_000, 0, 0, shares)
    tallies.charged(charge)
    tallies.charged(charge._replace(call="lost", usage=None))
    assert values(tallies, "askonce_spent_usd", "tenant", "feature", "outcome") == {
        ("pass-through", "default", "fresh"): 1,
        ("acme", "search", "audit"): 2,
    }


def test_tokens_of_the_prompt_cache_are_among_the_input() -> None:
    """And told again by themselves."""
    tallies = Tallies()
    count(tallies, record())
    count(tallies, record(outcome=None, status=400, code="invalid_json", usage=None))
    assert values(tallies, "askonce_tokens", "outcome", "kind") == {
        ("fresh", "input"): 100,
        ("fresh", "output"): 20,
        ("refused", "input"): 0,
        ("refused", "output"): 0,
    }
    assert values(tallies, "askonce_prompt_cached_tokens", "outcome") == {("fresh",): 60, ("refused",): 0}


def test_reasons_are_bounded() -> None:
    """An upstream that makes up a code for each answer makes no more than so many series; nothing goes uncounted."""
    tallies = Tallies()
    for number in range(20_000):
        count(tallies, record(outcome=None, status=400, code="x"), f"code-{number}")
    told = values(tallies, "askonce_requests", "reason")
    assert len(told) == 5_001
    assert sum(told.values()) == 20_000
    assert told["other",] == 15_000
