"""How limits of tenants and features are written, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from askonce.config import Bound, ConfigError, loads, warnings
from askonce.pipeline.allowances import DAILY, REQUESTS, Rulebook, Rules, Whose
from askonce.pipeline.allowances import Bound as Limit
from askonce.wiring.allowances import rulebook
from config.samples import HASHES

if TYPE_CHECKING:
    from askonce.config import Settings

UPSTREAM = "upstreams: [{type: simulated}]\n"


def settings(text: str) -> Settings:
    return loads(UPSTREAM + text, "askonce.yaml", {})


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    return str(caught.value)


def test_a_number_is_a_hard_limit() -> None:
    """A mapping names the soft one, the hard one, or both."""
    found = settings(
        """default_tenant:
  limits:
    requests_per_minute: 60
    tokens_per_minute: {soft: 100, hard: 200}
    usd_per_day: {soft: 0.5}
"""
    ).default_tenant.limits
    assert found is not None
    assert found.requests_per_minute == Bound(None, 60)
    assert found.tokens_per_minute == Bound(100, 200)
    assert found.usd_per_day == Bound(0.5, None)
    assert found.usd_per_month is None
    assert not found.count_hits


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("requests_per_minute: 0", "must be a whole number above zero"),
        ("requests_per_minute: 1.5", "must be a whole number above zero"),
        ("requests_per_minute: on", "must be a whole number above zero"),
        ("requests_per_minute: 9999999999999", "must be a whole number above zero"),
        ("usd_per_day: -1", "must be a number of dollars above zero"),
        ("usd_per_day: 5 USD", "must be a number of dollars above zero"),
        ("usd_per_day: {}", "must be a number, or {soft: …, hard: …} with at least one of them"),
        ("usd_per_day: {hart: 5}", 'usd_per_day.hart: unknown key; did you mean "hard"?'),
        ("usd_per_day: {soft: 6, hard: 5}", "soft must not be above hard"),
        ("usd_per_dya: 5", 'unknown key; did you mean "usd_per_day"?'),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(limit: str, sentence: str) -> None:
    """Never guessed at."""
    said = complaint(f"default_tenant:\n  limits:\n    {limit}\n")
    assert sentence in said
    assert "line 4" in said or "askonce.yaml:4" in said


def test_limits_of_features_that_are_not_there_are_refused() -> None:
    """Of no feature at all, or of one that the tenant can't name."""
    tenant = f"tenants: [{{name: acme, keys: ['{HASHES[0]}'], feature_limits: {{b: {{}}}}}}]\n"
    assert "not one of this tenant's features" in complaint(f"features: {{b: {{}}}}\n{tenant}")
    assert 'not one of the "features"' in complaint("default_tenant: {feature_limits: {c: {}}}\n")


def test_limits_are_inherited_whole() -> None:
    """A tenant with limits of its own has none of the general ones; an empty mapping lifts them; so for features."""
    found = rulebook(
        settings(
            f"""
tenants:
  - {{name: acme, keys: ['{HASHES[0]}'], features: [a, b]}}
  - {{name: zeta, keys: ['{HASHES[1]}'], features: [a], limits: {{usd_per_day: 2}}, feature_limits: {{a: {{}}}}}}
  - {{name: free, keys: ['{HASHES[2]}'], features: [b], limits: {{}}}}
default_tenant:
  limits: {{requests_per_minute: 60}}
  feature_limits: {{a: {{requests_per_minute: 6}}}}
defaults: {{limits: {{requests_per_minute: 1000}}}}
features:
  a: {{limits: {{usd_per_day: 0.5, count_hits: on}}}}
  b: {{}}
"""
        )
    )

    def held_to(tenant: str, feature: str) -> dict[Whose, Rules]:
        return dict(found.of(tenant, feature))

    general, part = Rules({REQUESTS: Limit(None, 60)}), Rules({REQUESTS: Limit(None, 6)})
    half = Rules({DAILY: Limit(None, 500_000_000)}, count_hits=True)
    thousand = Rules({REQUESTS: Limit(None, 1_000)})
    assert held_to("acme", "a") == {
        Whose("acme", ""): general,
        Whose("acme", "a"): part,
        Whose("", "a"): half,
    }
    assert held_to("acme", "b") == {Whose("acme", ""): general, Whose("", "b"): thousand}
    two = Rules({DAILY: Limit(None, 2_000_000_000)})
    assert held_to("zeta", "a") == {Whose("zeta", ""): two, Whose("", "a"): half}
    assert held_to("free", "b") == {Whose("", "b"): thousand}


def test_without_tenants_the_general_limits_are_each_credentials() -> None:
    """In all features, and in single ones."""
    found = rulebook(
        settings(
            "features: {a: {}}\ndefault_tenant: {limits: {usd_per_day: 1}, feature_limits: {a: {requests_per_minute: 3}}}\n"
        )
    )
    assert [whose for whose, _ in found.of("key:1", "a")] == [Whose("key:1", ""), Whose("key:1", "a")]
    assert [whose for whose, _ in found.of("key:1", "default")] == [Whose("key:1", "")]
    assert settings("") is not None
    assert rulebook(settings("")) == Rulebook()


def test_budgets_that_are_forgotten_deserve_a_second_look() -> None:
    """Where no books outlive a restart."""
    budget = "default_tenant: {limits: {usd_per_day: 1}}\n"
    assert any("keeps no books" in one for one in warnings(settings(budget)))
    unrecorded = settings(f"{budget}store: sqlite:a.db\nledger: {{record: off}}\n")
    assert any("ledger.record is off" in one for one in warnings(unrecorded))
    assert not any("begin anew" in one for one in warnings(settings(f"{budget}store: sqlite:a.db\n")))


def test_the_documentations_example_is_a_configuration() -> None:
    """With a key in the place of the dots; everybody whom it names is held to something."""
    page = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    book = rulebook(settings(example.replace("sha256:…", HASHES[0])))
    named = {whose for whose, _ in book.named()}
    assert named == {Whose("acme", ""), Whose("acme", "search"), Whose("", "support")}
