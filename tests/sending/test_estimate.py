"""What a request is taken to take before anybody has counted."""

from __future__ import annotations

import pytest

from askonce.model import Endpoint
from askonce.sending.estimate import estimated_tokens
from fakes import request


def tokens(**fields: object) -> int:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "x" * 400}], **fields}
    return estimated_tokens(request(body=body).ask)


def test_it_counts_text_and_what_the_answer_may_have() -> None:
    """A quarter of the bytes, and the limit on each choice, or a usual answer's length where there is none."""
    prompt = tokens(max_tokens=1) - 1
    assert 100 <= prompt <= 140
    assert tokens(max_tokens=500, n=2) - tokens(max_tokens=1) == pytest.approx(999, abs=5)
    assert tokens() - prompt == pytest.approx(256, abs=10)
    embedding = request(endpoint=Endpoint.EMBEDDINGS, body={"model": "gpt", "input": "x" * 400})
    assert 100 <= estimated_tokens(embedding.ask) <= 120


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": -1_000_000},
        {"n": -5},
        {"max_tokens": 1e308, "n": 100},
        {"max_tokens": 10**30},
        {"max_completion_tokens": -(10**30), "n": 1e300},
        {"max_tokens": 10**400, "n": 1.5},
    ],
)
def test_no_number_that_a_caller_makes_up_leads_astray(fields: dict[str, float]) -> None:
    """Never less than one, so that nobody's limit is filled up by it, and never more than any answer has."""
    assert 1 <= tokens(**fields) <= 10_001_000
