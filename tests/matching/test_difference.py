"""Where two documents differ."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.difference import Difference, How, differences

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2).map(lambda x: x or 0.0)
    | st.text("ab~/", max_size=2)
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def applied(document: Any, found: list[Difference]) -> Any:
    """The document with each place made what the other one has there; list items go from their end."""
    root = {"": copy.deepcopy(document)}
    gone = [one for one in found if one.how is How.ONLY_ONE]
    for one in [*reversed(gone), *(one for one in found if one.how is not How.ONLY_ONE)]:
        keys = [key.replace("~1", "/").replace("~0", "~") for key in one.pointer.split("/")]
        place: Any = root
        for key in keys[:-1]:
            place = place[int(key)] if isinstance(place, list) else place[key]
        last: Any = int(keys[-1]) if isinstance(place, list) else keys[-1]
        if one.how is How.ONLY_ONE:
            del place[last]
        elif one.how is How.ORDER:
            place[last] = {key: place[last][key] for key in one.other}
        elif isinstance(place, list) and one.how is How.ONLY_OTHER:
            place.insert(min(last, len(place)), one.other)
        else:
            place[last] = one.other
    return root[""]


def ordered(document: Any) -> str:
    """The document's JSON; where keys come and go, their order says nothing."""
    return json.dumps(document, sort_keys=True)


@given(documents, documents)
def test_the_differences_lead_from_one_to_the_other(one: Any, other: Any) -> None:
    """Applied to one document they make the other, so that none is missing and none is wrong."""
    assert ordered(applied(one, list(differences(one, other)))) == ordered(other)


@given(documents, documents)
def test_there_are_none_exactly_where_both_are_the_same(one: Any, other: Any) -> None:
    """Byte for byte, the order of keys included."""
    assert (not list(differences(one, other))) == (json.dumps(one) == json.dumps(other))


@given(documents, documents)
def test_the_other_way_round_they_are_the_same_places(one: Any, other: Any) -> None:
    """Sides change places, nothing else does."""
    turned = {How.ONLY_ONE: How.ONLY_OTHER, How.ONLY_OTHER: How.ONLY_ONE}
    there = {(found.pointer, found.how) for found in differences(one, other)}
    back = {(found.pointer, turned.get(found.how, found.how)) for found in differences(other, one)}
    assert there == back


def test_places_are_named_by_their_pointers() -> None:
    """Keys with slashes and tildes included."""
    found = list(differences({"a/b": {"~": [1, 2]}, "c": 1}, {"a/b": {"~": [1, "2", 3]}, "c": 1}))
    assert found == [
        Difference("/a~1b/~0/1", How.VALUE, 2, "2"),
        Difference("/a~1b/~0/2", How.ONLY_OTHER, None, 3),
    ]
