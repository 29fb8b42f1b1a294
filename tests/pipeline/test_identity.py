"""Who asks: keys of tenants, or credentials passed through."""

from __future__ import annotations

import hashlib

import pytest

from askonce.errors import Refusal
from askonce.pipeline.identity import Identity, Tenant

FEATURES = ("default", "search")
TENANTS = [
    Tenant("acme", (hashlib.sha256(b"k1").hexdigest(), hashlib.sha256(b"k2").hexdigest()), ("support",)),
    Tenant("other", (hashlib.sha256(b"k3").hexdigest(),), FEATURES),
]


def with_tenants() -> Identity:
    return Identity(TENANTS, FEATURES, bytes(32))


def passing_through(secret: bytes = bytes(32)) -> Identity:
    return Identity(None, FEATURES, secret)


def bearer(key: bytes) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + key}


def test_a_tenants_keys_are_known_by_their_digest() -> None:
    """Two keys of a tenant share its answers and features; the key itself goes nowhere."""
    one, two, other = (with_tenants().identify(bearer(key)) for key in (b"k1", b"k2", b"k3"))
    assert (one.tenant, one.label, one.features, one.credential) == (
        "tenant:acme",
        "acme",
        ("support",),
        None,
    )
    assert two.tenant == one.tenant
    assert two.identity != one.identity
    assert other.tenant != one.tenant


@pytest.mark.parametrize("headers", [{}, bearer(b""), bearer(b"  "), {b"authorization": b"Basic azE="}])
def test_with_tenants_a_key_is_needed(headers: dict[bytes, bytes]) -> None:
    """401 that says how to send one."""
    with pytest.raises(Refusal) as caught:
        with_tenants().identify(headers)
    assert (caught.value.status, caught.value.code) == (401, "missing_api_key")


def test_with_tenants_a_strange_key_is_refused_every_time() -> None:
    """401, and nothing of the key in the message."""
    identity = with_tenants()
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            identity.identify(bearer(b"stolen"))
        assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
        assert "stolen" not in caught.value.message


def test_a_passed_through_credential_is_its_own_tenant() -> None:
    """One credential, one tenant; another secret, other hashes; the credential travels on and is in no name."""
    ann, again, bob = (passing_through().identify(bearer(key)) for key in (b"sk-ann", b"sk-ann", b"sk-bob"))
    assert ann == again
    assert ann.tenant != bob.tenant
    assert ann.credential == "sk-ann"
    assert ann.features == FEATURES
    assert ann.label == bob.label == "pass-through"
    assert "sk-ann" not in str(ann.tenant)
    assert passing_through(bytes(31) + b"x").identify(bearer(b"sk-ann")).tenant != ann.tenant


def test_without_any_key_nothing_is_shared() -> None:
    """Passed through without credential: no tenant, so no cache is read or written."""
    assert passing_through().identify({}).tenant is None


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"bearer k1"},
        {b"authorization": b"Bearer   k1 "},
        {b"x-api-key": b"k1"},
        {b"api-key": b"k1"},
        {b"authorization": b"Basic xyz", b"x-api-key": b"k1"},
    ],
)
def test_keys_are_found_wherever_sdks_put_them(headers: dict[bytes, bytes]) -> None:
    """OpenAI's, Anthropic's and Azure's header; the scheme in any case."""
    assert with_tenants().identify(headers).label == "acme"


def test_a_request_may_name_its_tenant_but_not_anothers() -> None:
    """With tenants the name must be the key's own; passed through it narrows; without a tenant it changes nothing."""
    caller = with_tenants().identify(bearer(b"k1"))
    assert with_tenants().narrow(caller, "acme") is caller
    with pytest.raises(Refusal) as caught:
        with_tenants().narrow(caller, "other")
    assert (caught.value.status, caught.value.param) == (403, "tenant_id")
    passed = passing_through().identify(bearer(b"k"))
    narrowed = {passing_through().narrow(passed, name).tenant for name in ("a", "b")}
    assert len(narrowed | {passed.tenant}) == 3
    anonymous = passing_through().identify({})
    assert passing_through().narrow(anonymous, "a").tenant is None


def test_remembered_callers_are_bounded_in_number() -> None:
    """Credentials that callers make up take no lasting memory."""
    identity = passing_through()
    for number in range(5_000):
        identity.identify(bearer(b"%d" % number))
    assert len(identity._memo) <= 4_096


def code(identity: Identity, key: bytes) -> str:
    """The refusal's code; "" where the key is let in."""
    try:
        identity.identify(bearer(key))
    except Refusal as refusal:
        return refusal.code
    return ""


def test_issued_keys_count_beside_those_of_the_configuration() -> None:
    """At once, memos included; those of a tenant that isn't there count as soon as it is."""
    identity = with_tenants()
    issued = {hashlib.sha256(key).hexdigest(): tenant for key, tenant in ((b"n1", "acme"), (b"n2", "later"))}
    assert code(identity, b"n1") == "invalid_api_key"
    identity.issue(issued)
    assert [code(identity, key) for key in (b"n1", b"n2", b"k1")] == ["", "invalid_api_key", ""]
    assert identity.identify(bearer(b"n1")).tenant == "tenant:acme"
    identity.replace([Tenant("later", (), FEATURES)], FEATURES)
    assert [code(identity, key) for key in (b"n1", b"n2", b"k1")] == [
        "invalid_api_key",
        "",
        "invalid_api_key",
    ]
    identity.issue({})
    assert code(identity, b"n2") == "invalid_api_key"


def test_a_tenants_caller_without_its_key() -> None:
    """By name, with its features and scope; where credentials tell callers apart there are no names."""
    acme = with_tenants().of_tenant("acme")
    assert (acme.tenant, acme.features, acme.credential) == ("tenant:acme", ("support",), None)
    with pytest.raises(Refusal) as unknown:
        with_tenants().of_tenant("nobody")
    with pytest.raises(Refusal) as nameless:
        passing_through().of_tenant("acme")
    assert (unknown.value.code, nameless.value.code) == ("unknown_tenant", "no_tenants")
    assert with_tenants().tenants == frozenset({"acme", "other"})
    assert passing_through().tenants is None
