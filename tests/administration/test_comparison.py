"""What is shown of a request whose texts may not be."""

from __future__ import annotations

from typing import Any

import pytest

from askonce.administration.comparison import shown

ASKED = {
    "model": "sim",
    "input": [[1212, 318, 257], [3200]],
    "temperature": 0.2,
    "logit_bias": {"50256": -100},
    "stream": False,
    "tools": [{"type": "function", "function": {"name": "secret"}}],
}


def test_texts_are_told_by_their_length_also_as_token_ids() -> None:
    """Keys, single numbers and switches are shown, whole where everything may be."""
    assert shown(ASKED, full=True) == ASKED
    assert shown(ASKED, full=False) == {
        "model": "sim",
        "input": [{"numbers": 3}, {"numbers": 1}],
        "temperature": 0.2,
        "logit_bias": {"50256": {"numbers": 1}},
        "stream": False,
        "tools": [{"type": "function", "function": {"name": {"characters": 6}}}],
    }


@pytest.mark.parametrize(
    ("name", "value", "said"), [("3", 1212, {"numbers": 1}), ("seed", 7, 7), ("0", True, True)]
)
def test_a_place_that_differs_is_no_token(name: str, value: Any, said: Any) -> None:
    """A number within a list isn't told, one with a name of its own is."""
    assert shown(value, full=False, name=name) == said
