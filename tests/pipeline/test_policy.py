"""Headers tighten a feature's policy, and never loosen it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Refusal
from askonce.model import Lane, Policy
from askonce.pipeline.policy import Policies
from fakes import CALLER, POLICY

TWO = replace(CALLER, features=("default", "search"))
POLICIES = Policies({"default": POLICY, "search": replace(POLICY, feature="search"), "secret": POLICY})


def of(**headers: str) -> Policy:
    sent = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in headers.items()}
    return POLICIES.of(TWO, sent)


def test_the_first_feature_is_the_default() -> None:
    """Without a header the key's first feature counts; with one, the one that it names."""
    assert of() is POLICY
    assert of(x_askonce_feature=" search ").feature == "search"


def test_a_feature_that_the_key_does_not_have_is_refused() -> None:
    """403, with the features that it has, whether the other exists or not."""
    for name in ("secret", "no-such", ""):
        with pytest.raises(Refusal, match="default, search") as caught:
            of(x_askonce_feature=name)
        assert (caught.value.status, caught.value.code) == (403, "feature_not_allowed")


def test_cache_control_is_read_as_http_has_it() -> None:
    """Several directives, any case, quotes, unknown ones; of two ages the smaller."""
    policy = of(cache_control='No-Store, no-cache , x-y="z", max-age="60", only-if-cached, max-age=90')
    assert (policy.store, policy.read, policy.only_if_cached, policy.max_age_s) == (False, False, True, 60)
    assert of(cache_control="no-transform") == POLICY


def test_a_timeout_can_only_get_shorter() -> None:
    """The smaller of the policy's and the header's."""
    assert of(x_askonce_timeout="2.5").timeout_s == 2.5
    assert of(x_askonce_timeout="1000").timeout_s == POLICY.timeout_s


def test_tags_may_be_in_any_script() -> None:
    """A header's bytes are UTF-8, so that the administrator who invalidates `größe` names the same tag."""
    policies = Policies({"default": POLICY})
    assert policies.of(CALLER, {b"x-askonce-tags": "größe".encode()}).tags == ("größe",)
    assert policies.of(CALLER, {b"x-askonce-tags": "größe".encode("latin-1")}).tags == ("größe",)


def test_a_lane_is_only_ever_a_slower_one() -> None:
    """A caller may say that it isn't in a hurry; it can't overtake what its feature's policy allows."""
    assert of().lane is Lane.INTERACTIVE
    assert of(x_askonce_lane="Relaxed").lane is Lane.RELAXED
    patient = Policies({"default": replace(POLICY, lane=Lane.RELAXED)})
    assert patient.of(CALLER, {b"x-askonce-lane": b"interactive"}).lane is Lane.RELAXED
    assert patient.of(CALLER, {b"x-askonce-lane": b"batch"}).lane is Lane.BATCH


def test_tags_are_cut_at_commas_and_counted_once() -> None:
    """Spaces and repetitions go."""
    assert of(x_askonce_tags=" a, b,a,,").tags == ("a", "b")


@pytest.mark.parametrize(
    "headers",
    [
        {"cache_control": "max-age"},
        {"cache_control": "max-age=-1"},
        {"cache_control": "max-age=soon"},
        {"x_askonce_timeout": "nan"},
        {"x_askonce_timeout": "inf"},
        {"x_askonce_timeout": ""},
        {"x_askonce_tags": ",".join(map(str, range(17)))},
        {"x_askonce_tags": "x" * 129},
        {"x_askonce_lane": "express"},
    ],
)
def test_headers_that_say_nothing_are_refused(headers: dict[str, str]) -> None:
    """400, before anything is spent."""
    with pytest.raises(Refusal) as caught:
        of(**headers)
    assert (caught.value.status, caught.value.code) == (400, "invalid_header")


DIRECTIVES = st.lists(
    st.sampled_from(
        ["no-cache", "no-store", "only-if-cached", "max-age=5", "max-age=0", "max-stale", "public", "=", ""]
    )
)
BASES = st.builds(
    lambda timeout_s, read, store: replace(POLICY, timeout_s=timeout_s, read=read, store=store),
    st.floats(0, 1_000),
    st.booleans(),
    st.booleans(),
)


@given(BASES, DIRECTIVES, st.floats(0, 1e6), st.lists(st.text("abc", max_size=3), max_size=5))
def test_headers_only_tighten(base: Policy, directives: list[str], timeout_s: float, tags: list[str]) -> None:
    """Whatever is sent: no more is read, kept, waited for or shared than the feature allows; all else is unchanged."""
    headers = {
        b"cache-control": ",".join(directives).encode(),
        b"x-askonce-timeout": repr(timeout_s).encode(),
        b"x-askonce-tags": ",".join(tags).encode(),
    }
    policy = Policies({"default": base}).of(CALLER, headers)
    assert policy.read <= base.read
    assert policy.store <= base.store
    assert policy.timeout_s <= base.timeout_s
    assert policy.only_if_cached >= base.only_if_cached
    assert base.max_age_s is None or (policy.max_age_s is not None and policy.max_age_s <= base.max_age_s)
    touched = {"read", "store", "timeout_s", "only_if_cached", "max_age_s", "tags"}
    for field in fields(Policy):
        if field.name not in touched:
            assert getattr(policy, field.name) == getattr(base, field.name)
