"""What audits leave behind for the next decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from askonce.model import Audit
from askonce.pipeline.records import Records

QUESTION, ANSWER = b"q" * 32, b"a" * 32
WRONG = Audit(
    feature="support",
    at=1.0,
    question=QUESTION,
    answer=ANSWER,
    request_id="",
    source="hit",
    judge="equality",
    right=False,
    propensity=1.0,
    probability=0.9,
    threshold=0.8,
    reason="match",
    evidence=None,
    engine="engine",
)


@pytest.mark.parametrize(("source", "pardoned"), [("hit", True), ("miss", True), ("feedback", False)])
def test_only_a_judge_pardons_what_was_refused(source: str, pardoned: bool) -> None:  # noqa: FBT001
    """A caller's kind word doesn't bring back a pair that was found wrong."""
    records = Records()
    records.add(WRONG)
    assert records.refused(QUESTION, ANSWER)
    records.add(replace(WRONG, source=source, right=True))
    assert records.refused(QUESTION, ANSWER) is not pardoned


def test_a_word_against_an_answer_refuses_it_whoever_says_it() -> None:
    """Feedback refuses at once."""
    records = Records()
    records.add(replace(WRONG, source="feedback"))
    assert records.refused(QUESTION, ANSWER)
    assert records.of(ANSWER).wrong == pytest.approx(0.9)
