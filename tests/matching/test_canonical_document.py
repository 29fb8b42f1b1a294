"""The canonical form as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.canonical import canonical, document, read
from askonce.matching.difference import differences
from askonce.model import Endpoint

if TYPE_CHECKING:
    from askonce.matching.canonical import Canonical

texts = st.text('?"\\ab{}:\n', max_size=8)
bodies = st.builds(
    lambda system, text, parts, schema: {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": [{"type": "text", "text": text}] if parts else text},
        ],
        **({"tools": [{"function": {"parameters": dict.fromkeys(schema, 1)}}]} if schema else {}),
    },
    texts,
    texts,
    st.booleans(),
    st.permutations("ab") | st.just([]),
)


def form(body: Any) -> Canonical:
    return canonical(Endpoint.CHAT, read(orjson.dumps(body))[1], "m")


@given(bodies)
def test_the_text_stands_in_its_place(body: Any) -> None:
    """Whatever quotes, backslashes and question marks are around it: the messages are as they came."""
    assert document(form(body))["messages"] == body["messages"]


@given(bodies, bodies)
def test_documents_differ_exactly_where_forms_do(one: Any, other: Any) -> None:
    """What keeps two requests apart can be shown, the order of a schema's keys included; what doesn't, never is."""
    found = list(differences(document(form(one)), document(form(other))))
    assert (not found) == (form(one) == form(other))
