"""Edits that keep a text's meaning, and edits that change it: what a verifier must tell apart.

Public pairs teach word order and whole paraphrases. What they lack is made here from licence-clean texts: a detail
more or less, another number, day or place, a negation, two words exchanged, against a synonym, a contraction, a
greeting, a slip of the finger, a phrase moved to the front. Each edit has the probability that the two texts still
have the same answer; several make one pair.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.matching.lexicon import listed, listed_in_order
from askonce.matching.lexicon.antonyms import ANTONYM_PAIRS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

__all__ = ["Edited", "Editor", "phrases"]

Words = list[str]

_FUNCTION_WORDS: Final = listed("""
    a an the this that these those my your his her its our their i you he she it we they me him us them and or but nor
    so if then than as of in on at by for with from to into onto over under about after before between through during
    without within against is are was were be been being am do does did done have has had having can could may might must
    shall should will would not no what which who whom whose when where why how there here please just also very really
    too only up down out off any some all both each every more most much many few other such own same""")
_PREPOSITIONS: Final = listed("""
    in on at for with by from to over under after before during without about near through into within since until
    between against around""")
_EXCHANGEABLE: Final = listed("to from than for of by with into over before after without against in")
_AUXILIARIES: Final = listed("is are was were can do does did will should has have could would")
_MOVABLE: Final = listed("in on at during for with by")
_SYNONYMS: Final = """buy/purchase get/obtain help/assist begin/start end/finish big/large small/little quick/fast
quickly/fast show/display fix/repair choose/select ask/inquire need/require want/wish try/attempt allow/permit
happen/occur keep/retain send/transmit receive/get tell/inform find/locate leave/depart change/modify improve/enhance
make/create build/construct difference/distinction error/mistake problem/issue job/position movie/film car/automobile
phone/telephone picture/photo children/kids doctor/physician smart/intelligent sad/unhappy happy/glad
important/significant easy/simple hard/difficult cheap/inexpensive rich/wealthy sick/ill angry/mad scared/afraid
right/correct wrong/incorrect best/top way/method step/stage benefit/advantage drawback/disadvantage cost/price
goal/aim answer/reply reason/cause trip/journey shop/store sofa/couch road/street town/city pay/salary present/gift
illness/disease test/exam speak/talk look/glance shut/close cure/heal learn/study explain/describe use/utilize
many/numerous sometimes/occasionally often/frequently nearly/almost enough/sufficient whole/entire main/primary
famous/well-known rest/remainder quiet/silent buy/acquire assist/aid remove/delete cancel/terminate reply/respond
location/place verify/confirm maximum/max minimum/min information/info application/app photo/photograph
laptop/notebook transfer/move charge/fee password/passcode vacation/holiday meal/dish weather/forecast reserve/book
schedule/arrange remind/notify song/track volume/loudness restaurant/eatery luggage/baggage company/firm
located/situated called/named known/recognized founded/established moved/relocated released/issued wrote/authored
played/performed"""
_REWORDINGS: Final = tuple(
    pair.split(" | ")
    for pair in """what is | what's
i am | i'm
do not | don't
is not | isn't
cannot | can't
does not | doesn't
it is | it's
i have | i've
how do i | how can i
how can i | how do i
how to | how do i
how do i | what is the way to
is it possible to | can i
can i | is it possible to
i need to | i have to
i want to | i would like to
tell me | let me know
in order to | to
such as | like
because of | due to
a lot of | many
approximately | about
for example | for instance
show me | give me
write | compose
explain | describe
generate | create
how many | what number of
why is | for what reason is
why does | how come
what time | when
when does | at what time does
how long does it take to | how much time does it take to
what are | tell me
what is | tell me
what's | what is
can you | please
could you | can you
i can't | i am unable to
i cannot | i am not able to
i want to know | please tell me
how can i | what should i do to
how do i | please explain how to
where can i find | where do i find
summarize | sum up
list | give me a list of
due to | because of
is there a way to | how can i
what happens if | what will happen if
in spite of | despite
as well as | and
at the moment | now
until | till
per year | a year
it's | it is
won't | will not
isn't | is not
didn't | did not
aren't | are not""".splitlines()
)
_CHANGES: Final = tuple(
    pair.split(" | ")
    for pair in """is | will be
are | will be
has been | will be
have been | are being
was | is
did | will
can | could
have to | don't have to
between | after
with | without
how many | which
how do | why do
how does | why does
what is | where is
which | how many
one of the | all of the
all of the | any of the
all | some
at least | at most
more than | fewer than
only | also
just | already
still | no longer
already | not yet
i have | i am about to
once | every time
each | one
entirely | partly
always | rarely
a | every
my | everyone's""".splitlines()
)
_GREETINGS: Final = (
    "please",
    "can you tell me",
    "could you please tell me",
    "hi,",
    "hello,",
    "i want to know",
    "quick question:",
    "tell me",
)
_THANKS: Final = (" please", " thanks", " thank you", "?", " asap", " for me")
_SERIES: Final = tuple(
    series.split()
    for series in """monday tuesday wednesday thursday friday saturday sunday
january february april june july august september october november december
one two three four five six seven eight nine ten eleven twelve
first second third fourth fifth sixth
morning afternoon evening night
today tomorrow yesterday
daily weekly monthly yearly
north south east west
red blue green black white yellow brown
always never sometimes
all some most
more less
seconds hours minutes days weeks months years
his her their my your our
dollars euros pounds yen
who when where why how what
last this next
before after since
any every each
one all both
can must should
incoming outgoing
minimum maximum average
best worst cheapest
only also
mother father brother sister
is was
are were
do did
does did
have had
has had
will did""".splitlines()
)
_SPELLED: Final = dict(
    zip(
        listed_in_order("one two three four five six seven eight nine ten eleven twelve"),
        map(str, range(1, 13)),
        strict=True,
    )
)
_SHORTEST_CONTENT: Final = 3
_LONGEST_PHRASE: Final = 6


class Edited(NamedTuple):
    """A text, what became of it, and the probability that both have the same answer."""

    text: str
    edited: str
    same: float


class _Edit(NamedTuple):
    apply: Callable[[Words], Words | None]
    same: float
    weight: float


def _core(word: str) -> str:
    return word.strip(".,?!;:()\"'\u2019\u201c\u201d").lower()


def _has_content(word: str) -> bool:
    core = _core(word)
    return len(core) >= _SHORTEST_CONTENT and core not in _FUNCTION_WORDS and core.isalpha()


def _in_place_of(old: str, new: str) -> str:
    """`new` with the punctuation and the capital of `old`."""
    body = old.strip(".,?!;:()\"'\u2019\u201c\u201d")
    if not body:
        return old
    before, _, after = old.partition(body)
    return before + (new[:1].upper() + new[1:] if body[:1].isupper() else new) + after


def phrases(words: Sequence[str]) -> list[tuple[int, int]]:
    """Spans of prepositional phrases of two to six words that end on a word with content."""
    spans = []
    for start in range(1, len(words)):
        if _core(words[start]) not in _PREPOSITIONS:
            continue
        end = start + 1
        while end < min(len(words), start + _LONGEST_PHRASE) and _core(words[end]) not in (
            _PREPOSITIONS | _AUXILIARIES | {"and", "or", "but", "that", "which", "who"}
        ):
            end += 1
            if words[end - 1][-1] in ".,;:?!":
                break
        if end - start > 1 and _has_content(words[end - 1]):
            spans.append((start, end))
    return spans


@dataclass
class Editor:
    """Makes pairs; everything drawn from `random`.

    Attributes:
        random: Source of all choices.
        details: Prepositional phrases of other texts, to insert.
    """

    random: random.Random
    details: Sequence[Words]

    def __post_init__(self) -> None:
        """Tables of what stands for what."""
        self._synonyms: dict[str, list[str]] = defaultdict(list)
        for pair in _SYNONYMS.split():
            one, other = pair.split("/")
            self._synonyms[one].append(other)
            self._synonyms[other].append(one)
        self._series: dict[str, list[str]] = defaultdict(list)
        for series in _SERIES:
            for word in series:
                self._series[word] += [other for other in series if other != word]
        self._opposites: dict[str, list[str]] = defaultdict(list)
        for one, other in ANTONYM_PAIRS:
            self._opposites[one].append(other)
            self._opposites[other].append(one)
        self._keeping = (
            _Edit(self._synonym, 0.97, 3),
            _Edit(self._reword, 1.0, 4),
            _Edit(self._article, 0.97, 3),
            _Edit(self._be_polite, 1.0, 3),
            _Edit(self._mistype, 0.97, 1.5),
            _Edit(self._turn_conjunction, 0.97, 4),
            _Edit(self._move_to_front, 0.97, 4),
            _Edit(self._number_of, 0.93, 1),
            _Edit(self._spell_out, 1.0, 3),
            _Edit(self._possess, 0.97, 3),
            _Edit(self._turn_round, 0.95, 4),
        )
        self._changing = (
            _Edit(self._drop_detail, 0.12, 3),
            _Edit(self._add_detail, 0.08, 3),
            _Edit(self._drop_clause, 0.08, 2),
            _Edit(self._drop_attribute, 0.2, 2),
            _Edit(self._other_number, 0.01, 4),
            _Edit(self._next_in_series, 0.02, 5),
            _Edit(self._negate, 0.02, 0.7),
            _Edit(self._exchange, 0.08, 1.5),
            _Edit(self._exchange_any, 0.1, 1.5),
            _Edit(self._oppose, 0.02, 3),
            _Edit(self._retell, 0.03, 4),
            _Edit(self._other_order, 0.03, 4),
        )

    def keep(self, text: str) -> Edited | None:
        """A pair that still has the same answer; None where no edit applies."""
        words, same = self._kept(text.split(), self.random.choice([1, 1, 2, 2, 3]))
        edited = " ".join(words)
        return Edited(text, edited, same) if edited != text else None

    def change(self, text: str) -> Edited | None:
        """A pair that hasn't, often reworded besides; None where no edit applies."""
        words, _ = self._kept(text.split(), self.random.choice([0, 0, 1, 2]))
        changed, same = self._one_of(words, self._changing)
        return Edited(text, " ".join(changed), same) if changed is not None else None

    def _kept(self, words: Words, edits: int) -> tuple[Words, float]:
        same = 1.0
        for _ in range(edits):
            edited, chance = self._one_of(words, self._keeping)
            if edited is None:
                break
            words, same = edited, same * chance
        return words, same

    def _one_of(self, words: Words, edits: Sequence[_Edit]) -> tuple[Words | None, float]:
        """The first that applies, in a weighted random order."""
        left = list(edits)
        while left:
            edit = self.random.choices(left, [each.weight for each in left])[0]
            edited = edit.apply(words)
            if edited and edited != words:
                return edited, edit.same
            left.remove(edit)
        return None, 0.0

    def _place(self, places: Sequence[int]) -> int | None:
        return self.random.choice(places) if places else None

    def _replaced(self, words: Words, place: int | None, new: Callable[[str], str]) -> Words | None:
        if place is None:
            return None
        old = words[place]
        return [*words[:place], _in_place_of(old, new(_core(old))), *words[place + 1 :]]

    def _synonym(self, words: Words) -> Words | None:
        place = self._place([place for place, word in enumerate(words) if self._synonyms.get(_core(word))])
        return self._replaced(words, place, lambda word: self.random.choice(self._synonyms[word]))

    def _reword(self, words: Words) -> Words | None:
        return self._other_words(words, _REWORDINGS)

    def _retell(self, words: Words) -> Words | None:
        """Another time, quantity, obligation or question."""
        return self._other_words(words, _CHANGES)

    def _other_words(self, words: Words, table: Sequence[Sequence[str]]) -> Words | None:
        text = " ".join(words)
        known = [pair for pair in table if re.search(rf"\b{re.escape(pair[0])}\b", text, re.IGNORECASE)]
        if not known:
            return None
        old, new = self.random.choice(known)
        return re.sub(rf"\b{re.escape(old)}\b", new, text, count=1, flags=re.IGNORECASE).split()

    def _article(self, words: Words) -> Words | None:
        droppable = [
            place
            for place, word in enumerate(words)
            if _core(word) in {"a", "an", "the", "my", "just", "also", "really", "very"}
        ]
        if droppable and self.random.random() < 0.6:
            place = self.random.choice(droppable)
            return words[:place] + words[place + 1 :]
        at = self._place(
            [
                place
                for place, word in enumerate(words)
                if place and _has_content(word) and _core(words[place - 1]) not in {"a", "an", "the", "my"}
            ]
        )
        return None if at is None else [*words[:at], self.random.choice(["the", "a"]), *words[at:]]

    def _be_polite(self, words: Words) -> Words:
        text = " ".join(words)
        if self.random.random() < 0.6:
            return f"{self.random.choice(_GREETINGS)} {text}".split()
        return (text.rstrip("?.! ") + self.random.choice(_THANKS)).split()

    def _mistype(self, words: Words) -> Words | None:
        place = self._place(
            [place for place, word in enumerate(words) if _has_content(word) and len(_core(word)) > 5]
        )
        if place is None:
            return None
        word = words[place]
        at, kind = self.random.randint(1, len(_core(word)) - 3), self.random.random()
        if kind < 0.4:
            slip = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        else:
            slip = word[:at] + word[at + 1 :] if kind < 0.7 else word[:at] + word[at] + word[at:]
        return [*words[:place], slip, *words[place + 1 :]]

    def _exchanged(self, words: Words, one: int, other: int) -> Words:
        turned = list(words)
        turned[one] = _in_place_of(words[one], _core(words[other]))
        turned[other] = _in_place_of(words[other], _core(words[one]))
        return turned

    def _turn_conjunction(self, words: Words) -> Words | None:
        """`cats and dogs`, `dogs and cats`, where both sides are single words."""
        place = self._place(
            [
                place
                for place in range(1, len(words) - 1)
                if words[place].lower() in {"and", "or"}
                and _has_content(words[place - 1])
                and _has_content(words[place + 1])
                and not (place > 1 and _has_content(words[place - 2]))
                and not (place + 2 < len(words) and _has_content(words[place + 2]))
            ]
        )
        return None if place is None else self._exchanged(words, place - 1, place + 1)

    def _move_to_front(self, words: Words) -> Words | None:
        starts = [
            place
            for place in range(max(3, len(words) - 5), len(words) - 1)
            if _core(words[place]) in _MOVABLE
        ]
        if not starts or not _has_content(words[-1]):
            return None
        last = words[-1].rstrip(".?!")
        moved, rest = [*words[starts[-1] : -1], last + ","], words[: starts[-1]]
        if rest[0].lower() in _FUNCTION_WORDS:
            moved[0] = _in_place_of(rest[0], moved[0])
            rest = [rest[0].lower(), *rest[1:]]
        return [*moved, *rest[:-1], rest[-1] + words[-1][len(last) :]]

    def _number_of(self, words: Words) -> Words | None:
        place = self._place(
            [place for place, word in enumerate(words) if _has_content(word) and len(_core(word)) > 4]
        )
        return self._replaced(
            words, place, lambda word: word[:-1] if re.search(r"[^s]s$", word) else word + "s"
        )

    def _spell_out(self, words: Words) -> Words | None:
        """`2`, `two`; `15%`, `15 percent`."""
        spelled = {**_SPELLED, **{figure: word for word, figure in _SPELLED.items()}}
        places = [place for place, word in enumerate(words) if _core(word) in spelled or word.endswith("%")]
        place = self._place(places)
        if place is not None and words[place].endswith("%"):
            return [*words[:place], words[place][:-1], "percent", *words[place + 1 :]]
        return self._replaced(words, place, lambda word: spelled[word])

    def _possess(self, words: Words) -> Words | None:
        """`the city's mayor`, `the mayor of the city`."""
        place = self._place(
            [
                place
                for place in range(1, len(words) - 1)
                if re.search(r"\w['\u2019]s$", words[place]) and _has_content(words[place + 1])
            ]
        )
        if place is None:
            return None
        owner, thing = words[place][:-2], words[place + 1]
        core = thing.rstrip(".,?!;:")
        start = place - 1 if words[place - 1].lower() in {"the", "my", "our", "your", "a"} else place
        return [
            *words[:start],
            "the",
            core,
            "of",
            *words[start:place],
            owner + thing[len(core) :],
            *words[place + 2 :],
        ]

    def _sides(self, words: Words, joints: frozenset[str]) -> tuple[Words, str, Words, str] | None:
        """What stands before and after a joint, at least two words each, and the closing marks."""
        place = self._place([place for place in range(2, len(words) - 2) if _core(words[place]) in joints])
        if place is None:
            return None
        last = words[-1].rstrip(".?!")
        before = [*words[: place - 1], words[place - 1].rstrip(",")]
        return before, _core(words[place]), [*words[place + 1 : -1], last], words[-1][len(last) :]

    def _turn_round(self, words: Words) -> Words | None:
        """`A before B`, `B after A`."""
        sides = self._sides(words, frozenset({"before", "after", "because", "if", "when"}))
        if sides is None:
            return None
        before, joint, after, end = sides
        if joint in {"before", "after"}:
            return [*after, "after" if joint == "before" else "before", *before[:-1], before[-1] + end]
        return [joint, *after[:-1], after[-1] + ",", *before[:-1], before[-1] + end]

    def _other_order(self, words: Words) -> Words | None:
        """`A then B`, `B then A`."""
        sides = self._sides(words, frozenset({"then", "before", "after", "while"}))
        if sides is None:
            return None
        before, joint, after, end = sides
        return [*after, joint, *before[:-1], before[-1] + end]

    def _exchange_any(self, words: Words) -> Words | None:
        places = [place for place, word in enumerate(words) if _has_content(word)]
        if len(places) < 2:
            return None
        one, other = sorted(self.random.sample(places, 2))
        if _core(words[one]) == _core(words[other]) or [_core(word) for word in words[one + 1 : other]] in (
            ["and"],
            ["or"],
        ):
            return None
        return self._exchanged(words, one, other)

    def _drop_detail(self, words: Words) -> Words | None:
        spans = phrases(words)
        if not spans or len(words) < 6:
            return None
        start, end = self.random.choice(spans)
        rest = words[:start] + words[end:]
        if end == len(words):
            rest[-1] = rest[-1].rstrip(",;:") + words[-1][len(words[-1].rstrip(".?!")) :]
        return rest

    def _add_detail(self, words: Words) -> Words:
        detail = [word.rstrip(".,;:?!") for word in self.random.choice(self.details)]
        inside = [
            place
            for place in range(2, len(words))
            if _core(words[place]) in _PREPOSITIONS or words[place - 1].endswith(",")
        ]
        place = self.random.choice([len(words)] * 3 + inside)
        if place < len(words):
            return words[:place] + detail + words[place:]
        last = words[-1].rstrip(".?!")
        return [*words[:-1], last, *detail[:-1], detail[-1] + words[-1][len(last) :]]

    def _drop_clause(self, words: Words) -> Words | None:
        commas = [place for place, word in enumerate(words[:-1]) if word.endswith(",")]
        if not commas or len(words) < 9:
            return None
        place = self.random.choice(commas)
        if place > 0.4 * len(words):
            end = words[-1][len(words[-1].rstrip(".?!")) :]
            return [*words[:place], words[place].rstrip(",") + end]
        rest = words[place + 1 :]
        return [rest[0].capitalize(), *rest[1:]] if len(rest) > 4 else None

    def _drop_attribute(self, words: Words) -> Words | None:
        place = self._place(
            [
                place
                for place in range(1, len(words) - 1)
                if _has_content(words[place]) and _has_content(words[place + 1]) and words[place].islower()
            ]
        )
        return None if place is None else words[:place] + words[place + 1 :]

    def _other_number(self, words: Words) -> Words | None:
        place = self._place([place for place, word in enumerate(words) if _core(word).isdigit()])
        if place is None:
            return None
        number = int(_core(words[place])[:9])
        near = self.random.random() < 0.6
        other = (
            number + self.random.choice([-3, -2, -1, 1, 2, 3, 5, 10])
            if near
            else self.random.randint(1, max(3, 2 * number + 3))
        )
        if other in {number, -1, -2, -3}:
            other = number + 7
        return self._replaced(words, place, lambda _: str(abs(other)))

    def _next_in_series(self, words: Words) -> Words | None:
        place = self._place([place for place, word in enumerate(words) if _core(word) in self._series])
        return self._replaced(words, place, lambda word: self.random.choice(self._series[word]))

    def _oppose(self, words: Words) -> Words | None:
        place = self._place([place for place, word in enumerate(words) if _core(word) in self._opposites])
        return self._replaced(words, place, lambda word: self.random.choice(self._opposites[word]))

    def _negate(self, words: Words) -> Words | None:
        place = self._place([place for place, word in enumerate(words) if _core(word) in _AUXILIARIES])
        return None if place is None else [*words[: place + 1], "not", *words[place + 1 :]]

    def _exchange(self, words: Words) -> Words | None:
        """`from Rome to Oslo`, `from Oslo to Rome`: the words around a preposition."""
        place = self._place(
            [
                place
                for place in range(1, len(words) - 1)
                if _core(words[place]) in _EXCHANGEABLE
                and _has_content(words[place - 1])
                and _has_content(words[place + 1])
            ]
        )
        return None if place is None else self._exchanged(words, place - 1, place + 1)
