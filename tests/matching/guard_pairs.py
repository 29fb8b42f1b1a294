"""Pairs of questions for the guards: by reason, those that it vetoes, and those that merely look different.

One pair a line, the two texts apart by ` | `.
"""

from __future__ import annotations

from typing import Final

__all__ = ["HARMLESS", "VETOED"]


def _pairs(lines: str) -> list[tuple[str, str]]:
    pairs = []
    for line in lines.strip().splitlines():
        left, _, right = line.replace("\\n", "\n").partition(" | ")
        pairs.append((left, right))
    return pairs


VETOED: Final = {
    "antonym": _pairs("""
is the free plan enough | is the paid plan enough
the first episode of Dark | the last episode of Dark
List the pros of solar power | List the cons of solar power
Rewrite in a formal tone: hey there | Rewrite in a casual tone: hey there
Rewrite the following in a formal tone:\\nhey | Rewrite the following in a casual tone:\\nhey
what is the boiling point of water in kelvin | what is the melting point of water in kelvin
can minors vote | can adults vote
what's Ann's brother called | what's Ann's sister called
"""),
    "choice-differs": _pairs("""
Should I pay off my mortgage or invest? | Should I pay off my mortgage and invest?
"""),
    "code-differs": _pairs("""
what does `x` mean in the text | what does the text mean
what does `Map` do in the loop | what does map do in the loop
what does `ls -l` show | what does `ls -a` show
foo_bar function docs | foo_baz function docs
delete ~/tmp/a | delete ~/tmp/b
explain what arr[1:] does | explain what arr[:1] does
np.zeros((3, 4)): how many rows | np.zeros((4, 3)): how many rows
git push --force origin | git push --force-with-lease origin
"""),
    "direction-differs": _pairs("""
refunds within 30 days | refunds after 30 days
can I swim before lunch | can I swim after lunch
lock the door before the window opens | the window opens before lock the door
add the eggs then the milk | add the milk then the eggs
first wash the rice, then boil it | first boil the rice, then wash it
Did Ann sue Bob? | Did Bob sue Ann?
Which bank did Santander buy? | Which bank bought Santander?
who do doctors teach | who teaches the doctors
Which teams depend on the billing service? | Which teams does the billing service depend on?
Did Google sue Oracle? | Did Oracle sue Google?
Is Mount Etna higher than Mont Blanc? | Is Mont Blanc higher than Mount Etna?
what do I owe you | what do you owe me
translate cheese into french | translate french into cheese
turn on the radio and turn off the tv | turn off the radio and turn on the tv
wifi on, bluetooth off | wifi off, bluetooth on
who replaced "Alpha" with "Beta" | who replaced "Beta" with "Alpha"
12 divided by 4 | 4 divided by 12
send 10 dollars and 5 euros | send 5 dollars and 10 euros
Should the buyer pay the seller? | Should the seller pay the buyer?
who is the son of Philip | who is Philip the son of
how do I get from the station to the airport | how do I get from the airport to the station
I bought the car from Ann | I bought the car for Ann
the lawyer hired the witness | the witness hired the lawyer
how do I change x from 3 to 5 | how do I change x from 5 to 3
is tax paid before or after discounts | is tax paid on discounts
mix A into B | mix B into A
is it safe during pregnancy | is it safe after pregnancy
"""),
    "entity-differs": _pairs("""
are the taxes due in the EU | are the taxes due in the US
Who is Ada Lovelace? | Who is Alan Turing?
Summarize the plot of Hamlet | Summarize the plot of Othello
Answer in English: wie geht es dir | Answer in German: wie geht es dir
Plan a trip to Oslo in May | Plan a trip to Oslo in June
I need my May bill as a PDF | I need my March bill as a PDF
What's the time difference between London and Tokyo? | What's the time difference between London and Seoul?
meeting on Tuesday | meeting on Thursday
"""),
    "language-differs": _pairs("""
wie hoch ist die Miete | how high is the rent
"""),
    "negation-differs": _pairs("""
what if I do not pay the rent | what if I pay the rent
is it possible to pay late | is it impossible to pay late
neither team won | both teams won
do I have to register | don't I have to register
never add salt | always add salt
can I fly with no passport | can I fly with a passport
is it not open today | is it open today
"""),
    "number-differs": _pairs("""
set a timer for 3 pm | set a timer for 3 am
five million people | five billion people
name at least three rivers | name at most three rivers
name three rivers | name at least three rivers
is it open for people over 18 | is it open for people under 18
convert 3/4 to decimal | convert 3/5 to decimal
flights on 3 March 2024 | flights on 4 March 2024
flights on 2024-03-04 | flights on 2024-04-03
what is twenty one plus two | what is twenty two plus two
Generate a password with 12 characters | Generate a password with 16 characters
Explain tides like I am five | Explain tides like I am a physicist
0.5 mg of aspirin | 5 mg of aspirin
-5 degrees | 5 degrees
10,5 euros | 10.5 euros
v1.2.3 release notes | v1.2.4 release notes
half a cup of milk | a cup of milk
meeting at noon | meeting at midnight
in the first quarter of 2023 | in the third quarter of 2023
open from 9 to 5 | open from 9 to 6
call 555-1234 | call 555-1243
"""),
    "person-differs": _pairs("""
what did he say to the press | what did she say to the press
"""),
    "quantifier-differs": _pairs("""
list all my invoices | list some of my invoices
both accounts are locked | either account is locked
only members can vote | all members can vote
most birds can fly | all birds can fly
a few guests left early | most guests left early
"""),
    "question-differs": _pairs("""
when is the strike | where is the strike
"""),
    "quoted-differs": _pairs("""
Translate to German: the bill please | Translate to German: the check please
Classify the sentiment of this review:\\nThe screen cracked. | Classify the sentiment of this review:\\nThe screen shines.
The screen cracked.\\nClassify the sentiment of this review. | The screen shines.\\nClassify the sentiment of this review.
Extract the names: Ann met Bob | Extract the names: Ann met Tom
What is the sentiment of the review: the soup was cold | What is the sentiment of the review: the soup was superb
Convert this to JSON: name Ann | Convert this to JSON: name Tim
Tweet: I love rain. Sentiment? | Tweet: I dread rain. Sentiment?
Text: "the train was late"\\nLabel: | Text: "the train was early"\\nLabel:
Fix the grammar: she go home | Fix the grammar: she goes home
Is "bank" a noun? | Is "bark" a noun?
"""),
    "slot-differs": _pairs("""
explain inflation to an undergraduate | explain inflation to a professor
write a poem about autumn leaves | write a poem about city traffic
Act as a lawyer and review my contract | Act as a doctor and review my contract
Draft an email to my boss about a raise | Draft an email to my landlord about a raise
summarize the plot of hamlet | summarize the plot of othello
Describe a sunset for a blind person | Describe a sunset for a deaf person
Write a haiku about snow | Write a limerick about snow
Write tests for the parser in Go | Write tests for the lexer in Go
"""),
    "symbol-differs": _pairs("""
is 2 < 3 | is 2 > 3
what does x++ do | what does ++x do
does && short-circuit in bash | does & short-circuit in bash
"""),
    "unit-differs": _pairs("""
how far is 5 km in feet | how far is 5 miles in feet
is 20 euros enough for lunch | is 20 pounds enough for lunch
Compare iPhone and Pixel cameras | Compare iPhone and Galaxy cameras
how tall is the tower in metres | how tall is the tower in feet
"""),
    "url-differs": _pairs("""
who owns ann@corp.example | who owns bob@corp.example
what is on https://a.example/1 | what is on https://a.example/2
"""),
}
"""Reason → pairs that it forbids."""

HARMLESS: Final = _pairs("""
Which countries does France border? | Which countries border France?
What time does the shop close | what time the shop closes
What documents do I need for a loan | what documents needed for a loan
Who does the cleaning at the clinic | who cleans the clinic
np.zeros((3, 4)) shape | np.zeros((3,4)) shape
what does `git reset --hard` do | what does git reset --hard do
The screen says "payment pending". Why? | why does the screen say that my payment is pending
How much is 15% of my salary? | how much is fifteen percent of my salary
how long is a 5 km walk | how long is a 5 kilometre walk
What happened on 4 July 2024? | what happened on July 4th, 2024
What happened on 2024-07-04? | what happened on the 4th of July 2024
is the museum open on 12 May 2023 | is the museum open on May 12, 2023
who leads the European Union | who leads the EU
Visa rules for the United Kingdom | visa rules for the UK
population of the USA | population of the United States of America
HOW DO I INSTALL DOCKER ON UBUNTU | how do I install Docker on Ubuntu
Could you kindly tell me how I cancel my plan? | how do I cancel my plan
can't log in to my account | cannot log into my account
where are my cats | where is my cat
send 250 dollars to Ann | send two hundred and fifty dollars to Ann
send $1,500 to Ann | send fifteen hundred dollars to Ann
Who killed Caesar? | By whom was Caesar killed?
Did Brutus kill Caesar? | Was Caesar killed by Brutus?
Shakespeare wrote Hamlet | Hamlet was written by Shakespeare
After I pay, when does the parcel ship? | When does the parcel ship after I pay?
In 2019, who won the cup? | who won the cup in 2019
My card is lost. How do I block it? | my card is lost, how do I block it
the meeting is at 3 pm today | the meeting is at 15:00 today
is it 20 degrees Celsius in Rome | is it 20°C in Rome
is 100 EUR enough | is €100 enough
is USD 20 enough | is $20 enough
drive at 50 miles per hour | drive at 50 mph
can I bring a friend or not | can I bring a friend
what are the rules whether or not I pay | what are the rules whether I pay
Translate to French: good morning | translate to French:   Good morning
Summarize this text:\\nThe cat sat. | Summarize this text: The cat sat.
what does 'cold start' mean | what does cold start mean
I have 2 kids. Can they fly alone? | I have two kids, can they fly alone?
eat before you run | before you run, eat
World War II causes | world war 2 causes
World War II causes | world war ii causes
in the nineteen eighties | in the nineteen eighties please
please book a table for four people | book a table for 4 people
how many ounces are in a pound | how many ounces in one pound
what is three point five times two | what is 3.5 times 2
move files from Dropbox to OneDrive | move files to OneDrive from Dropbox
differences between tea and coffee | differences between coffee and tea
do I need at least 3 photos | do I need no less than three photos
who is older than 18 | who is over 18
turn the heating off in the hall | turn off the heating in the hall
my wife's phone is broken | the phone of my wife is broken
Why was Ann's order cancelled? | why did Ann's order get canceled
tell us about the US economy | Tell me about the economy of the United States
whats the capital of peru | What is the capital of Peru?
i recieved the wrong parcel | I received the wrong parcel
the price rose by ten percent | the price rose by 10%
Hello, I want to know how to change my email address, thank you! | how can I change my e-mail address
find me a flight to Berlin, Germany | find me a flight to Berlin in Germany
Note: how do I reset my router? | how do I reset my router
Hi,\\nhow do I reset my router?\\nThanks | how do I reset my router
I don't know how to reset my PIN | How do I reset my PIN?
no idea how to reset my PIN | how do I reset my PIN
My order #4521 hasn't arrived | my order #4521 has not arrived yet
Please don't forget to remind me at 6pm | remind me at 6 pm
I can't find my card and I don't know what to do | I lost my card, what should I do
The app won't open | the app does not open
Is the shop open on Sundays? | is the shop open on Sunday
How much does it cost to ship to Canada? | what does shipping to Canada cost?
what's the weather like in New York | How's the weather in New York?
flights NYC to LA | flights from New York City to Los Angeles
Ann's email isn't working | Ann's e-mail is not working
Why doesn't it work? | Why isn't it working?
best pizza in Rome | where is the best pizza in Rome?
how old do I have to be to vote in the U.S.? | how old must I be to vote in the USA
can one get a refund | can I get a refund
send it to Bob Smith | send it to bob smith
What is 1/2 of 10? | what is half of 10
how many days are there in February 2024 | number of days in Feb 2024
set an alarm for seven am | set an alarm for 7am
set an alarm for 7 o'clock | set an alarm for 7
is 0.50 enough | is 0.5 enough
I need 2 tickets, please | I need two tickets
convert 10 kg to lbs | convert 10 kilograms to pounds
I was charged 2x | I was charged twice
who's the CEO of Apple | Who is the chief executive officer of Apple?
what is the GDP of the EU | what is the gross domestic product of the European Union
what's the first step? | what is step one
HELP! MY CARD IS STOLEN | help, my card is stolen
Is it ok to eat eggs every day? | is it okay to eat eggs each day
How do I change my password on my iPhone? | how can I change the password on an iPhone
Where do I enter the discount code "SAVE10"? | where do I enter the discount code SAVE10
what does the error 'disk full' mean | what does the error "disk full" mean
Book a flight for the 3rd of May | book a flight for May 3
book a flight for May 3rd | Book a flight for 3 May
""")
"""Pairs that no guard may forbid."""
