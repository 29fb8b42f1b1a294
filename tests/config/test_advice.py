"""Warnings: what is allowed, but perhaps not meant."""

from __future__ import annotations

import pytest

from askonce.config import loads, warnings
from config.samples import HASHES

KEYED = "upstreams: [{name: openai, base_url: 'https://api.openai.com/v1', api_key: sk-secret}]\n"
KEYLESS = "upstreams: [{name: vllm, base_url: 'http://127.0.0.1:8000/v1'}]\n"
OPEN = "listen: 0.0.0.0:8080\n"
KEPT = "store: sqlite:askonce.db\n"
TENANTS = f"tenants: [{{name: acme, keys: ['{HASHES[0]}']}}]\n"


def warned(text: str) -> str:
    return "\n".join(warnings(loads(text, "askonce.yaml", {})))


@pytest.mark.parametrize(
    "text",
    [
        KEYED + KEPT,
        KEYED + KEPT + TENANTS + OPEN,
        KEYLESS + KEPT + OPEN,
        KEYLESS + KEPT + TENANTS,
        KEYED + KEPT + "features: {support: {semantic: on}}",
        KEYED + KEPT + "embedder: {type: none}\ndefaults: {semantic: off}",
    ],
)
def test_ordinary_configurations_are_quiet(text: str) -> None:
    """A warning that is always there is read by nobody."""
    assert warned(text) == ""


@pytest.mark.parametrize("key", ["api_key: sk-secret", "headers: {Authorization: Bearer sk-secret}"])
def test_an_open_purse_is_pointed_out(key: str) -> None:
    """A key of the gateway's own, no tenants, and an address that others can reach."""
    upstream = f"upstreams: [{{name: openai, base_url: 'https://api.openai.com/v1', {key}}}]\n"
    assert warned(upstream + KEPT + OPEN) == (
        "anyone who can reach 0.0.0.0:8080 can spend the key of upstream openai; configure tenants"
    )


def test_a_forgetful_store_is_pointed_out() -> None:
    """`memory:` is the default, and loses everything at restart."""
    assert warned(KEYED) == "store memory: loses every answer at restart; use sqlite:///path to keep them"


def test_missing_credentials_are_pointed_out() -> None:
    """With tenants, callers present the gateway's keys, which a provider doesn't know."""
    upstream = "upstreams: [{name: openai, base_url: 'https://api.openai.com/v1'}]\n"
    assert "upstream openai has no api_key" in warned(upstream + KEPT + TENANTS)


def test_unused_features_are_pointed_out() -> None:
    """With tenants, a feature that none of them may name has no effect."""
    assert warned(KEYED + KEPT + TENANTS + "features: {support: }") == (
        "feature support is configured, but no tenant uses it"
    )


def test_matching_without_an_embedder_is_pointed_out() -> None:
    """A feature asks for what is turned off everywhere."""
    found = warned(KEYED + KEPT + "embedder: {type: none}\nfeatures: {support: {semantic: on}}")
    assert found == "support asks for semantic matching, which embedder type none turns off"


def test_hits_that_nobody_checks_are_pointed_out() -> None:
    """Serving semantic hits with callers' own keys means no audits, unless that is wanted."""
    found = warned(KEYLESS + KEPT + "features: {support: {semantic: on}}")
    assert found.startswith("semantic hits of upstream vllm are not audited")
    assert warned(KEYLESS + KEPT + "defaults: {semantic: on}\naudit: {pass_through: on}") == ""
    assert warned(KEYLESS + KEPT + TENANTS + "defaults: {semantic: on}") == ""
