"""The pair model: what its arithmetic keeps, whatever its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askonce.embedders.packaged import packaged_verifier
from askonce.matching.aligner import Aligner, closeness
from askonce.model import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 64
_TOLERANCE = 2e-3


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return packaged_verifier().aligner


def _tokens(seed: int, count: int) -> Tokens:
    random = np.random.default_rng(seed)
    states = random.normal(size=(count, _WIDTH))
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    return Tokens(
        random.integers(1_000, 1_040, count).astype(np.uint16), np.rint(states * 127).astype(np.int8)
    )


_some_tokens = st.builds(_tokens, st.integers(0, 10_000), st.integers(0, 30))
_similarity = st.floats(-1, 1, width=32)


def _logits(aligner: Aligner, asked: Tokens, stored: list[Tokens], similarity: float) -> NDArray[np.float32]:
    return aligner.logits(asked, stored, np.full(len(stored), similarity, np.float32))


@settings(max_examples=40)
@given(one=_some_tokens, other=_some_tokens, similarity=_similarity)
def test_the_order_of_the_two_questions_does_not_matter(
    aligner: Aligner, one: Tokens, other: Tokens, similarity: float
) -> None:
    """Asking A against stored B says the same as asking B against stored A."""
    forward = _logits(aligner, one, [other], similarity)
    backward = _logits(aligner, other, [one], similarity)
    assert forward == pytest.approx(backward, abs=_TOLERANCE)


@settings(max_examples=40)
@given(asked=_some_tokens, stored=st.lists(_some_tokens, min_size=1, max_size=6), similarity=_similarity)
def test_a_candidate_is_judged_alike_whoever_stands_beside_it(
    aligner: Aligner, asked: Tokens, stored: list[Tokens], similarity: float
) -> None:
    """Candidates are padded to the longest of them; padding changes nothing."""
    together = _logits(aligner, asked, stored, similarity)
    alone = [_logits(aligner, asked, [each], similarity)[0] for each in stored]
    assert together == pytest.approx(np.array(alone), abs=_TOLERANCE)


@settings(max_examples=40)
@given(tokens=_some_tokens, similarity=_similarity)
def test_every_logit_is_a_number(aligner: Aligner, tokens: Tokens, similarity: float) -> None:
    """Neither single tokens nor states of nothing but zeros, nor a cosine of 1, make infinities."""
    nothing = Tokens(tokens.ids, np.zeros_like(tokens.states))
    for stored in (tokens, nothing):
        assert np.isfinite(_logits(aligner, tokens, [stored], similarity)).all()
    assert np.isfinite(_logits(aligner, tokens, [tokens], 1.0)).all()


@settings(max_examples=40)
@given(seed=st.integers(0, 1_000), count=st.integers(0, 40))
def test_projected_states_are_unit_vectors_in_bytes(aligner: Aligner, seed: int, count: int) -> None:
    """What is kept of a token is its direction, to within the rounding of a byte."""
    states = np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)
    kept = aligner.project(states)
    assert kept.shape == (count, _WIDTH)
    assert kept.dtype == np.int8
    assert np.linalg.norm(kept.astype(float), axis=1) == pytest.approx(127.0, abs=4.0)


def test_nothing_projects_to_nothing(aligner: Aligner) -> None:
    """States of zeros stay zeros: no division by their length."""
    assert not aligner.project(np.zeros((3, 384), np.float32)).any()


def test_closeness_grows_with_the_cosine_and_ends() -> None:
    """High similarities are told apart, and identical vectors are not infinitely close."""
    levels = closeness(np.array([0.0, 0.5, 0.9, 0.99, 0.9999, 1.0], np.float32))
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == pytest.approx(0.0)
    assert levels[-1] == pytest.approx(-np.log(1e-3))


def test_missing_arrays_are_named(aligner: Aligner) -> None:
    """A weights file that lacks an array is refused by that array's name."""
    with pytest.raises(KeyError, match="projection"):
        Aligner.of({"sharpness": np.ones((), np.float32)})
    assert aligner.sharpness.shape == ()
