"""Pairs of words that turn a question into another one."""

from __future__ import annotations

from typing import Final

__all__ = ["ANTONYM_PAIRS", "NEGATING_PREFIXES", "NEGATING_SUFFIXES"]

_PAIRS: Final = """
on/off in/out up/down over/under above/below inside/outside upstairs/downstairs before/after until/since with/without
for/against front/back forward/backward forwards/backwards here/there left/right top/bottom upper/lower north/south
east/west northern/southern eastern/western horizontal/vertical clockwise/counterclockwise inbound/outbound
inner/outer internal/external interior/exterior inward/outward local/remote local/global foreign/domestic
national/international indoor/outdoor indoors/outdoors onshore/offshore online/offline near/far close/distant
first/last first/final earliest/latest early/late earlier/later former/latter previous/next past/future
ancient/modern old/new old/young older/younger oldest/newest oldest/youngest new/used start/stop start/end start/finish
begin/end begin/finish begin/stop beginning/end continue/stop pause/resume play/pause open/close open/shut
opening/closing enter/exit enter/leave arrive/depart arrive/leave arrival/departure come/go stay/leave
enable/disable activate/deactivate activate/cancel allow/block allow/deny allow/forbid allow/prevent allow/prohibit
permit/forbid permit/prohibit accept/reject accept/decline accept/refuse approve/reject approve/decline approve/deny
approve/disapprove grant/revoke grant/deny lock/unlock freeze/unfreeze block/unblock mute/unmute hide/show
hide/reveal show/conceal visible/hidden visible/invisible expand/collapse maximize/minimize maximum/minimum max/min
increase/decrease increase/reduce increase/lower increase/cut raise/lower raise/reduce rise/fall grow/shrink
gain/lose gain/loss win/lose winner/loser win/loss profit/loss success/failure succeed/fail pass/fail
more/less more/fewer most/least most/fewest many/few much/little high/low higher/lower highest/lowest
big/small bigger/smaller biggest/smallest large/small larger/smaller largest/smallest long/short longer/shorter
longest/shortest tall/short taller/shorter tallest/shortest wide/narrow wider/narrower deep/shallow thick/thin
heavy/light heavier/lighter heaviest/lightest fast/slow faster/slower fastest/slowest quick/slow quickest/slowest
good/bad better/worse best/worst great/terrible positive/negative advantage/disadvantage pro/con benefit/drawback
benefit/risk strength/weakness strong/weak stronger/weaker strongest/weakest easy/hard easy/difficult
easier/harder easiest/hardest simple/complex simple/complicated simplify/complicate hot/cold hotter/colder
hottest/coldest warm/cool warmer/cooler warmest/coolest heat/cool heating/cooling wet/dry dry/humid cheap/expensive
cheaper/pricier cheapest/priciest rich/poor richest/poorest full/empty fill/empty clean/dirty bright/dark
brighter/darker brighten/darken dim/brighten loud/quiet louder/quieter soft/hard smooth/rough sharp/blunt
happy/sad love/hate like/dislike like/hate friend/enemy ally/enemy hero/villain war/peace right/wrong true/false
yes/no correct/incorrect correct/wrong safe/dangerous safe/unsafe legal/illegal guilty/innocent public/private
free/paid free/busy open/private alive/dead live/die life/death birth/death born/died male/female man/woman
men/women boy/girl husband/wife father/mother dad/mom son/daughter brother/sister uncle/aunt nephew/niece
king/queen prince/princess groom/bride mr/mrs grandfather/grandmother actor/actress parent/child adult/child
human/machine human/animal teacher/student doctor/patient lawyer/client landlord/tenant employer/employee
manager/employee host/guest buyer/seller buy/sell purchase/sell purchase/sale sender/recipient sender/receiver
send/receive sent/received give/take lend/borrow lender/borrower loan/deposit
deposit/withdraw deposit/withdrawal credit/debit debtor/creditor asset/liability income/expense revenue/cost
earn/spend earn/lose save/spend save/delete save/discard pay/refund charge/refund import/export importer/exporter
upload/download upgrade/downgrade install/uninstall install/remove subscribe/unsubscribe follow/unfollow
like/unlike add/remove add/delete add/subtract addition/subtraction multiply/divide multiplication/division
insert/delete insert/remove create/delete create/destroy build/destroy build/demolish append/prepend push/pull
push/pop attach/detach connect/disconnect link/unlink pair/unpair join/leave join/quit join/split merge/split
merge/separate mount/unmount bind/unbind register/unregister register/deregister register/cancel login/logout
signin/signout check-in/check-out checkin/checkout encrypt/decrypt encode/decode encoding/decoding encryption/decryption
compress/decompress compress/extract zip/unzip pack/unpack serialize/deserialize parse/serialize compile/decompile
read/write readable/unreadable input/output producer/consumer produce/consume supply/demand server/client
host/client request/response question/answer ask/answer master/slave primary/secondary primary/replica parent/sibling
row/column width/height latitude/longitude length/width ascending/descending ascend/descend sort/shuffle
increment/decrement prefix/suffix uppercase/lowercase bold/italic odd/even prime/composite rational/irrational
real/imaginary real/fake natural/artificial natural/synthetic organic/inorganic organic/synthetic static/dynamic
mutable/immutable synchronous/asynchronous sync/async sequential/parallel serial/parallel active/passive
active/inactive active/idle online/away manual/automatic manually/automatically temporary/permanent
temporarily/permanently partial/full partial/complete partially/fully absolute/relative abstract/concrete
explicit/implicit direct/indirect singular/plural same/different similar/different alike/different equal/unequal
include/exclude including/excluding inclusive/exclusive mandatory/optional required/optional compulsory/voluntary
always/never always/sometimes often/rarely often/seldom usually/rarely frequent/rare common/rare common/unusual
everyone/nobody everyone/noone everything/nothing everywhere/nowhere everybody/nobody anyone/nobody all/none all/some
all/any both/neither either/neither some/none any/none any/every ever/never and/or only/also day/night daytime/nighttime
morning/evening morning/afternoon morning/night afternoon/evening am/pm sunrise/sunset dawn/dusk today/tomorrow
today/yesterday tomorrow/yesterday tonight/tomorrow weekday/weekend daily/weekly daily/monthly weekly/monthly
monthly/yearly monthly/annual weekly/yearly weekly/annual daily/annual hourly/daily summer/winter spring/autumn
spring/fall breakfast/dinner breakfast/lunch lunch/dinner teach/learn lead/follow attack/defend attack/defense
offense/defense push/drag pick/drop lift/lower load/unload wake/sleep sleep/awake stand/sit remember/forget
remind/forget believe/doubt agree/disagree support/oppose support/criticize praise/criticize encourage/discourage
promote/demote promote/prevent hire/fire employed/unemployed marry/divorce married/divorced married/single
appear/disappear exist/vanish find/lose lost/found keep/discard keep/return keep/cancel keep/delete renew/cancel
renew/expire confirm/cancel confirm/deny schedule/cancel book/cancel order/cancel extend/shorten extend/reduce
lengthen/shorten widen/narrow tighten/loosen strengthen/weaken improve/worsen improve/degrade heal/harm help/harm
cure/cause protect/expose secure/insecure vulnerable/secure treat/cause prevent/cause treatment/cause symptom/cause
symptom/treatment cause/effect cause/consequence source/destination origin/destination theory/practice
hardware/software frontend/backend quantity/quality gross/net pretax/posttax fixed/variable bull/bear bullish/bearish
long-term/short-term inflation/deflation surplus/deficit call/put stock/bond wholesale/retail inhale/exhale
ingest/excrete import/dump acid/base acidic/alkaline anode/cathode proton/electron solid/liquid liquid/gas
reactant/product predator/prey carnivore/herbivore nocturnal/diurnal artery/vein systolic/diastolic
hypertension/hypotension hyperglycemia/hypoglycemia hyperthyroidism/hypothyroidism benign/malignant acute/chronic
major/minor majority/minority maximal/minimal optimist/pessimist optimistic/pessimistic introvert/extrovert
literal/figurative fiction/nonfiction prose/poetry comedy/tragedy formal/informal polite/rude rude/courteous
professional/casual formal/casual serious/funny verbose/concise detailed/brief long/brief ascent/descent
entrance/exit takeoff/landing departure/return outbound/return depart/return one-way/round-trip smoking/nonsmoking
vegetarian/meat vegan/meat decaf/regular boil/freeze melt/freeze freeze/thaw evaporate/condense expand/contract
expand/shrink inflate/deflate accelerate/decelerate accelerate/brake speed/slow advance/retreat forwarding/blocking
whitelist/blacklist allowlist/denylist allowlist/blocklist follower/leader plaintiff/defendant prosecution/defense
victim/attacker attacker/defender home/away ours/theirs mine/yours mine/theirs his/hers black/white dark/light
debit/deposit lower/upper single/multiple minor/adult boiling/melting boiling/freezing boil/melt minimum/average maximum/average mean/median average/total numerator/denominator
"""

ANTONYM_PAIRS: Final = tuple((left, right) for left, right in (pair.split("/") for pair in _PAIRS.split()))
"""Pairs of base forms; the relation holds both ways."""

NEGATING_PREFIXES: Final = (
    "un",
    "in",
    "im",
    "ir",
    "il",
    "dis",
    "non",
    "de",
    "anti",
    "mis",
    "counter",
    "pre",
    "post",
)
"""A word against itself with one of these before it: `active` / `inactive`, `paid` / `prepaid`."""

NEGATING_SUFFIXES: Final = ("less", "free")
"""A word against itself with one of these behind it: `wire` / `wireless`, `sugar` / `sugarfree`."""
