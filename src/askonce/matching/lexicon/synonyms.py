"""Words that ask for the same thing: inflection families beyond regular endings, and close synonyms."""

from __future__ import annotations

from typing import Final

__all__ = ["IRREGULAR", "SPELLINGS", "SYNONYM_GROUPS"]

_GROUPS: Final = """
buy purchase / begin start commence / finish complete completion / end conclude
cancel cancellation cancelation / activate activation / deactivate deactivation / verify verification
validate validation / authenticate authentication / authorize authorization / register registration
subscribe subscription / unsubscribe unsubscription / cancellable cancelable / pay payment
refund reimburse reimbursement / deliver delivery / ship shipment / arrive arrival / depart departure
withdraw withdrawal / reserve reservation / book booking / install installation / configure configuration
deploy deployment / translate translation / convert conversion / calculate calculation compute computation
compare comparison / recommend recommendation / suggest suggestion / describe description
explain explanation / define definition / summarize summary summarise summarization
make create creation generate generation produce / write compose draft / delete deletion erase
remove removal / apply application / approve approval / expire expiration expiry / renew renewal
extend extension / invest investment / retire retirement / manage management / develop development
improve improvement / achieve achievement / treat treatment
differ difference different distinguish distinction / choose choice select selection pick / decide decision
connect connection / encrypt encryption / decrypt decryption / compress compression
inform notify notification / contact reach / replace replacement / require requirement / own owner
succeed success / fail failure / lose loss / grow growth / know knowledge / believe belief / behave behavior
analyze analysis / identify identification / invent invention / discover discovery
publish publication release / find locate location / immigrate immigration / migrate migration
educate education / weigh weight / marry marriage / die death / born birth / fix repair
fast quick rapid quickly rapidly / fastest quickest / big large huge / bigger larger / biggest largest
small little tiny / smaller littler / smallest littlest / hard difficult tough / harder tougher
hardest toughest / easy simple / easier simpler / easiest simplest / best good great top ideal
bad awful terrible / beautiful pretty / smart intelligent clever / happy glad / sad unhappy / angry mad
afraid scared / ill sick / kid child / baby infant / man guy / woman lady / car automobile
film movie flick / picture photo photograph image / phone telephone cellphone smartphone / job occupation
company firm corporation / doctor physician / lawyer attorney / road street / house home / shop store
city town / country nation / trip journey / vacation holiday / flat apartment / rubbish trash garbage
autumn fall / couch sofa / bike bicycle / plane airplane aeroplane aircraft / petrol gasoline
author writer / money cash / price cost / salary wage paycheck / error mistake / problem issue trouble
bug defect / reason cause / goal aim objective / method technique approach / idea concept / info information
ad advert advertisement / exam examination / app application / maths math mathematics / stats statistics
lab laboratory / gym gymnasium / fridge refrigerator / quote quotation / vs versus
approximately approx roughly / nearly almost / maybe perhaps possibly / often frequently / rarely seldom
usually normally typically generally / immediately instantly / now currently presently / soon shortly
enough sufficient / whole entire / get obtain receive acquire / need require / allow permit
help assist aid / show display / find locate / look search / talk speak / tell inform / use utilize utilise
try attempt / keep retain / answer reply respond / happen occur / seem appear / hack crack / gain earn
leave quit / stop cease / shut close / yell shout / throw toss / slice cut chop / jump leap / run jog
fall drop / hold grip / hit strike / kill murder / build construct construction / gather collect collection
mend darn / fill populate / expand enlarge / reduce decrease lower lessen / increase raise boost
grab seize / modify change alter / fasten attach / destroy demolish / revamp redesign / perform execute
cook prepare / fly flight / worth value / pin pincode / quantity amount / feature functionality
folder directory / function subroutine / delay postpone / permission consent / forbid prohibit
restaurant eatery / lose misplace / steal theft stolen / swallow gulp / calories calorie / bill invoice
nearest closest / near nearby
"""

_IRREGULAR: Final = """
went gone goes go/did done does do/had has have/was were been be/said say/made make/took taken take/came come
saw seen see/knew known know/got gotten get/gave given give/found find/thought think/told tell/became become
left leave/felt feel/brought bring/began begun begin/kept keep/held hold/wrote written write/stood stand/heard hear
meant mean/met meet/ran run/paid pay/sat sit/spoke spoken speak/led lead/grew grown grow/lost lose/fell fallen fall
sent send/built build/understood understand/drew drawn draw/broke broken break/spent spend/rose risen rise
drove driven drive/bought buy/wore worn wear/chose chosen choose/ate eaten eat/flew flown fly/forgot forgotten forget
froze frozen freeze/sold sell/stole stolen steal/swam swum swim/taught teach/threw thrown throw/won win/woke woken wake
caught catch/fought fight/hid hidden hide/drank drunk drink/sang sung sing/slept sleep/shook shaken shake/rang rung ring
shot shoot/sought seek/stuck stick/struck strike/swore sworn swear/tore torn tear/wound wind/lent lend/bent bend
dealt deal/dug dig/fed feed/fled flee/hung hang/laid lay/lit light/rode ridden ride/shone shine/bit bitten bite
blew blown blow/burnt burn/learnt learn/dreamt dream/proved proven prove/shown show/sewn sew/born bear/bred breed
bound bind/withdrew withdrawn withdraw/overdrawn overdraw/children child/men man/women woman/people persons person
feet foot/teeth tooth/mice mouse/geese goose/wives wife/lives life/knives knife/leaves leaf/halves half/wolves wolf
shelves shelf/thieves thief/loaves loaf/analyses analysis/crises crisis/theses thesis/criteria criterion
phenomena phenomenon/matrices matrix/indices indexes index/vertices vertex/data datum/media medium/buses bus
dying die/lying lie/tying tie/gases gas/lenses lens/focuses focused focusing focus/statuses status/viruses virus
credited crediting credit/debited debiting debit/edited editing edit/deposited depositing deposit/quizzes quiz
"""

IRREGULAR: Final = {
    form: family.split()[-1]
    for family in _IRREGULAR.replace("\n", "/").split("/")
    for form in family.split()[:-1]
}
"""Base form by irregular form."""

_SPELLINGS: Final = """
colour color/favour favor/favourite favorite/behaviour behavior/neighbour neighbor/honour honor/labour labor
flavour flavor/harbour harbor/humour humor/rumour rumor/odour odor/armour armor/vapour vapor/grey gray
programme program/centre center/theatre theater/metre meter/litre liter/fibre fiber/licence license/defence defense
offence offense/catalogue catalog/dialogue dialog/tyre tire/organise organize/organisation organization
authorise authorize/authorisation authorization/recognise recognize/realise realize/optimise optimize
optimisation optimization/summarise summarize/analyse analyze/customise customize/minimise minimize
maximise maximize/categorise categorize/apologise apologize/initialise initialize/normalise normalize
visualise visualize/tokenise tokenize/serialise serialize/specialise specialize/utilise utilize/memorise memorize
prioritise prioritize/standardise standardize/capitalise capitalize/finalise finalize/personalise personalize
judgement judgment/ageing aging/plough plow/sceptical skeptical/aluminium aluminum/mum mom/pyjamas pajamas
thier their/recieve receive/teh the/seperate separate/definately definitely/occured occurred/untill until
wich which/becuase because/adress address/acount account/tranfer transfer/tranfers transfers/trasfer transfer
transfered transferred/tommorow tomorrow/tommorrow tomorrow/calender calendar/recomend recommend/restaraunt restaurant
restaurent restaurant/whats what's/hows how's/wheres where's/whos who's/dont don't/doesnt doesn't/didnt didn't
cant can't/wont won't/isnt isn't/arent aren't/wasnt wasn't/werent weren't/havent haven't/hasnt hasn't/couldnt couldn't
shouldnt shouldn't/wouldnt wouldn't/im i'm/ive i've/thats that's/u you/ur your/pls please/plz please/thx thanks
wanna want/gonna going/gotta got/cuz because/bc because/govt government/info information/approx approximately
"""

SPELLINGS: Final[dict[str, str]] = dict(
    pair.split(" ", 1) for pair in _SPELLINGS.strip().replace("\n", "/").split("/")
)
"""The spelling that stands for a British, shortened or often mistyped one. All are unambiguous."""


def _groups() -> dict[str, str]:
    """First mention wins: a word belongs to one group."""
    groups: dict[str, str] = {}
    for group in _GROUPS.strip().replace("\n", " / ").split(" / "):
        head, *rest = group.split()
        name = groups.get(head, head)
        for word in (head, *rest):
            groups.setdefault(word, name)
    return groups


SYNONYM_GROUPS: Final = _groups()
"""The word that stands for its family or group, by base form."""
