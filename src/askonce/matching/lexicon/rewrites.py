"""Phrases that ask the same thing in other words, rewritten to one before texts are compared."""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon.entities import ENTITY_ALIASES

__all__ = ["OPENINGS", "REWRITES", "REWRITE_LENGTHS"]

_OPENINGS: Final = """
can you please tell me/could you please tell me/can you tell me/could you tell me/would you tell me/will you tell me
please tell me/tell me/please let me know/let me know/inform me/please inform me/can you let me know/could you let me know
do you know/do you happen to know/i want to know/i need to know/i would like to know/i like to know/i wish to know
i have to know/i must know/i was wondering/i am wondering/just wondering/wondering/i wonder/i am curious/curious
can you show me/could you show me/please show me/show me/can you give me
could you give me/please give me/give me/can you provide me with/please provide me with/provide me with/provide me/provide
can you please help me/can you help me/could you help me/please help me/help me to/help me
can you assist me with/assist me with/can you assist me in/assist me in/can you help with/can you help me with
i need you to/i want you to/i would like you to/i would like for you to/i would like to/i want to/i need to/i am trying to
i need help with/i need help to/i need some help/i need help/i need assistance with/i have a question
i am looking to/i am looking for/i would like/i want/would you please/would you mind/could you please/can you please/will you please
could you/can you/would you/will you/please can you/please could you/please/kindly/quick question/question
hi there/hello there/hey there/good morning/good afternoon/good evening/hi/hello/hey/excuse me/ok/okay/so/well/also/and
does anyone know/does anybody know/anyone know/i do not know/i am not sure/i do not understand/in your opinion
as an expert/any idea/any ideas/do you have any idea/i need information on/i need info on/i need to find out/i want to find out
i have no idea/i have no clue/no idea/no clue/not sure/find out/i am interested in knowing/i am interested in
"""
OPENINGS: Final = frozenset(
    tuple(phrase.split()) for line in _OPENINGS.strip().splitlines() for phrase in line.split("/")
)
"""Phrases that open a question without being part of it."""

_REWRITES: Final = """
how: how do i/how can i/how could i/how would i/how should i/how shall i/how will i/how might i/how may i/how am i able to
how: how do you/how can you/how could you/how would you/how should you/how do we/how can we/how could we/how should we
how: how does one/how can one/how could one/how should one/how would one/how do people/how to/how do i go about/how to go about
how: how can i go about/how would i go about/how do you go about/how should i go about/how am i supposed to/how do i get to
how: what is the best way to/what is the way to/what is the easiest way to/what is the right way to/what is a good way to
how: what is the correct way to/what is the proper way to/what is the simplest way to/what is the process to/what is the procedure to
how: what is the process for/what is the procedure for/what is the process of/what is the method to/what is the method for
how: what are the steps to/what are the steps for/what are the steps i need to/what are the steps in/what steps do i take to
how: what steps do i need to take to/what steps should i take to/what are some ways to/what are the ways to/what are the best ways to
how: what are ways to/what are some good ways to/which is the best way to/in what way can i/what should i do to/what do i do to
how: what do i need to do to/what must i do to/what can i do to/what do i have to do to/what is required to/what is needed to
how: what does it take to/the best way to/the steps to/steps to/the way to/ways to/the process of/instructions to/instructions on how to
how: instructions for/is there a way to/is there any way to/is there a way i can/is there any way i can/is there a way for me to
how: a guide to/how is it possible to/what is the best method to/what is the best method for/which way can i/explain how
how much: what is the price of/what is the cost of/what is the total cost of/what does it cost to/how much does it cost to
how much: how much does it cost for/how much is/how much are/how much does it cost/what amount of
how many: what is the number of/what number of/the number of
how long: how much time does it take to/how much time does it take for/how long does it take to/how long does it take for
how long: how long will it take to/how long will it take for/how long would it take to/how long do i have to wait for
how long: how much time will it take for/how much time/how many time/what is the time it takes to/what length of time
how long: how long does it take/how long will it take/how long would it take
how often: how frequently/how many times
when: at what time/what time does/what time do/what time will/on what date/on which date/in which year/in what year
where: at what place/in which place/what place/in what place/where can i find/where do i find/where could i find/where can you find
where: where do i go to/where can i go to/where should i go to/where i can find/where to find/where would i find/where is the location of
where: what is the location of
why: for what reason/for which reason/what is the reason for/what is the reason/what is the reason that/what is the reason why
why: how come/what are the reasons for/what are the reasons/what reason/why is it that/why does it happen that/what causes/what makes
who: which person/what person/what is the name of the person who/who is the person who/who is it that
what: which/what is it that/what are some/what are the/what is the/what is a/what is/what are/whats
what mean: what is the meaning of/what does the term/what is the definition of/the meaning of/the definition of/define
turn on: switch on/power on
turn off: switch off/power off
log in: login/sign in/signin/log into/sign into/log on/logon
log out: logout/sign out/signout/log off/logoff
sign up: signup
sign off: signoff
set up: setup
top up: topup
check in: checkin
check out: checkout
back up: backup
remember: do not forget to/do not forget
not: n't/unable to/not able to/fail to/fails to/failed to/failing to
why not: what prevents/what is preventing
can: is it possible to/is it possible for me to/is it possible for/am i able to/are you able to/am i allowed to/is it ok to
can: is it okay to/is it allowed to/may i/do i have the ability to/could i/is it possible that i can/would it be possible to/would i be able to
should: is it a good idea to/is it wise to/is it better to/ought i to/is it recommended to/is it advisable to/shall i
must: do i have to/do i need to/am i required to/is it necessary to/is it required to/is it mandatory to/must i
vs: versus/compared to/compared with/in comparison to/in comparison with/as compared to
difference between: difference of/distinction between/differences between
because: due to/because of/owing to/on account of
about: with regard to/with regards to/in regard to/with respect to/related to/in relation to/regarding/concerning/with reference to
for: in order for/on behalf of
to: in order to/so as to
before: prior to
after: subsequent to
in: within
inside: inside of
outside: outside of
a lot of: lots of/plenty of/loads of
many: a large number of/a great deal of/numerous
going to: gonna
soon: as soon as possible/asap/right away/straight away/at once/immediately
now: right now/at the moment/at present/at this time/these days/nowadays/as of now
use: make use of
try: attempt to/try to/trying to
credit card: creditcard
world war 1: first world war/the first world war/world war one/ww1/wwi
world war 2: second world war/the second world war/world war two/ww2/wwii
look for: search for
get rid of: dispose of
take part in: participate in
find out: figure out
call: give a call/ring up
list: list of/a list of/list out
explain: explain to me
example: example of/examples of/an example of/some examples of
etc: and so on/and so forth
percent: per cent
kph: km h/kilometers per hour/kilometres per hour/km per hour
mph: miles per hour/mi h
whether: whether or not
twice: two times/2 times/2x
at least: no less than/not less than/no fewer than/not fewer than
at most: no more than/not more than/at the most
and: as well as
"""


def _rules() -> dict[tuple[str, ...], tuple[str, ...]]:
    rules: dict[tuple[str, ...], tuple[str, ...]] = dict(ENTITY_ALIASES)
    for line in _REWRITES.strip().splitlines():
        result, _, phrases = line.partition(":")
        rules |= {tuple(phrase.split()): tuple(result.split()) for phrase in phrases.strip().split("/")}
    return {phrase: result for phrase, result in rules.items() if phrase != result}


REWRITES: Final = _rules()
"""What stands for a phrase."""

REWRITE_LENGTHS: Final = {
    first: tuple(sorted({len(phrase) for phrase in REWRITES if phrase[0] == first}, reverse=True))
    for first in {phrase[0] for phrase in REWRITES}
}
"""First word → how long phrases that begin with it are, longest first."""
