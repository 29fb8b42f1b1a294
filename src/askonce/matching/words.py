"""Base forms of English words: inflections and spellings of a word become one, other words stay apart.

Deliberately weaker than a stemmer (which merges `university` and `universe`): only plural, past and -ing
endings go, because two questions that differ in any other ending are often different questions.
"""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon import listed
from askonce.matching.lexicon.synonyms import IRREGULAR, SPELLINGS, SYNONYM_GROUPS

__all__ = ["key_of", "lemma"]

_VOWELS: Final = frozenset("aeiou")
_NO_PLURAL: Final = listed("""
    news series species always perhaps whereas besides mathematics physics economics politics statistics ethics
    gymnastics athletics genetics linguistics sas aws ios dns sms gps bus gas plus thus yes lens chaos canvas texas
    kansas arkansas paris athens memphis naples brussels christmas mercedes windows kubernetes pandas keras redis rails
    jenkins postgres atlas alias bias texas cypress express maths sales savings earnings goods
    """)
_NO_ENDING: Final = listed("""
    need speed feed seed weed breed bleed exceed proceed succeed indeed hundred red bed wed shed sacred embed naked
    king ring sing bring thing nothing something anything everything string spring swing wing during morning evening
    sling cling fling sting ping ming being ceiling sibling viking wedding pudding clothing building meeting banking
    beijing ceding shipping shopping lightning airline united wedding bling wing
    """)
_KEEPS_E: Final = listed("""
    plane scare stare stage slope spite grime shame globe paste morale humane secrete breathe clothe bathe envelope
    universe tense probe plate prime store spine stripe state those these where there whole scene suite prince
    purpose waste taste caste morse horse force course corpse pleas please
    """)
_SHORT: Final = 3  # letters of the longest base that shows its lost `e` by its vowels alone
_SHORTEST_ENDING: Final = 5
_SHORTEST_DROPPED_E: Final = 5


def _singular(word: str) -> str:
    if (
        not word.endswith("s")
        or len(word) <= _SHORT
        or word in _NO_PLURAL
        or word.endswith(("ss", "us", "is"))
    ):
        return word
    if word.endswith("ies") and len(word) >= _SHORTEST_ENDING:
        return word[:-3] + "y"
    if word.endswith(("xes", "shes", "ches", "sses", "zzes")):
        return word[:-2]
    return word[:-1]


def _without_ending(word: str) -> str:
    """The base of an -ing or -ed form, with the `e` that it lost where the base is short."""
    if word.endswith("ing"):
        base = word[:-3]
    elif word.endswith("ied"):
        return word[:-3] + "y"
    elif word.endswith("ed"):
        base = word[:-2]
    else:
        return word
    if len(base) == 1 or not _VOWELS.intersection(base + ("a" if "y" in base else "")):
        return word
    if len(base) > _SHORT and base[-1] == base[-2] and base[-1] not in "lszf":
        return base[:-1]
    short = len(base) <= _SHORT and base[-1] not in "aeiouwxy" and base[-2] in "aeiouy"
    return base + "e" if short and (len(base) < _SHORT or base[0] not in _VOWELS) else base


def lemma(word: str) -> str:
    """The base form of a lower-case word: `charges`, `charged`, `charging` → `charg`.

    A base form is a key, not a word: final `e` goes where an ending would have hidden it.
    """
    word = SPELLINGS.get(word, word)
    irregular = IRREGULAR.get(word)
    if irregular is not None:
        word = irregular
    elif word not in _NO_ENDING:
        word = _singular(word)
        if len(word) >= _SHORTEST_ENDING:
            word = _without_ending(word)
    if len(word) >= _SHORTEST_DROPPED_E:
        if word.endswith("ie"):
            return word[:-2] + "y"
        if word.endswith("ll") and len(word) > _SHORTEST_ENDING:
            return word[:-1]
        if word.endswith("e") and word not in _KEEPS_E:
            return word[:-1]
    return word


def _families() -> dict[str, str]:
    families: dict[str, str] = {}
    for member, head in SYNONYM_GROUPS.items():
        families.setdefault(lemma(member), lemma(head))
    return families


_FAMILIES: Final = _families()


def key_of(word: str) -> str:
    """What two words share where one may stand for the other: the base form of the family's first word."""
    base = lemma(word)
    return _FAMILIES.get(base, base)
