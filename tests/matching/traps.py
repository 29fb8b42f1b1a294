"""Look-alikes that must never share an answer, by category, and paraphrases that should.

One pair a line, the two texts apart by ` | `.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PARAPHRASES", "TRAPS"]


def _pairs(lines: str) -> list[tuple[str, str]]:
    pairs = []
    for line in lines.strip().splitlines():
        left, _, right = line.partition(" | ")
        pairs.append((left.replace("\\n", "\n"), right.replace("\\n", "\n")))
    return pairs


TRAPS: Final = {
    "opposites": _pairs("""
how do I turn on dark mode? | how do I turn off dark mode?
How do I enable two-factor authentication? | How do I disable two-factor authentication?
how can I lock my card | how can I unlock my card
How do I freeze my account? | How do I unfreeze my account?
How to increase my credit limit? | How to decrease my credit limit?
should I buy Tesla stock | should I sell Tesla stock
what does the sender pay? | what does the recipient pay?
What is the maximum transfer amount? | What is the minimum transfer amount?
how do I mute incoming calls | how do I mute outgoing calls
can I eat before the blood test | can I eat after the blood test
How do I subscribe to the newsletter? | How do I unsubscribe from the newsletter?
how do I install the app | how do I uninstall the app
What are the advantages of nuclear power? | What are the disadvantages of nuclear power?
how do I upload a file | how do I download a file
turn the volume up | turn the volume down
how do I log in to my account | how do I log out of my account
What are the pros of remote work? | What are the cons of remote work?
sort the list in ascending order | sort the list in descending order
how to encrypt a file in python | how to decrypt a file in python
How do I deposit money? | How do I withdraw money?
is the water safe to drink | is the water unsafe to drink
How do I open a savings account? | How do I close a savings account?
is this mushroom edible | is this mushroom inedible
How do I add a user to the group? | How do I remove a user from the group?
what is the cheapest plan you offer | what is the most expensive plan you offer
When is the first train to Leeds? | When is the last train to Leeds?
How do I show hidden files? | How do I hide hidden files?
who accepted the offer | who rejected the offer
What causes hypertension? | What causes hypotension?
how do I give up smoking | how do I give smoking
can I get my money back | can I give my money back
Where do I sign up for the trial? | Where do I sign in for the trial?
How to write a formal email? | How to write an informal email?
"""),
    "numbers": _pairs("""
What is 15% of 200? | What is 15% of 300?
convert 5 miles to feet | convert 7 miles to feet
How do I center a div in Bootstrap 4? | How do I center a div in Bootstrap 5?
write 3 haikus about rain | write 5 haikus about rain
what is the square root of 144 | what is the square root of 169
Who was the 16th president of the US? | Who was the 26th president of the US?
what happened in 1945 in Japan | what happened in 1944 in Japan
list five uses of baking soda | list ten uses of baking soda
is the iPhone 12 waterproof? | is the iPhone 13 waterproof?
how do I migrate from python 3.9 to 3.11 | how do I migrate from python 3.9 to 3.12
what is 2 + 2 | what is 2 - 2
what is 6 * 7 | what is 6 / 7
What is the second law of thermodynamics? | What is the third law of thermodynamics?
Summarize World War I in one paragraph | Summarize World War II in one paragraph
how many calories are in two eggs | how many calories are in three eggs
transfer $50 to savings | transfer $500 to savings
translate chapter 4 of the book | translate chapter 14 of the book
how long to boil a 1.5 kg lobster | how long to boil a 2.5 kg lobster
is a twenty percent tip normal | is a thirty percent tip normal
What is the speed limit on the A1? | What is the speed limit on the A4?
What is -5 plus 8? | What is 5 plus 8?
explain error 404 | explain error 403
"""),
    "units": _pairs("""
how much is 5 km in feet | how much is 5 miles in feet
What is 100 USD in yen? | What is 100 EUR in yen?
what is 20 celsius in kelvin | what is 20 fahrenheit in kelvin
How many grams are in a cup of flour? | How many ounces are in a cup of flour?
how many minutes are in a year | how many seconds are in a year
what is my monthly fee | what is my yearly fee
how much is £20 worth | how much is €20 worth
set a timer for 10 minutes | set a timer for 10 hours
how big is 2 GB of data | how big is 2 MB of data
a 5 kg turkey needs how long in the oven | a 5 lb turkey needs how long in the oven
is 10% a good return | is 10 a good return
convert 3 cups of sugar | convert 3 tablespoons of sugar
"""),
    "dates": _pairs("""
What is the weather on Monday? | What is the weather on Friday?
is the bank open on July 4 | is the bank open on July 5
Which holidays are in March? | Which holidays are in April?
what happened on 11 September 2001 | what happened on 12 September 2001
Schedule a meeting for 3 pm | Schedule a meeting for 3 am
book a table for 7:30 | book a table for 8:30
what is on tv today | what is on tv tomorrow
show my spending for last month | show my spending for this month
When is Easter 2024? | When is Easter 2025?
will it rain in the morning | will it rain in the evening
what was the inflation rate in 2021 | what was the inflation rate in 2022
do you deliver on weekdays | do you deliver on weekends
"""),
    "entities": _pairs("""
What is the capital of France? | What is the capital of Italy?
how do I say hello in spanish | how do I say hello in french
What is the population of Austria? | What is the population of Australia?
Who is the president of Slovakia? | Who is the president of Slovenia?
how do I sort a list in python | how do I sort a list in java
how do I install docker on windows | how do I install docker on linux
best restaurants in paris | best restaurants in rome
What did Newton discover? | What did Einstein discover?
who wrote Hamlet | who wrote Macbeth
how do I take a screenshot on mac | how do I take a screenshot on android
What is the GDP of Iran? | What is the GDP of Iraq?
how do I cancel netflix | how do I cancel spotify
What is vitamin C good for? | What is vitamin D good for?
is Apple a good stock to buy | is Microsoft a good stock to buy
how do I transfer to PayPal | how do I transfer to Venmo
What does John Smith do at the company? | What does Jane Smith do at the company?
is postgres faster for reads | is mysql faster for reads
What is the exchange rate for the dollar? | What is the exchange rate for the euro?
how old is Tom Hanks | how old is Tom Cruise
what is the time in tokyo | what is the time in sydney
symptoms of hepatitis A | symptoms of hepatitis B
"""),
    "negation": _pairs("""
Which countries are in the EU? | Which countries are not in the EU?
can I use the card abroad | can't I use the card abroad
What foods should I eat with diabetes? | What foods should I not eat with diabetes?
how do I pay with a fee | how do I pay without a fee
why is my card working | why isn't my card working
Do I need a visa for Japan? | Don't I need a visa for Japan?
is it illegal to record a call | is it legal to record a call
give me a recipe with nuts | give me a recipe with no nuts
What happens if I pay my bill? | What happens if I never pay my bill?
list the files except logs | list the files and logs
Should I tell my boss about this? | Should I not tell my boss about this?
which planets have moons | which planets have no moons
my transfer has arrived | my transfer has not arrived
are all birds able to fly | are all birds unable to fly
"""),
    "direction": _pairs("""
convert from python to R | convert from R to python
flights from Berlin to Madrid | flights from Madrid to Berlin
how do I convert usd to eur | how do I convert eur to usd
translate this text from German into English | translate this text from English into German
Did Brutus kill Caesar? | Did Caesar kill Brutus?
Is Paris bigger than London? | Is London bigger than Paris?
migrate from mysql to postgres | migrate from postgres to mysql
how to convert pdf to word | how to convert word to pdf
move money from savings to checking | move money from checking to savings
letters from Alice to Bob | letters from Bob to Alice
why do dogs chase cats | why do cats chase dogs
who did Anna introduce to Peter | who did Peter introduce to Anna
how do I import contacts from Gmail | how do I import contacts to Gmail
How did the father feel about his son? | How did the son feel about his father?
subtract the tax from the price | subtract the price from the tax
how many meters are in a mile | how many miles are in a meter
Is Spain in Europe? | Is Europe in Spain?
what is 10 divided by 5 | what is 5 divided by 10
is a wolf the ancestor of a dog | is a dog the ancestor of a wolf
I was charged twice | I charged twice
is a book by Tolstoy | is a book about Tolstoy
who is Ann's father | who is Ann the father of
turn wifi on and bluetooth off | turn wifi off and bluetooth on
"""),
    "quantifiers": _pairs("""
delete all my messages | delete some of my messages
can every user see the report | can any user see the report
show me most recent orders | show me least recent orders
Do all employees get a bonus? | Do few employees get a bonus?
list at least three options | list at most three options
are both accounts free | is neither account free
is it always hot in Dubai | is it sometimes hot in Dubai
how often should I water a cactus | how rarely should I water a cactus
only admins can post | all admins can post
which is the best laptop | which are the two best laptops
how much water do I need | how many waters do I need
how long is the bridge | how old is the bridge
"""),
    "scope": _pairs("""
What is the return policy for EU customers? | What is the return policy for US customers?
How much does the business plan cost? | How much does the personal plan cost?
shipping time for domestic orders | shipping time for international orders
What is the tax rate for companies in Germany? | What is the tax rate for companies in Spain?
fees for premium members | fees for standard members
Is parental leave paid in California? | Is parental leave paid in Texas?
what is the limit for debit cards | what is the limit for credit cards
explain recursion to a child | explain recursion to a professor
How do I reset my password? | How do I reset my admin password?
best cheap hotels in Vienna | best luxury hotels in Vienna
best hotels in Vienna | best hotels in Vienna for families
What are the rules for students? | What are the rules for teachers?
is the app free | is the app free for nonprofits
write a poem about the sea | write a story about the sea
How do I get a refund? | How do I get a refund for a subscription?
what is the dosage of ibuprofen for adults | what is the dosage of ibuprofen for children
"""),
    "tense": _pairs("""
Who is the president of Brazil? | Who was the president of Brazil?
Did the package arrive? | Will the package arrive?
What is the best selling phone? | What was the best selling phone?
is the server down | was the server down
who won the world cup | who will win the world cup
what movies are in cinemas | what movies were in cinemas
when does the sale end | when did the sale end
Who leads the league? | Who led the league?
"""),
    "persons and question words": _pairs("""
what is my name | what is your name
what did he say about his car | what did she say about her car
When is the meeting in Rome? | Where is the meeting in Rome?
who invented the telephone in Italy | when was the telephone invented in Italy
How do I cancel my order? | Why do I cancel my order?
can I take ibuprofen with alcohol | should I take ibuprofen with alcohol
how much does the course cost | how long does the course last
how far is the moon | how big is the moon
what do I owe you | what do you owe me
should I choose tea or coffee | should I choose tea and coffee
when do I have to pay my bill | pay my bill
what time is it in the office | what day is it in the office
"""),
    "code": _pairs("""
what does `map` do in the loop | what does `filter` do in the loop
What does getUser() return here? | What does getuser() return here?
fix the bug in parse_date please | fix the bug in parse_time please
what does git reset --hard do | what does git reset --soft do
what is the difference between -v and -q | what is the difference between -V and -q
explain /etc/hosts to me | explain /etc/passwd to me
how do I use os.path.join well | how do I use os.path.split well
is C faster to learn | is C++ faster to learn
how do I compile C# code | how do I compile C code
open https://example.com/a in the browser | open https://example.com/b in the browser
mail the report to ann@example.com | mail the report to bob@example.com
explain x == y in the code | explain x != y in the code
what does a > b mean here | what does a < b mean here
rename userId in the schema | rename userid in the schema
what does SELECT a FROM t; return | what does SELECT b FROM t; return
write a regex for `\\d+` strings | write a regex for `\\D+` strings
what does #include do in the file | what does #define do in the file
who is @alice on the server | who is @bob on the server
"""),
    "quotations": _pairs("""
what does "bear" mean in finance | what does "bull" mean in finance
Who said "I have a dream" first? | Who said "I have a plan" first?
search the log for 'ERROR' lines | search the log for 'error' lines
how many letters are in "banana" | how many letters are in "bananas"
define the word "affect" for me | define the word "effect" for me
replace "cat" with "dog" in the text | replace "dog" with "cat" in the text
"""),
    "templated translation": _pairs("""
Translate to French: good morning | Translate to French: good night
Translate to French: good morning | Translate to German: good morning
Translate the following sentence into Spanish: I am happy | Translate the following sentence into Spanish: You are happy
translate good morning to french | translate good evening to french
translate he is here to spanish | translate she is here to spanish
translate the dog to italian | translate a dog to italian
How do you say thank you in japanese? | How do you say excuse me in japanese?
Translate into Polish:\\nWhere is the station? | Translate into Polish:\\nWhere is the airport?
Fix the punctuation: lets eat grandma | Fix the punctuation: lets eat, grandma
Capitalize correctly: the us army | Capitalize correctly: the US army
Translate to French: Hello | Translate to French: hello you
paraphrase I never said she stole my money | paraphrase she never said I stole my money
"""),
    "templated classification": _pairs("""
Classify the sentiment: I love this phone | Classify the sentiment: I hate this phone
Classify the sentiment: the food was great | Classify the sentiment: the food was not great
Is the following review positive or negative? Great service | Is the following review positive or negative? Slow service
Extract the city: I live in Boston | Extract the city: I live in Denver
Label this ticket: cannot log in | Label this ticket: cannot pay
Summarize the article: The cat sat. | Summarize the article: The dog sat.
Is this spam?\\nYou won a prize | Is this spam?\\nYou won a game
Which language is this: bonjour | Which language is this: buongiorno
Write a product description for a red bag | Write a product description for a blue bag
Write a haiku about spring rain | Write a haiku about winter rain
Explain photosynthesis like I'm five | Explain photosynthesis like I'm fifteen
Is 17 a prime number? | Is 21 a prime number?
"""),
    "languages": _pairs("""
What is the capital of Peru? | ¿Cuál es la capital de Peru?
how do I pay | wie kann ich mit der Karte bezahlen
¿Dónde está el banco? | ¿Dónde está el hospital?
東京の天気 | 大阪の天気
comment puis-je ouvrir un compte | comment puis-je fermer un compte
Как открыть счёт | Как закрыть счёт
"""),
}

PARAPHRASES: Final = {
    "politeness": _pairs("""
How do I reset my password? | Hi, could you please tell me how to reset my password? Thanks!
What is the capital of France? | what's the capital of france
how can I cancel my order | How do I cancel my order?
tell me how to bake bread | please tell me how to bake bread
How long does shipping to Spain take? | how long will shipping to Spain take
WHAT IS THE EXCHANGE RATE FOR EUROS? | what is the exchange rate for euros
Can you help me unlock my card? | help me unlock my card please
I would like to know my account balance | tell me my account balance
"""),
    "opposites": _pairs("""
how do I turn off dark mode? | how can I switch off dark mode
turn the lights off in the kitchen | turn off the lights in the kitchen
How do I enable two-factor authentication? | what are the steps to enable two factor authentication
how do I log in to my account | how can I sign in to my account
What is the maximum transfer amount? | what's the maximum amount of a transfer
what are the advantages of nuclear power | what are some advantages of nuclear power?
"""),
    "numbers": _pairs("""
what is 15% of 200 | What is 15 percent of 200?
write 3 haikus about rain | write three haikus about rain
Who was the 16th president of the US? | who was the sixteenth president of the United States
Summarize World War II in one paragraph | summarize the second world war in one paragraph
how much is 5 km in feet | How much is 5 kilometers in feet?
transfer $50 to savings | transfer 50 dollars to savings
what is 10,000 divided by 4 | what is 10000 divided by 4
is a 5k run hard | is a 5 k run hard
"""),
    "dates": _pairs("""
what happened on 11 September 2001 | What happened on September 11, 2001?
Schedule a meeting for 3 pm | schedule a meeting for 3:00pm
is the bank open on July 4 | is the bank open on the 4th of July
when is Easter 2024 | at what date is Easter 2024
"""),
    "entities": _pairs("""
how do I sort a list in python | How can I sort a list in Python?
What is the population of the UK? | what is the population of the United Kingdom
how do I install docker on mac os | how to install Docker on macOS
What is France's capital? | What is the capital of France?
how do I undo a commit in GitHub | how do i undo a commit in github
which countries border Spain and Italy | which countries border Italy and Spain
"""),
    "negation": _pairs("""
why isn't my card working | Why is my card not working?
I can't verify my identity | I am unable to verify my identity
Don't I need a visa for Japan? | do I not need a visa for Japan
my transfer hasn't arrived | My transfer has not arrived.
"""),
    "direction": _pairs("""
convert from python to R | how do I convert from Python to R?
flights to Berlin from Madrid | flights from Madrid to Berlin
move money from savings to checking | please move money from savings to checking
in 2015 how many people visited Rome | how many people visited Rome in 2015
"""),
    "wording": _pairs("""
How do I purchase a ticket? | how can I buy tickets
what is the price of the premium plan | how much does the premium plan cost
where can I find my order history | Where is my order history?
how do I verify my identity | How do I go about verifying my identity?
track the delivery status of my card | track my card's delivery status
What does RSVP mean in an invitation? | what is the meaning of RSVP in an invitation
what is the fastest way to learn chess | what is the quickest way to learn chess
how do I cancel my subscription | what is the process for cancelling my subscription
why was my payment declined | Why did my payment get declined?
how do I delete my account | I want to delete my account
how many people live in Tokyo | what is the number of people living in Tokyo
how do I verify my top-up | How do I verify my topup?
how much does a passport cost | what is the cost of a passport
write a poem about the sea | compose a poem about the sea
how do I recieve a refund | How do I receive a refund?
explain how photosynthesis works in plants | can you explain how photosynthesis works in plants?
what colour is the sky on Mars | What color is the sky on Mars?
"""),
}
