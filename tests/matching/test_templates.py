"""Prompts made from one template: whatever fills it, no two of them share an answer."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from askonce.matching.analysis import analyse
from askonce.matching.guards import first_veto, pair_of

_SENTENCES = [
    f"{who} {what} {where}"
    for who, what, where in zip(
        [
            "The baker",
            "My neighbour",
            "A young pilot",
            "The old judge",
            "Our landlord",
            "The nurse",
            "Her cousin",
        ]
        * 4,
        ["closed the shop", "sold a boat", "lost the key", "found a letter", "painted the door"] * 6,
        ["at dawn", "near the harbour", "behind the church", "in heavy rain", "without a word", "last winter"]
        * 5,
        strict=False,
    )
][:25]
_SUBJECTS = [
    f"{adjective} {noun}"
    for adjective, noun in product(
        ["glass", "paper", "marble", "velvet", "copper"],
        ["bridges", "lanterns", "violins", "towers", "masks"],
    )
]
_TEMPLATES = {
    "translation": "Translate the following sentence into Spanish: {sentence}.",
    "translation in quotation marks": 'Translate "{sentence}" into Spanish.',
    "classification": "Is the tone of this message friendly or hostile?\n{sentence}.",
    "classification behind the text": "{sentence}.\n\nClassify the tone of the message above as friendly or hostile.",
    "extraction": "Extract all nouns from the text below as JSON.\n\nText: {sentence}.",
    "summary": "Summarize this report in one line:\n\n```\n{sentence}.\n```",
    "composition": "Write a short story about {subject} for children",
    "explanation": "Explain the history of {subject} to a student",
}
_PROMPTS = {
    name: [
        template.format(sentence=sentence, subject=subject)
        for sentence, subject in zip(_SENTENCES, _SUBJECTS, strict=True)
    ]
    for name, template in _TEMPLATES.items()
}


def test_two_hundred_prompts_share_nothing() -> None:
    """Of 200 different prompts, every two of one template are vetoed."""
    analyses = [analyse(prompt) for prompts in _PROMPTS.values() for prompt in prompts]
    assert len({analysis.text for analysis in analyses}) == 200
    within = [
        (one.text, other.text)
        for start in range(0, 200, 25)
        for one, other in combinations(analyses[start : start + 25], 2)
        if first_veto(pair_of(one, other)) is None
    ]
    assert within == []


@pytest.mark.parametrize("name", list(_TEMPLATES))
def test_the_same_content_in_another_layout_is_the_same_prompt(name: str) -> None:
    """Spacing, line ends and politeness around a filled template veto nothing, so the refusals aren't blind."""
    for prompt in _PROMPTS[name]:
        variant = "Hello!\n" + prompt.replace("\n", "\r\n").replace("  ", " ") + "\n"
        if "\n" not in prompt:
            variant = f"Please {prompt[0].lower()}{prompt[1:]} "
        assert first_veto(pair_of(analyse(prompt), analyse(variant))) is None, variant


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Summarize: The cat sat down.", "Summarize the following text: The cat sat down."),
        ("Translate to French: good night", "Translate to French:\n\n   good   night"),
        ("Classify the tone:\nI like it.", "Classify the tone: I like it."),
    ],
)
def test_material_may_stand_elsewhere(one: str, other: str) -> None:
    """On its own line or behind the colon, under a longer or shorter instruction: the material is what counts."""
    assert first_veto(pair_of(analyse(one), analyse(other))) is None
