"""The words of a question that carry its subject, in an order that equivalent arrangements share.

`turn the lights off` and `turn off the lights`, `capital of France` and `France's capital`, `10 March` and
`March 10`, `Spain and Italy` and `Italy and Spain` come out alike; `from A to B` and `from B to A` do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.matching.lexicon import listed
from askonce.matching.lexicon.entities import ENTITIES, MONTHS
from askonce.matching.lexicon.function_words import (
    DROPPED,
    GOALS,
    NEGATORS,
    PARTICLES,
    PHRASAL_VERBS,
    PREPOSITIONS,
    SOURCES,
)
from askonce.matching.lexicon.quantities import CARDINALS, CURRENCIES, MULTIPLIERS, ROMANS, UNITS
from askonce.matching.numerals import (
    NUMERIC_WORDS,
    iso_date,
    singular_name,
    spoken_cardinal,
    spoken_number,
    written_number,
)
from askonce.matching.terms import Kind, Role, Term
from askonce.matching.words import key_of, lemma

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.matching.text import Token

__all__ = ["TermList"]

_DETERMINERS: Final = listed("the a an my your our his her its their this that these those")
_NO_NUMBER_BEFORE_ONE: Final = listed(
    "which this that the no each every any another good new old better best other first last wrong right some"
)
_MONTH_CONTEXT: Final = listed(
    "in of by until since last next this early late mid during for from to the my your our his her their"
)
_SEPARABLE_IN_ON: Final = listed("turn switch log sign put fill check hand opt plug power get hold move kick")
_ARTICLES: Final = frozenset({"a", "an"})
_ASKING: Final = listed("why how what who where when")
_LAST_DAY: Final = 31
_SHORT_UNIT: Final = 2
_PARTICLE_REACH: Final = 5
_CURRENCY_KEYS: Final = frozenset(CURRENCIES.values())
_ROLES: Final = (
    dict.fromkeys(SOURCES, Role.SOURCE)
    | dict.fromkeys(GOALS, Role.GOAL)
    | {
        "about": Role.TOPIC,
        "before": Role.BEFORE,
        "after": Role.AFTER,
        "than": Role.COMPARED,
        "then": Role.NEXT,
    }
)
_ALONE: Final = listed("of by before after")
_LETTERS_OR_ALONE: Final = _ALONE | {"a"}  # `vitamin A`: a letter that names something
_NEVER_NAMES: Final = listed("is are do does the my your of to and or in for with how what on from at by")
_SMALL_ROMANS: Final = listed("ii iii vii viii xii xiii")
_NAMED: Final = ENTITIES | frozenset(UNITS) | frozenset(CURRENCIES) | frozenset(MONTHS)
_SPECIAL: Final = _NAMED | NUMERIC_WORDS | NEGATORS | PARTICLES | _LETTERS_OR_ALONE | DROPPED | _SMALL_ROMANS
_MERE_GRAMMAR: Final = (
    DROPPED - _NAMED - NUMERIC_WORDS - NEGATORS - PARTICLES - _LETTERS_OR_ALONE - {"us", "may"}
)


class TermList:
    """Collects terms from tokens, left to right. `negations` counts the negators seen."""

    __slots__ = (
        "_asked",
        "_currency",
        "_follows",
        "_join",
        "_of",
        "_phrase",
        "_role",
        "_run",
        "negations",
        "terms",
    )

    def __init__(self) -> None:
        self.terms: list[Term] = []
        self.negations = 0
        self._role = Role.NONE
        self._currency = ""
        self._phrase = 0  # where the noun phrase under way begins
        self._of: tuple[int, int] | None = None  # the phrase before `of`, to be put behind the one after it
        self._join = False  # the last token was `and`, `or` or a comma right behind a term
        self._run = 0  # where the enumeration under way begins
        self._follows = False  # the last token became a term
        self._asked = False  # a question word was seen

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> TermList:
        """The terms of a text's tokens."""
        built = cls()
        words = [*[token.lower for token in tokens], ".", "."]
        named = _capitals_tell(tokens)
        behind = 0
        for position, token in enumerate(tokens):
            if position < behind:
                continue
            previous, following = words[position - 1], words[position + 1]
            if token.lower in CARDINALS or (token.lower in MULTIPLIERS and previous in _ARTICLES):
                behind = built._cardinal(words, position, token.surface)
            elif token.kind == "word":
                built._word(token, previous, following, named=named and previous != ".")
            elif token.kind == "number":
                built._number(token)
            elif token.kind == "symbol":
                built._symbol(token)
            else:
                built._add(token.lower, token.surface, Kind.LITERAL)
        built._end_phrase()
        return built

    def _add(self, key: str, surface: str, kind: Kind) -> None:
        counts = self._join and (kind is Kind.NUMBER) is not (self.terms[-1].kind is Kind.NUMBER)
        self.terms.append(Term(key, surface, kind, self._role))
        if self._join and not counts:  # `10 dollars and 5 euros` isn't an enumeration of words
            self.terms[self._run :] = sorted(self.terms[self._run :])
        else:
            self._run = len(self.terms) - 1
        self._join = False
        self._role = Role.NONE
        self._follows = True

    def _end_phrase(self) -> None:
        """A noun phrase ends: what stood before `of` moves behind it."""
        if self._of is not None:
            start, end = self._of
            self.terms[start:] = self.terms[end:] + self.terms[start:end]
            self._of = None
        self._phrase = len(self.terms)
        self._join = False
        self._follows = False

    def _symbol(self, token: Token) -> None:
        if token.lower == ",":
            self._join = self._follows and not self._last_is(Kind.NUMBER)  # `July 4, 2024`
            self._follows = False
        elif token.lower == ".":
            self._end_phrase()
        elif token.lower in CURRENCIES:
            self._currency = CURRENCIES[token.lower]
            if self._last_is(Kind.NUMBER):
                self._currency_behind(token.surface)
        elif token.lower == "°":
            self._add("degree", token.surface, Kind.UNIT)
        elif token.lower == "%":
            self._add("percent", token.surface, Kind.UNIT)
        else:
            self._add(token.lower, token.surface, Kind.SYMBOL)

    def _last_is(self, kind: Kind) -> bool:
        return self._follows and bool(self.terms) and self.terms[-1].kind is kind

    def _measured(self) -> bool:
        """Whether a unit may be one letter here: behind a number or `°`."""
        return self._last_is(Kind.NUMBER) or (self._last_is(Kind.UNIT) and self.terms[-1].key == "degree")

    def _currency_behind(self, surface: str) -> None:
        if self._currency:
            self._add(self._currency, surface, Kind.UNIT)
            self._currency = ""

    def _number(self, token: Token) -> None:
        date = iso_date(token.lower)
        if date is not None:
            year, month, day = date
            self._add(_MONTH_NAMES[month], token.surface, Kind.ENTITY)
            self._add(f"#{day}", token.surface, Kind.NUMBER)
            self._add(f"#{year}", token.surface, Kind.NUMBER)
            return
        value, unit = written_number(token.lower)
        currency = self.terms.pop() if self._is_currency() else None
        self._add(f"#{value}", token.surface, Kind.NUMBER)
        if currency is not None:
            self.terms.append(currency)
        if unit:
            self._add(unit, token.surface, Kind.UNIT)
        self._currency_behind(token.surface)

    def _cardinal(self, words: Sequence[str], position: int, surface: str) -> int:
        """Takes a number in words; returns where it ends. `one` after `which` and its like is a pronoun."""
        value, length = spoken_cardinal(words, position)
        if length > 1 or words[position] != "one" or words[position - 1] not in _NO_NUMBER_BEFORE_ONE:
            self._add(f"#{value}", surface, Kind.NUMBER)
        else:
            self._add(key_of("one"), surface, Kind.WORD)
        return position + length

    def _number_word(self, word: str, token: Token, previous: str) -> bool:
        """Takes a number, multiplier, ordinal or time of day in words; False where it is none of them."""
        numeral = word.upper() if word in _SMALL_ROMANS else token.surface
        if word not in NUMERIC_WORDS and numeral not in ROMANS:
            return False
        if word in DROPPED and not (word == "am" and self._last_is(Kind.NUMBER)):
            return False
        last = self.terms[-1].key[1:] if self._last_is(Kind.NUMBER) else ""
        spoken = spoken_number(numeral if numeral in ROMANS else word, last, previous)
        if spoken is None:
            return False
        if spoken.joins:
            self.terms[-1] = self.terms[-1]._replace(key=f"#{spoken.value}")
        else:
            self._add(f"#{spoken.value}", token.surface, Kind.NUMBER)
        return True

    def _measure(self, word: str, token: Token, previous: str) -> bool:
        """Takes a month, unit or currency; False where the word is none of them."""
        base = word if word in UNITS or word in CURRENCIES else singular_name(word)
        if word in MONTHS and (word != "may" or previous in _MONTH_CONTEXT or self._last_is(Kind.NUMBER)):
            day = self.terms.pop() if self._is_day() else None
            self._add(_MONTH_NAMES[MONTHS[word]], token.surface, Kind.ENTITY)
            if day is not None:
                self.terms.append(day)
        elif base in UNITS and (len(base) > _SHORT_UNIT or self._measured()):
            self._add(UNITS[base], token.surface, Kind.UNIT)
        elif base in CURRENCIES:
            self._add(CURRENCIES[base], token.surface, Kind.UNIT)
        else:
            return False
        return True

    def _is_currency(self) -> bool:
        """Whether the last term is a currency that no number stands before (`USD 20`)."""
        amount = len(self.terms) > 1 and self.terms[-2].kind is Kind.NUMBER
        return self._last_is(Kind.UNIT) and self.terms[-1].key in _CURRENCY_KEYS and not amount

    def _is_day(self) -> bool:
        key = self.terms[-1].key[1:] if self._last_is(Kind.NUMBER) else ""
        return key.isdigit() and int(key) <= _LAST_DAY

    def _word(self, token: Token, previous: str, following: str, *, named: bool) -> None:
        word = token.lower
        if word in _MERE_GRAMMAR:
            self._asked = self._asked or word in _ASKING
            self._grammar_word(word)
        elif word not in _SPECIAL and token.surface not in ROMANS and singular_name(word) not in _NAMED:
            name = named and token.surface[0].isupper()
            self._add(key_of(word), token.surface, Kind.NAME if name else Kind.WORD)
        elif not self._number_word(word, token, previous):
            self._special_word(token, previous, following, named=named)

    def _special_word(self, token: Token, previous: str, following: str, *, named: bool) -> None:
        """Takes a word that may be a measure, negator, particle, name or, failing that, grammar."""
        word = token.lower
        if (word == "may" or word not in DROPPED) and self._measure(word, token, previous):
            return
        if word in NEGATORS:
            if word != "not" or previous != "or":  # `or not` asks the same
                self._negator(token)
        elif word in PARTICLES and self._particle(word, token, following):
            return
        elif word == "us" and (token.surface == "US" or previous in {"the", "in"}):
            self._add("usa", token.surface, Kind.ENTITY)
        elif word in _LETTERS_OR_ALONE and (following in {".", ","} or (named and token.surface == "A")):
            name = Kind.NAME if named and token.surface[0].isupper() else Kind.WORD
            self._add(key_of(word), token.surface, Kind.PARTICLE if word in _ALONE else name)
        elif word in DROPPED:
            self._grammar_word(word)
        elif word in ENTITIES or singular_name(word) in ENTITIES:
            self._add(word if word in ENTITIES else singular_name(word), token.surface, Kind.ENTITY)
        else:
            name = Kind.NAME if named and token.surface[0].isupper() else Kind.WORD
            self._add(key_of(word), token.surface, name)

    def _negator(self, token: Token) -> None:
        self.negations += 1
        self._role = Role.OTHER if self._asked and not self.terms else Role.NONE
        self._add("not", token.surface, Kind.NEGATION)

    def _grammar_word(self, word: str) -> None:
        if word in {"and", "or", "vs"}:
            self._join = self._follows or self._join
            self._follows = False
            return
        if word == "of" and self._is_day():
            return  # `4 of July`, `two of the cards`: the number stays ahead
        if word == "of" and self._follows and self._of is None:
            self._of = (self._phrase, len(self.terms))
            self._follows = False
            return
        if word in _DETERMINERS:
            if self._of is None or self._of[1] != len(self.terms):
                self._end_if_of()
                self._phrase = len(self.terms)
        else:
            self._end_phrase()
        self._follows = False
        if word in PREPOSITIONS:
            self._role = _ROLES.get(word, Role.OTHER)

    def _end_if_of(self) -> None:
        if self._of is not None:
            self._end_phrase()

    def _particle(self, word: str, token: Token, following: str) -> bool:
        """Takes a particle and puts it behind its verb; False where `in` or `on` is a mere preposition."""
        direct = (
            self._follows and bool(self.terms) and lemma(self.terms[-1].surface.lower()) in _SEPARABLE_IN_ON
        )
        if word in {"in", "on"} and not direct and following not in {".", ","}:
            return False
        for position in range(len(self.terms) - 1, max(-1, len(self.terms) - 1 - _PARTICLE_REACH), -1):
            if lemma(self.terms[position].surface.lower()) in PHRASAL_VERBS:
                self.terms.insert(position + 1, Term(word, token.surface, Kind.PARTICLE, Role.NONE))
                break
        else:
            self._add(word, token.surface, Kind.PARTICLE)
        self._role = Role.SOURCE if word == "off" else Role.NONE
        return True


_MONTH_NAMES: Final = {number: name for name, number in reversed(MONTHS.items())}


def _capitals_tell(tokens: Sequence[Token]) -> bool:
    """Whether capitals mark names: not in a text in capitals or title case, where small words have them too."""
    capitals = [token.lower for token in tokens[1:] if token.surface[:1].isupper() and token.kind == "word"]
    return len(capitals) * 2 <= len(tokens) + 1 and _NEVER_NAMES.isdisjoint(capitals)
