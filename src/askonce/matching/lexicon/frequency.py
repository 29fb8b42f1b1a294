"""How common words are in questions and plain text, in four bands.

Counted by document share on licence-clean texts (assistant and bank questions, prompts, encyclopedia sentences), as the
geometric mean over the kinds of text, so that no one subject's words seem common.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BANDS"]

BANDS: Final = (
    """
    account add after all another appears applied asked back because before between call came cancel card change
    charged city company completed country current different direct find form get given go help hold home in
    information know last left let like limit list long look lost make many mean more much name need new next now
    number only order other out over payment people phone place played problem process purchase rate reason replaced
    return say see sent set showing since soon start still take tell through time today top transaction transfer
    travel type until up use used want while work written
    """,
    """
    able accepted access activities address again age allowed amount answer app approved area around arrived
    available bad balance bank based believe bill born both break built business car carry check children choose
    clear close code confirm contact contains convert correct cost credit date decide declined delivered described
    details doing down during each eat end enough entered even everything exchange expect explain fact family far
    fee few fill film fix flight following free friend full function funds happened hear here high history hotel
    idea including increase instead interest international job keep kind language large later learning life line
    link live local longer low lower machine man maybe meetings message method money most moved near nearest of off
    offered often old on once one online opened own part paycheck per performed plan points policy possible post
    present previous program provide put question quickly read real recent recently red remove report request
    required restaurant result reviews right run same service several shopping side signed single small someone
    something song specific spent state statement status step stolen stop store support supposed sure system table
    talk text things think total track tried true turn under understand update usually value visit wait way well
    world yet
    """,
    """
    above according acting activate active actual additional advise against ago ahead air airlines airport almost
    along already alternative always angeles animals anymore anything approximately assistance associated attended
    auto average aware away band became behind belong better black blocked blue board body book bring brother
    building bus calculate calendar capital case center central certain church class collection color command common
    community compares computer conditions connect considered consists content continued control cook cool count
    couple covered cross currencies customer cut damaged data daughter david de dead deal death debit definitions
    delete deposit designed determine developed device died dinner direction directly discovery doctor document dogs
    double drawings driving due earlier early edit either electric electronic else energy engine enjoy entire error
    established estimated event every exactly example exists experience expire extra face fair fall false father
    favorite features federal feel field figures file final finally food foreign forgot format forward frame freeze
    future gained game gas green grew groceries group guide half hand handle happy hard head health higher highest
    hit hope however human ice identify identity image important incorrect influences inform initial introduced
    involved island item john jump key la land late latest least led length less level light los lot love lowest
    mail main male managed map mark market married master match mathematics matter maximum meal medical medium
    meeting member mine minimum missing mixed mode morning mother multiple music national necessary negative news
    non normal north noticed noting nyc office oil operated option organization origin original outside package
    paper parents park party passed past period personal physical piece pin plant player popular potential power
    previously primary printed procedure product progress project prove purpose random rather recipe recognize
    recommendations recorded refers regards region regular rejected related released remained remember rent repeat
    represented reservation reset response reverted rewards river road rock role roll root round routing ruled safe
    saved schedule school score sense sentence separate series served share ship short simple site situation size
    skipped smart solution son sort sound source south space special species spell square standard standing station
    stay structure students study style subjects submit successful suddenly suggest sum switch task taught taxes
    team temperature terms test throw ticket tip tires title together tomorrow towards trade traffic trained
    translate trip tv twice union university unknown vacation various verify version via view virtual voice volume
    walk watch water weather weekend west white wife win wish withdrawal wondering wrong yes yesterday york young
    """,
    """
    aa ability aborted abroad abstract acceptable accidentally accountant accurate achieved across action actor
    actress adam addition advanced advantage affected agents agreed ai aircraft al alarm album alerts algorithm
    alice allied alright although among analysis ann announced anyone anyway anywhere apparently appointed
    appointment appreciate appropriate architects argument arm arranged arrangements art article artists assigned
    associations atm attack attractions audio author authorize automatically baby background bag bar barbara
    baseball basic battery bay beat below benefits besides betty binary bird boas bob border boss bot boy branch
    brand bread brick bridge broadcast brown by campaign campus cancer candidate capacity captain captured care
    career cat catch categories categorized celebrated cell ceo challenged championship channel character charles
    chase chat cheese cheque chicken chief childhood chili citizens claim classified clearly club clue co coast
    coffee coin cold collaboration college combined commented commercial communication competition completely
    complex complexity components concrete conducted conference configure conflict confused consistent constant
    constituency consumed contemporary context continuous contrast contributions coordinates copy corner correctly
    corresponds counters county course court cracked crash cream crew crimes critics cuisine cultural daily dance
    dancer dark dave debated default defeated definitely demands denied department departure depending despite
    destroyed detect dice diego difficulties digits director disabled discount discuss dish disposable dispute
    distance distributed district divided dr drinking duplicate dynamics dynasty earth east eastern economic editor
    education effective effects eggs el election elements eliminated elizabeth email employed employer empty
    engaging engineer ensure entertainment entities entitled entrepreneur entry environment episode equal equations
    especially etc evaluation evening eventually everywhere exact examination exception exit expanded expensive
    experts explore expressed extended extract facilities factor factory failed famous faster favor female fiat
    financial fine fires fish flat flip floor flows focused football forces forecast formal former formerly formula
    fought founded francisco frank fraud fraudulent freedom frequent friendly fuel fully fun functional funny
    further garden gastropod gate general geometry george gift girls goal god gold government governor graduated
    grammar grammatical grand grandson grant gross guest guitar hair hall handful headquarters healthy heart hello
    hi hidden highway himself historic historical hobbies hometown hospital host hot hung husband id ill illustrated
    impact import importance impression improve incident income incorporated independent indicates individuals
    industrial industry ingredients initiate input inside insight inspired instance institutions instructions
    instruments insurance interactive interpretation interviews introduction invented investigated investment
    invited itself james jazz jean jerry jersey jet jim joe joined joint joke josh judge killed king korea labels
    larger largest launched laundry law lawyer leader league lee lessons letter lexington library likely lisa
    listening literature locally locked log lord luggage lunch lyrics madison magnetic mainly maintained major
    majority manager manual marine marker martins mary material mathematical matrix max measure mechanical
    mechanisms medicine melting memory mentioned merchant merged merger metal michael mid migrated military milk
    mind mobile model modern modules mollusk mom monthly mortgage mount mountain movement mugged museum musical
    native natural nature navy neighbors network northern novel object observed occupied odd official ok okay olive
    operation operator optimized orange orchestra originally otherwise outlets outlined output overall overseas
    pacific pack page painter painting pair panels paragraph parameters partial participated particular passengers
    password pattern pending performance permission personality peter pets phase phrase platform playlist plot plug
    poem poet police political politician politics pop popularity population port positions positive possibilities
    postponed powerful practice praised pre prefer preference president pressure pretty prevented prime principal
    private probability production professional professor profit promising promoted proof proper properly properties
    proposals proposed protect protocols province pto public pull pumped quality quantum quarter quiet quotes races
    radio range rank rare rays reaction ready realized recall recipient recover reference reflect refund refuse
    register regulate relationship relative relevant remind reminder remote renamed renew rental representative
    research residents resides resolution resolve resource respect rest restored restrictions retired retrieve
    reveal reversed ridden rise risk robert robin roger room row royal ruth salt sample san sang santa sarah sauce
    savings scenes scheme science scrapped screen script sea season seats secondary secret secretary sections secure
    security self senior sequence session settled shaped shipping shot shots significantly similar singer sioux sir
    sister sitting skills sky slightly slow smaller smith smooth snail social software solar sold soldiers solve
    somewhat somewhere soup southeast southern southwest spaghetti speaker specified speech speed spirit split
    sports spot spread st staff stage stars stating steve stock stored story streaming string strong stuck studio
    sub succeeded successfully sugar summer supply surface surprised survey suspicious symbol tank td teachers
    technical technology terminate thank theatre theme theory thomas though throughout tim timer timezone tom tone
    tool topic touches tour tourist tournament toys tradition traditional transition transport transportation
    treated tree tributary triple trust tune typical unblock underlying unique united units unlock unsuccessful
    unsure upon ups user vaccines valid valley variable varies variety vector vehicle verse video village volunteer
    votes wallet war warm warning wave web website weighs western whisper wide widely wild william wine wings winter
    woman wore worldwide yellow zone
    """,
)
"""Words that are the most common hundred, and those up to rank 300, 700 and 1500; one word of each family."""
