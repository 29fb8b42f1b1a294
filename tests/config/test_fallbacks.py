"""Stand-ins, several keys, retries and breakers in the configuration."""

from __future__ import annotations

import pytest

from askonce.config import ConfigError, OpenAIUpstream, loads

UPSTREAMS = """\
upstreams:
  - {name: one, base_url: "http://one/v1", models: ["gpt-*"], aliases: {cheap: gpt-mini}}
  - {name: two, base_url: "http://two/v1", models: ["llama*"], api_key: k, aliases: {small: llama-s}}
  - {name: three, base_url: "http://three/v1", models: ["mistral"]}
"""
TENANTS = f'tenants: [{{name: acme, keys: ["sha256:{"1" * 64}"]}}]\n'


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "askonce.yaml", {})
    return str(caught.value)


def test_stand_ins_are_read_in_order() -> None:
    """By pattern; without a model, the asked one."""
    found = loads(
        UPSTREAMS
        + "fallbacks:\n  gpt-*: [{upstream: two, model: small}, {upstream: one, model: gpt-mini}]\n",
        "askonce.yaml",
        {},
    )
    assert [(one.upstream, one.model) for one in found.fallbacks["gpt-*"]] == [
        ("two", "small"),
        ("one", "gpt-mini"),
    ]


@pytest.mark.parametrize(
    ("stand_ins", "expected"),
    [
        ("gpt-4: [{upstream: twoo, model: llama}]", 'fallbacks.gpt-4[0].upstream: no upstream has this name; did you mean "two"?'),
        ("gpt-4: [{upstream: two, model: gpt-4}]", "fallbacks.gpt-4[0].model: this upstream doesn't serve this model"),
        ("gpt-4: [{upstream: one}]", "fallbacks.gpt-4[0]: would ask what was asked before"),
        ("cheap: [{upstream: one, model: gpt-mini}]", "fallbacks.cheap[0]: would ask what was asked before"),
        (
            "gpt-4: [{upstream: two, model: small}, {upstream: two, model: llama-s}]",
            "fallbacks.gpt-4[1]: would ask what was asked before",
        ),
        ("gpt-4: [{upstream: three, model: mistral}]", "fallbacks.gpt-4[0].upstream: a caller's own key never goes to a stand-in"),
        ("gpt-4: []", "fallbacks.gpt-4: must have at least one item"),
    ],
)  # fmt: skip
def test_stand_ins_that_make_no_sense_are_refused_with_their_line(stand_ins: str, expected: str) -> None:
    """Unknown names, models that aren't served, circles, and keys that must not travel."""
    assert complaint(UPSTREAMS + "fallbacks:\n  " + stand_ins).startswith(f"askonce.yaml:6: {expected}")


def test_with_tenants_a_stand_in_needs_no_key() -> None:
    """Callers' keys are the gateway's own there: they reach no upstream at all."""
    text = UPSTREAMS + TENANTS + "fallbacks: {gpt-4: [{upstream: three, model: mistral}]}\n"
    assert loads(text, "askonce.yaml", {}).fallbacks["gpt-4"][0].upstream == "three"


def test_another_model_of_the_same_upstream_may_have_the_callers_key() -> None:
    """It was meant for that upstream."""
    text = UPSTREAMS + "fallbacks: {gpt-4: [{upstream: one, model: gpt-mini}]}\n"
    assert loads(text, "askonce.yaml", {}).fallbacks["gpt-4"][0].model == "gpt-mini"


def test_keys_are_given_in_one_way() -> None:
    """One, or several that differ; no sentence repeats them."""
    one = 'upstreams: [{name: one, base_url: "http://one/v1", '
    found = loads(one + "api_keys: [sk-a, sk-b]}]", "askonce.yaml", {}).upstreams[0]
    assert isinstance(found, OpenAIUpstream)
    assert [key.get_secret_value() for key in found.keys] == ["sk-a", "sk-b"]
    assert found.presents_own_key
    for wrong, expected in (
        ("api_keys: [sk-a, sk-a]", "must not name a key twice"),
        ("api_key: sk-a, api_keys: [sk-b]", "give either api_key or api_keys"),
    ):
        said = complaint(one + wrong + "}]")
        assert expected in said
        assert "sk-" not in said


def test_retries_and_breakers_have_their_defaults() -> None:
    """As the reference names them."""
    found = loads(UPSTREAMS, "askonce.yaml", {}).upstreams[0]
    assert found.retries.model_dump() == {
        "attempts": 2, "base_s": 0.25, "cap_s": 8.0, "share": 0.2, "floor": 10,
    }  # fmt: skip
    assert found.breaker.model_dump() == {
        "failures": 5, "share": 0.5, "least_calls": 20, "window_s": 30.0, "probe_interval_s": 5.0,
    }  # fmt: skip
