"""Names that people write in lower case too: two texts that name different ones are different questions."""

from __future__ import annotations

from typing import Final

from askonce.matching.lexicon import listed

__all__ = ["CAMEL_BRANDS", "ENTITIES", "ENTITY_ALIASES", "MONTHS", "ORDINARY_NAMES"]

MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}
"""Month by name, 1 to 12. `mar` is left out: it is a word in too many contexts."""

_PLACES: Final = """
afghanistan albania algeria andorra angola argentina armenia australia austria azerbaijan bahamas bahrain bangladesh
barbados belarus belgium belize benin bhutan bolivia bosnia botswana brazil brunei bulgaria burundi cambodia cameroon
canada chad chile china colombia congo croatia cuba cyprus czechia denmark djibouti dominica ecuador egypt eritrea
estonia ethiopia fiji finland france gabon gambia georgia germany ghana greece greenland grenada guatemala guinea
guyana haiti honduras hungary iceland india indonesia iran iraq ireland israel italy jamaica japan jordan kazakhstan
kenya kosovo kuwait kyrgyzstan laos latvia lebanon lesotho liberia libya liechtenstein lithuania luxembourg madagascar
malawi malaysia maldives mali malta mauritius mexico moldova monaco mongolia montenegro morocco mozambique myanmar
namibia nepal netherlands nicaragua niger nigeria norway oman pakistan palestine panama paraguay peru philippines
poland portugal qatar romania russia rwanda samoa scotland senegal serbia seychelles singapore slovakia slovenia
somalia spain sudan suriname sweden switzerland syria taiwan tajikistan tanzania thailand togo tonga tunisia
turkey turkmenistan uganda ukraine uruguay uzbekistan vanuatu vatican venezuela vietnam wales yemen zambia zimbabwe
england europe asia africa america antarctica oceania scandinavia eu usa uk uae emea apac latam
alabama alaska arizona arkansas california colorado connecticut delaware florida hawaii idaho illinois indiana iowa
kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana nebraska nevada
ohio oklahoma oregon pennsylvania tennessee texas utah vermont virginia wisconsin wyoming
amsterdam ankara athens atlanta auckland austin baghdad baltimore bangalore bangkok barcelona beijing beirut belfast
berlin boston bristol brooklyn brussels bucharest budapest cairo calgary charlotte chennai chicago cincinnati cleveland
cologne columbus copenhagen dallas delhi denver detroit dubai dublin edinburgh florence frankfurt geneva glasgow
hamburg hanoi havana helsinki houston hyderabad indianapolis istanbul jacksonville jakarta jerusalem johannesburg
karachi kathmandu kiev kolkata kyiv kyoto lagos leeds lima lisbon liverpool london lyon madrid manchester manhattan
manila marseille melbourne memphis miami milan milwaukee minneapolis montreal moscow mumbai munich nairobi naples
nashville orlando osaka oslo ottawa oxford paris philadelphia phoenix pittsburgh portland prague pune reno riga
rome sacramento salzburg santiago seattle seoul shanghai shenzhen sofia stockholm stuttgart sydney tampa tehran
tokyo toronto tucson tulsa valencia vancouver venice vienna vilnius warsaw washington wellington zagreb zurich
"""
_LANGUAGES: Final = """
english spanish french german italian portuguese dutch swedish norwegian danish finnish icelandic polish czech slovak
hungarian romanian bulgarian greek turkish russian ukrainian serbian croatian slovenian albanian arabic hebrew persian
farsi urdu hindi bengali punjabi gujarati marathi tamil telugu kannada malayalam nepali sinhala thai vietnamese khmer
lao burmese indonesian malay tagalog filipino chinese mandarin cantonese japanese korean mongolian swahili zulu
afrikaans latin esperanto irish welsh gaelic catalan basque galician maltese estonian latvian lithuanian
american british canadian australian mexican brazilian indian european asian african egyptian israeli iranian
christian muslim jewish hindu buddhist catholic protestant islam christianity judaism hinduism buddhism
"""
_MONEY: Final = """
usd eur gbp jpy cny inr aud cad chf sek nok dkk pln czk huf brl mxn zar sgd hkd nzd krw thb idr btc eth
dollar euro yen yuan renminbi rupee franc krona krone zloty ruble lira peso baht ringgit dirham
bitcoin ethereum litecoin dogecoin solana visa mastercard amex discover maestro paypal venmo zelle stripe klarna
"""
_TIME: Final = """
january february march april june july august september october november december
monday tuesday wednesday thursday friday saturday sunday christmas easter thanksgiving halloween ramadan diwali
"""
_SOFTWARE: Final = """
windows linux macos ios android ubuntu debian fedora centos redhat arch chromeos unix freebsd
python java javascript typescript golang rust ruby php perl scala kotlin swift haskell erlang elixir clojure lua
matlab fortran cobol julia dart bash powershell sql html css xml json yaml toml csv pdf docx xlsx markdown latex
react angular vue svelte nextjs django flask fastapi rails spring laravel express nodejs deno jquery bootstrap
tailwind tensorflow pytorch keras pandas numpy spark hadoop kafka rabbitmq redis memcached postgresql mysql sqlite
mongodb cassandra dynamodb oracle snowflake bigquery elasticsearch docker kubernetes terraform ansible jenkins
github gitlab bitbucket jira confluence slack zoom teams notion trello asana figma photoshop excel word powerpoint
outlook gmail yahoo chrome firefox safari edge opera brave google bing amazon aws azure gcp heroku vercel netlify
facebook instagram twitter tiktok snapchat whatsapp telegram signal youtube netflix spotify hulu disney linkedin
reddit pinterest quora apple microsoft samsung nokia sony intel amd nvidia tesla toyota honda ford bmw audi mercedes
uber lyft airbnb ebay walmart target costco ikea starbucks mcdonalds delta ryanair iphone ipad ipod macbook imac
playstation xbox nintendo alexa siri cortana chatgpt gemini claude llama mistral openai anthropic
"""

ENTITIES: Final = frozenset((_PLACES + _LANGUAGES + _MONEY + _TIME + _SOFTWARE).split())
"""Lower-case names; never matched by spelling distance."""

ORDINARY_NAMES: Final = listed("""
    brave discover target signal word excel edge notion slack teams arch spring express oracle spark react swift delta
    safari opera rust ruby dart rails chrome zoom gemini apple amazon stripe polish turkey china jordan chad georgia
    cologne florence charlotte phoenix reno nice cuba lima orange latin greek march may signal brave java visa amex
    android windows uber venice american
    """)
"""Names that are ordinary words too, or go without saying: their absence on one side tells nothing."""

_ALIASES: Final = """
usa: united states of america|united states|u.s.a|u.s|the states
uk: united kingdom|great britain|britain|u.k
eu: european union|e.u
uae: united arab emirates
netherlands: holland
czechia: czech republic
nyc: new york city
macos: mac os|os x
golang: go lang
javascript: js|java script
typescript: ts
python: py
postgresql: postgres|psql
kubernetes: k8s
mongodb: mongo
nodejs: node js|node.js
react: reactjs|react.js|react js
vue: vuejs|vue.js
amex: american express
aws: amazon web services
gcp: google cloud platform|google cloud
powerpoint: power point
ai: artificial intelligence
ml: machine learning
llm: large language model|large language models
ui: user interface
api: application programming interface
os: operating system
db: database|data base
faq: frequently asked questions
atm: cash machine|cashpoint|cash point|automated teller machine
ceo: chief executive officer|chief executive
gdp: gross domestic product
id: identification|identity document
tv: television|telly
pc: personal computer
dob: date of birth|birth date|birthdate
eta: estimated time of arrival
wifi: wi fi
email: e mail|electronic mail
"""
ENTITY_ALIASES: Final = tuple(
    (tuple(alias.split()), (name.strip(),))
    for name, _, aliases in (line.partition(":") for line in _ALIASES.strip().splitlines())
    for alias in aliases.strip().split("|")
)
"""(Words, the one word that stands for them)."""

CAMEL_BRANDS: Final = listed("""
    iphone ipad ipod imac ios macos macbook ebay paypal youtube linkedin github gitlab javascript typescript facebook
    whatsapp tiktok chatgpt openai mysql postgresql mongodb sqlite nodejs graphql powerpoint powershell wordpress
    playstation mcdonalds mcdonald fedex airbnb snapchat fastapi pytorch tensorflow matlab onedrive sharepoint
    bigquery dynamodb rabbitmq elasticsearch quickbooks mastercard wifi hbo qqp phd iot saas covid
    """)
"""Names with capitals inside that are as often typed without: no identifiers."""
