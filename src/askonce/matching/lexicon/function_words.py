"""Words that carry grammar rather than subject, and what each of them says about a question."""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon import listed

__all__ = [
    "CONTRACTIONS",
    "DROPPED",
    "FILLERS",
    "FOREIGN",
    "GOALS",
    "LIGHT",
    "MODALS",
    "NEGATORS",
    "PARTICLES",
    "PERSONS",
    "PHRASAL_VERBS",
    "PREPOSITIONS",
    "SOURCES",
    "SUBJECTS",
    "TENSES",
]

FILLERS: Final = listed("""
    please kindly thanks um umm uh uhm hmm lol just really quite actually basically simply literally honestly
    """)
"""Politeness and filler: gone before two texts are compared for equality."""

DROPPED: Final = listed("""
    a an the is are am be been being was were do does did has have had having will would shall can could may might
    should must i you we me my your our he she him his her it its they them their us myself yourself one's
    to of in on at for with by from as into onto that which who whom whose what when where why how this these those
    there and or vs but so then also too very if whether about regarding concerning than before after during
    some any such
    """)
"""Grammar: it bears on person, tense, role and kind of question, and isn't subject matter by itself."""

LIGHT: Final = listed("""
    tell show explain able way thing stuff kind sort exactly currently
    mean possible possibly maybe go get
    """)
"""Words that a paraphrase often adds or leaves out; harmless on one side, never against another word."""

NEGATORS: Final = listed(
    "not no never none nothing nobody nowhere neither nor without unable impossible cannot except unless lack hardly"
)
"""Each counts as one negation."""

PERSONS: Final = {
    word: person
    for person, words in (
        ("first", "i me my mine myself we us our ours ourselves"),
        ("second", "you your yours yourself"),
        ("he", "he him his himself"),
        ("she", "she her hers herself"),
        ("they", "they them their theirs themselves"),
    )
    for word in words.split()
}
"""Whom a pronoun means."""

SUBJECTS: Final = listed("i you we one he she they it people someone somebody anyone")
"""Words between `how do` and a verb."""

MODALS: Final = {
    word: modal
    for modal, words in (
        ("can", "can could may might"),
        ("should", "should ought"),
        ("must", "must shall"),
        ("would", "would"),
    )
    for word in words.split()
}
"""What a leading auxiliary asks: ability, advice, duty or hypothesis."""

TENSES: Final = {
    "was": "past",
    "were": "past",
    "did": "past",
    "had": "past",
    "will": "future",
    "shall": "future",
}
"""Tense by auxiliary."""

SOURCES: Final = listed("from by off")
"""Prepositions of the place, person or form that something comes from."""

GOALS: Final = listed("to into onto toward towards for")
"""Prepositions of the place, person or form that something goes to."""

PREPOSITIONS: Final = (
    SOURCES | GOALS | listed("in on at of with about as than via through during before after then")
)
"""Words that govern the term after them."""

PARTICLES: Final = listed("on off up down in out over away back")
"""Small words that make another verb of the verb before them."""

PHRASAL_VERBS: Final = listed("""
    turn switch log sign shut start set pick look take put get go come check break bring call give hold make move opt
    run scale scroll show hand let lock pull push roll send speed slow stand step back cut drop fill kick pass phase
    plug power print read ring ship tear throw time tune wake warm wear wind work top open close boot clock cool
    """)
"""Verbs whose particle may stand apart from them (`turn the lights off`)."""

CONTRACTIONS: Final = {
    "can't": ("can", "not"),
    "cannot": ("can", "not"),
    "won't": ("will", "not"),
    "shan't": ("shall", "not"),
    "ain't": ("is", "not"),
    "let's": ("let", "us"),
    "what's": ("what", "is"),
    "who's": ("who", "is"),
    "where's": ("where", "is"),
    "when's": ("when", "is"),
    "why's": ("why", "is"),
    "how's": ("how", "is"),
    "that's": ("that", "is"),
    "there's": ("there", "is"),
    "here's": ("here", "is"),
    "it's": ("it", "is"),
    "he's": ("he", "is"),
    "she's": ("she", "is"),
    "i'm": ("i", "am"),
    "y'all": ("you",),
    "o'clock": ("oclock",),
}
"""Contractions that aren't a word with a regular ending."""

FOREIGN: Final = {
    word: language
    for language, words in (
        (
            "spanish",
            "el los las una que por para como cual cuál donde cuando es esta puedo hacer mi del con qué cómo dónde",
        ),
        (
            "french",
            "le les une est que pour dans avec comment quel quelle où je vous mon ma du et puis-je quelles qui",
        ),
        (
            "german",
            "der das und ist ich wie nicht mit für ein eine kann wo warum mein meine zu auf den dem sie wird",
        ),
        (
            "portuguese",
            "o os uma não como para com meu minha onde quando eu você está são posso fazer do da em",
        ),
        ("italian", "il gli una che come per con mio mia dove quando sono posso fare di è perché della qual"),
        ("dutch", "het een hoe niet ik van mijn waar wat waarom zijn kan je naar voor"),
    )
    for word in words.split()
    if word not in {"do", "he", "is", "me", "a", "in", "on", "as", "am", "o", "per", "con", "le"}
}
"""Function words that English lacks, by language; two of them in a text say that it isn't English."""
