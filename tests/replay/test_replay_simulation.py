"""A log played against the layers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.config import loads
from askonce.embedders.packaged import packaged_verifier
from askonce.model import Endpoint, Usage
from askonce.replay import estimate
from askonce.replay.arrival import Arrival
from askonce.replay.latency import LatencyModel, fitted
from askonce.replay.meaning import Meaning
from askonce.replay.rules import Rules, without_configuration
from askonce.replay.scenario import Scenario, applied
from askonce.replay.simulation import Served, play
from askonce.replay.understanding import understand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.replay.simulation import Played
    from askonce.replay.traffic import Traffic

CONFIGURED = Scenario()
UPSTREAM = 'upstreams: [{name: u, type: simulated, models: ["*"]}]\n'


@functools.cache
def rules_of(yaml: str = "") -> Rules:
    return Rules(loads(UPSTREAM + yaml, "test", {})) if yaml else Rules(without_configuration())


def arrival(at: float, text: str = "hi", tenant: str = "a", **more: Any) -> Arrival:
    fields = {
        name: more.pop(name) for name in ("feature", "usage", "answer", "failed", "cost_usd") if name in more
    }
    duration_s = more.pop("duration_s", 2.0)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
    return Arrival(
        at=1e9 + at,
        tenant=tenant,
        feature=fields.pop("feature", ""),
        endpoint=Endpoint.CHAT,
        body=orjson.dumps(body),
        duration_s=duration_s,
        **fields,
    )


def played(
    arrivals: Sequence[Arrival],
    rules: Rules | None = None,
    scenario: Scenario = CONFIGURED,
) -> tuple[Traffic, Played]:
    rules = rules or rules_of()
    traffic = understand(arrivals, rules, pytest.fail)
    found = play(traffic, applied(scenario, rules, packaged_verifier().calibration), None)
    return traffic, found


def words(*arguments: Any, **more: Any) -> list[str]:
    _, found = played(*arguments, **more)
    return [Served(one).word for one in found.served.tolist()]


def test_a_repeated_request_joins_hits_and_expires() -> None:
    """While the call is under way it is joined, then stored, and gone when the TTL is over, counted from its answer."""
    arrivals = [arrival(at) for at in (0, 1.9, 2, 61.9, 62, 63)]
    assert words(arrivals, scenario=Scenario(ttl_s=60)) == [
        "fresh",
        "joined",
        "exact",
        "exact",
        "fresh",
        "joined",
    ]


def test_joined_callers_wait_for_the_rest() -> None:
    """Who joins waits as long as the call still takes."""
    _, found = played([arrival(0), arrival(1.5)])
    assert found.wait_s.tolist() == [0, 0.5]


def test_layers_left_out() -> None:
    """Without a layer its hits are calls, or another layer's."""
    arrivals = [arrival(0), arrival(1), arrival(3)]
    assert words(arrivals, scenario=Scenario(without=frozenset({"exact"}))) == ["fresh", "joined", "fresh"]
    assert words(arrivals, scenario=Scenario(without=frozenset({"inflight"}))) == ["fresh", "fresh", "exact"]


def test_the_first_of_several_calls_to_end_is_stored() -> None:
    """Where identical calls run side by side, the first answer is there for whoever asks next."""
    scenario = Scenario(without=frozenset({"inflight"}))
    assert words([arrival(0), arrival(1), arrival(2.5)], scenario=scenario) == ["fresh", "fresh", "exact"]


def test_tenants_share_nothing() -> None:
    """The same request of another tenant is another request."""
    assert words([arrival(0), arrival(5, tenant="b"), arrival(6)]) == ["fresh", "fresh", "exact"]


def test_scope_of_users() -> None:
    """With `scope: user` users share with themselves alone, and who isn't named shares with nobody."""
    rules = rules_of("defaults: {scope: user}")
    arrivals = [arrival(0, user="x"), arrival(5, user="y"), arrival(6, user="x"), arrival(7)]
    assert words(arrivals, rules) == ["fresh", "fresh", "exact", "bypass"]


def test_hot_requests_are_asked() -> None:
    """Above the policy's temperature nothing is stored; with the default policy nobody but a retry joins."""
    rules = rules_of("defaults: {max_temperature: 0.5}")
    arrivals = [arrival(0, temperature=0.9), arrival(1, temperature=0.9), arrival(9, temperature=0.9)]
    assert words(arrivals, rules) == ["bypass", "bypass", "bypass"]


def test_transport_fields_and_spelling_dont_matter() -> None:
    """Requests are the same where the gateway's canonical form is."""
    assert words([arrival(0, temperature=0), arrival(5, temperature=0.0, stream=True)]) == ["fresh", "exact"]


def test_failures_are_not_stored() -> None:
    """What failed in the log fails here: nobody is served from it."""
    assert words([arrival(0, failed=True), arrival(1), arrival(5)]) == ["fresh", "fresh", "exact"]


def test_logs_in_any_order() -> None:
    """Requests are played by time, whatever their order in the file."""
    assert words([arrival(5), arrival(0), arrival(1)]) == ["fresh", "joined", "exact"]


def test_models_that_nobody_serves_are_refused() -> None:
    """What the configuration's upstreams don't serve counts as refused, not as traffic."""
    rules = Rules(loads("upstreams: [{name: u, type: simulated, models: [other]}]", "test", {}))
    refused: list[str] = []
    traffic = understand([arrival(0)], rules, refused.append)
    assert (len(traffic), refused) == (0, ["the gateway would refuse it: model_not_found"])


class FixedMeaning(Meaning):
    """Says of texts what a table says."""

    def __init__(self, traffic: Traffic, alike: dict[str, str], probability: float) -> None:
        texts = [question.text for question in traffic.questions]
        self._alike = {texts.index(a): texts.index(b) for a, b in alike.items()}
        self._probability = probability

    def plays(self, question: int) -> bool:
        return question >= 0

    def added(self, question: int) -> None:
        """Words don't count here."""

    def likely(
        self,
        question: int,
        findable: Sequence[bool] | bytearray,
        threshold: float,
        floor: float,  # noqa: ARG002 - all are near
    ) -> Iterator[int]:
        other = self._alike.get(question)
        if other is not None and findable[other] and self._probability >= threshold:
            yield other

    def clears(self, question: int, probability: float, threshold: float) -> bool:  # noqa: ARG002 - for any question
        return probability >= threshold

    def probability(self, question: int, place: int) -> float:  # noqa: ARG002 - the same for all
        return self._probability


def equivalents(
    arrivals: Sequence[Arrival], scenario: Scenario = CONFIGURED, probability: float = 0.9999
) -> list[str]:
    rules = rules_of()
    traffic = understand(arrivals, rules, pytest.fail)
    meaning = FixedMeaning(traffic, {"two": "one"}, probability)
    found = play(traffic, applied(scenario, rules, packaged_verifier().calibration), meaning)
    return [Served(one).word for one in found.served.tolist()]


def test_equivalent_requests_join_hit_and_are_linked() -> None:
    """An equivalent answer is joined under way and served when stored; its repetitions hit by the link until it expires."""
    arrivals = [
        arrival(0, "one"),
        arrival(1, "two"),
        arrival(3, "two"),
        arrival(4, "two"),
        arrival(70, "two"),
    ]
    expected = ["fresh", "semantic-joined", "semantic", "semantic", "fresh"]
    assert equivalents(arrivals, Scenario(ttl_s=60)) == expected


def test_what_an_audit_confirms_can_be_found() -> None:
    """A hit whose logged answer is the one that it got is found by others in turn; one that got another isn't."""
    rules = rules_of()

    def third(own: str) -> str:
        arrivals = [arrival(0, "one", answer="yes"), arrival(3, "two", answer=own), arrival(6, "three")]
        traffic = understand(arrivals, rules, pytest.fail)
        meaning = FixedMeaning(traffic, {"two": "one", "three": "two"}, 0.9999)
        found = play(traffic, applied(Scenario(), rules, packaged_verifier().calibration), meaning)
        return Served(found.served[2]).word

    assert third("Yes.") == "semantic"
    assert third("no") == "fresh"


def test_budgets_decide() -> None:
    """What is probable enough for a budget of 5 % isn't for one of 1 %."""
    arrivals = [arrival(0, "one"), arrival(3, "two")]
    assert equivalents(arrivals, Scenario(error_budget=0.05), 0.985) == ["fresh", "semantic"]
    assert equivalents(arrivals, Scenario(error_budget=0.01), 0.985) == ["fresh", "fresh"]


def test_without_stored_answers_equivalents_are_only_joined() -> None:
    """With the exact layer off nothing is stored, for equivalents neither."""
    arrivals = [arrival(0, "one"), arrival(1, "two"), arrival(3, "two")]
    assert equivalents(arrivals, Scenario(without=frozenset({"exact"}))) == [
        "fresh",
        "semantic-joined",
        "fresh",
    ]


def test_wrong_hits_are_counted_where_answers_are_known() -> None:
    """A semantic hit whose own logged answer differs by more than form is counted."""
    rules = rules_of()
    arrivals = [
        arrival(0, "one", answer="Yes."),
        arrival(3, "two", answer="No"),
        arrival(4, "two", answer="yes"),
    ]
    traffic = understand(arrivals, rules, pytest.fail)
    meaning = FixedMeaning(traffic, {"two": "one"}, 0.9999)
    found = play(traffic, applied(Scenario(), rules, packaged_verifier().calibration), meaning)
    assert estimate.wrong(traffic, found) == estimate.Wrong(2, 1)


def test_money_is_exact() -> None:
    """Costs are the price table's, in nano-dollars; what a hit saves is what its own call would have cost."""
    usage = Usage(1_000, 100)
    traffic, found = played([arrival(0, usage=usage), arrival(5, usage=usage)])
    total = estimate.sums(traffic, found)
    assert (total.cost_nanousd, total.saved_nanousd) == (2 * 3_500_000, 3_500_000)


def test_sums_of_money_have_no_end() -> None:
    """A log whose costs are in the wrong unit is added up all the same."""
    traffic, found = played([arrival(5 * n, model="who", cost_usd=1e8 - 0.5) for n in range(300)])
    total = estimate.sums(traffic, found)
    assert total.cost_nanousd == 300 * (10**17 - 5 * 10**8)


def test_unknown_prices_are_unpriced() -> None:
    """Models without a price count as calls and in no sum; a cost that the log has is taken."""
    traffic, found = played([arrival(0, model="who"), arrival(5, model="who", cost_usd=0.25)])
    total = estimate.sums(traffic, found)
    assert (total.unpriced, total.saved_nanousd, total.calls_avoided) == (1, 250_000_000, 1)


def test_latency_is_fitted() -> None:
    """Durations that the log lacks are read off the line through the others."""
    tokens = np.arange(10.0, 110.0)
    model = fitted(0.4 + tokens / 50, tokens)
    assert model is not None
    assert model.first_token_s == pytest.approx(0.4, abs=0.01)
    assert model.tokens_per_s == pytest.approx(50, rel=0.01)
    assert fitted(np.full(100, 3.0), tokens) == LatencyModel(3.0, float("inf"), "the log's median")
    assert fitted(np.full(5, 3.0), tokens[:5]) is None


REQUESTS = st.lists(
    st.tuples(st.integers(0, 5_000), st.sampled_from("abcd"), st.sampled_from("xy"), st.booleans()),
    min_size=1,
    max_size=60,
)


def requests(drawn: list[tuple[int, str, str, bool]]) -> list[Arrival]:
    return [
        arrival(at, text, tenant, duration_s=7.0, failed=fails and at % 3 == 0)
        for at, text, tenant, fails in drawn
    ]


@settings(max_examples=30)
@given(REQUESTS)
def test_longer_ttls_avoid_more(drawn: list[tuple[int, str, str, bool]]) -> None:
    """With calls that all take as long and none that fails, a longer TTL never avoids fewer calls."""
    arrivals = [one._replace(failed=False) for one in requests(drawn)]
    avoided = [
        sum(word in {"exact", "joined"} for word in words(arrivals, scenario=Scenario(ttl_s=ttl_s)))
        for ttl_s in (10, 100, 1_000, 10_000)
    ]
    assert avoided == sorted(avoided)


@settings(max_examples=30)
@given(REQUESTS, st.floats(1, 10_000))
def test_there_are_never_more_hits_than_repeats(
    drawn: list[tuple[int, str, str, bool]], ttl_s: float
) -> None:
    """Each different request is asked at least once, and every request has exactly one outcome."""
    arrivals = requests(drawn)
    traffic, found = played(arrivals, scenario=Scenario(ttl_s=ttl_s))
    total = estimate.sums(traffic, found)
    different = len({(one.tenant, one.body) for one in arrivals})
    assert total.calls_avoided <= len(arrivals) - different
    assert sum(total.outcomes.values()) == total.requests == len(arrivals)


@settings(max_examples=30)
@given(REQUESTS)
def test_the_same_log_plays_the_same(drawn: list[tuple[int, str, str, bool]]) -> None:
    """Nothing but the log and the rules decides."""
    assert words(requests(drawn)) == words(requests(drawn))
