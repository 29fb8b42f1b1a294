"""Questions that lean on what was said before: their words alone don't say what they ask."""

from __future__ import annotations

import re
from typing import Final

from askonce.matching.analysis import analyse
from askonce.matching.terms import Kind

__all__ = ["refers_back"]

_OPENS_ON_EARLIER: Final = re.compile(
    r"""\W*(?:
    and|or|but|also|so|then|because|instead|otherwise|besides|plus|except|what\ about|how\ about|what\ if|what\ else|who\ else
    |where\ else|how\ so|how\ come|same|ditto|yes|yeah|yep|no|nope|nah|ok|okay|sure|right|correct|wrong|true|great|good|nice|cool
    |perfect|thanks|thank\ you|now|again|more|another|next|previous|continue|go\ on|keep\ going|carry\ on|try\ again|redo|repeat
    |go\ ahead|why\ not|like\ what|such\ as|for\ example|shorter|longer|simpler|in|on|at|for|with|from|to|by|as|without
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_POINTS_BACK: Final = re.compile(
    r"""\b(?:
    (?:the|this|that|these|those|your|my)\ (?:above|previous|prior|earlier|former|latter|preceding|last|other|same|first|second
        |third|fourth|fifth|next|rest|others)(?:\ (?:one|ones|part|option|point|paragraph|sentence|line|step|answer|response
        |message|question|example|item|list|code|version|approach|solution|suggestion|idea))?
    |(?:this|that|these|those|which|other|another|each|every|last|first|second|third)\ ones?
    |it|its|they|them|their|theirs|he|him|his|she|her|hers
    |this|that|these|those|above|previous(?:ly)?|earlier|you\ (?:just\ )?(?:said|mentioned|wrote|told|suggested|gave|listed)
    |again|instead|else|(?:explain|elaborate|expand|say|tell\ me|show\ me|give\ me|write)\ (?:\w+\ )?more|more\ detail(?:s|ed)?
    |shorter|longer|simpler|elaborate|rephrase|reword|both|neither|either|former|latter
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_FEWEST_TERMS: Final = 3


def refers_back(text: str) -> bool:
    """Whether a question seems to lean on earlier turns: `and in Germany?`, `why?`, `the second one`, `explain more`.

    Meant for questions that have earlier turns, and errs on the side of yes: pronouns and pointing words count
    wherever they stand, and so does a text of fewer than three words with subject matter.
    """
    if _OPENS_ON_EARLIER.match(text) or _POINTS_BACK.search(text):
        return True
    return sum(term.kind is not Kind.SYMBOL for term in analyse(text).terms) < _FEWEST_TERMS
