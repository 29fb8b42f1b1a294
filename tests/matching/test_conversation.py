"""Which questions lean on earlier turns."""

from __future__ import annotations

import pytest

from askonce.matching.conversation import refers_back


@pytest.mark.parametrize(
    "text",
    [
        "why?",
        "and in Germany?",
        "what about the second one?",
        "How about Monday?",
        "explain more",
        "Can you make it shorter?",
        "who wrote that?",
        "the second option please",
        "continue",
        "in french",
        "What did he say next in the meeting?",
        "rephrase your last answer in plain words",
        "yes please",
        "do the same for the other table",
        "",
    ],
)
def test_a_follow_up_is_recognised(text: str) -> None:
    """Pronouns, pointing words, openings that continue, and texts too short to stand alone."""
    assert refers_back(text)


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France and the population in 1990?",
        "How do I reset my bank password?",
        "Explain photosynthesis in plants to a child",
        "Write a haiku about spring rain in Kyoto",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(text: str) -> None:
    """Nothing in it points anywhere."""
    assert not refers_back(text)
