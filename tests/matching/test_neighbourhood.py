from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from askonce.matching.neighbourhood import Near, Record, neighbourhood

NEARS = st.lists(
    st.builds(
        Near,
        st.floats(-1, 1),
        st.floats(-20, 20),
        st.sampled_from([b"a", b"b", b"c"]),
        st.builds(Record, st.floats(0, 10), st.floats(0, 10)),
    ),
    max_size=10,
)


@given(NEARS)
def test_every_candidate_gets_finite_evidence(nears: list[Near]) -> None:
    """One row each, all numbers finite, whatever the neighbours."""
    found = neighbourhood(nears)
    assert len(found) == len(nears)
    assert np.isfinite(np.array(found)).all()


@given(NEARS, st.randoms())
def test_the_order_of_neighbours_does_not_matter(nears: list[Near], random: object) -> None:
    """Shuffled neighbours get the same evidence, each its own."""
    places = list(range(len(nears)))
    random.shuffle(places)  # type: ignore[attr-defined]
    before = neighbourhood(nears)
    after = neighbourhood([nears[place] for place in places])
    for row, place in enumerate(places):
        np.testing.assert_allclose(after[row], before[place], atol=1e-9)


def test_a_rival_near_by_lowers_the_margin_and_the_vote() -> None:
    """The same neighbour is less convincing beside one that holds another answer."""
    alone = neighbourhood([Near(0.9, 0.0, b"a"), Near(0.8, 0.0, b"a")])[0]
    rivalled = neighbourhood([Near(0.9, 0.0, b"a"), Near(0.88, 0.0, b"b")])[0]
    assert rivalled.margin < alone.margin
    assert rivalled.vote < alone.vote
    assert (alone.unanimous, rivalled.unanimous) == (1.0, 0.0)


def test_the_pair_margin_is_against_the_best_rival() -> None:
    """Holders of one answer share their best pair logit; rivals' is taken off."""
    found = neighbourhood([Near(0.9, 2.0, b"a"), Near(0.8, 3.0, b"a"), Near(0.7, 1.0, b"b")])
    assert [row.pair_margin for row in found] == [2.0, 2.0, -2.0]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=50))
def test_a_record_stays_bounded(verdicts: list[tuple[bool, float]]) -> None:
    """However many verdicts there are, a record forgets as it learns."""
    record = Record()
    for right, probability in verdicts:
        record = record.after(right=right, probability=probability)
    assert 0.0 <= record.right + record.wrong < 4.0


def test_what_was_believed_and_wrong_is_suspect_at_once() -> None:
    """After ten right verdicts one confident wrong one makes an answer suspect, an unbelieved one hardly."""
    record = Record()
    for _ in range(10):
        record = record.after(right=True, probability=0.9)
    shares = [
        neighbourhood([Near(0.9, 0.0, b"a", record.after(right=False, probability=chance))])[0].suspect
        for chance in (0.95, 0.05)
    ]
    assert shares[0] > 0.2
    assert shares[1] < 0.05
