"""Whose a request is, and which requests are an owner's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Owner
from askonce.pipeline.users import Users
from fakes import CALLER, request

USERS = Users(b"secret")
KEY = "key:" + "ab12" * 16


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_name_is_one_hash_wherever_it_stands(name: str, other: str) -> None:
    """In each of the three fields, once; another name or another secret gives another."""
    mark = USERS.mark(name)
    assert USERS.of({"user": name}) == USERS.of({"safety_identifier": name}) == (mark,)
    assert USERS.of({"metadata": {"user_id": name}, "user": name}) == (mark,)
    assert USERS.of({"user": name, "safety_identifier": other}) == tuple(
        dict.fromkeys((mark, USERS.mark(other)))
    )
    assert (USERS.mark(other) == mark) == (name == other)
    assert Users(b"other").mark(name) != mark
    assert len(mark) == 16


@pytest.mark.parametrize(
    "body", [{}, {"user": ""}, {"user": None}, {"user": 7}, {"metadata": None}, {"metadata": {}}]
)
def test_whoever_names_nobody_has_no_hash(body: dict[str, object]) -> None:
    """Nothing is made up."""
    assert USERS.of(body) == ()


@pytest.mark.parametrize(
    ("owner", "tenant", "account"),
    [
        ("tenant:acme", "tenant:acme", "acme"),
        (KEY, KEY, "key:ab12ab12ab12"),
        (KEY[:16], KEY, "key:ab12ab12ab12"),
        (KEY[:16], f"{KEY}/north", "key:ab12ab12ab12/north"),
        (f"{KEY}/north", f"{KEY}/north", "key:ab12ab12ab12/north"),
    ],
)
def test_an_owners_own(owner: str, tenant: str, account: str) -> None:
    """By tenant, by the first digits of a credential's hash, with what is named under it; requests and accounts alike."""
    caller = replace(CALLER, tenant=tenant, label=tenant.removeprefix("tenant:"))
    assert caller.account == account
    asked = request(caller=caller)._replace(users=(b"u" * 16,))
    assert Owner(owner).asked(asked)
    assert Owner(owner, b"u" * 16).asked(asked)
    assert not Owner(owner, b"v" * 16).asked(asked)
    assert Owner(owner).pays(account)


@pytest.mark.parametrize(
    ("owner", "tenant"),
    [
        ("tenant:acme", "tenant:acme2"),
        ("tenant:acme", None),
        ("tenant:acme", f"{KEY}/acme"),
        (f"{KEY}/north", KEY),
        (f"{KEY}/north", f"{KEY}/northwest"),
        ("key:ab12ab12ab13", KEY),
    ],
)
def test_nobody_elses(owner: str, tenant: str | None) -> None:
    """Names that begin alike, callers without tenant, other credentials."""
    assert not Owner(owner).owns(tenant, ())
