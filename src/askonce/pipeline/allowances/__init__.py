"""Limits per tenant and feature: requests and tokens per minute, dollars per day and month.

- `table.Allowances` holds requests to them before they may join or lead, and settles what they took after.
- `rulebook` says who is held to what; an `allowance` is one account's limits, an `allotment` one request's share.
- `settlement` says what charges, and the books, come to.
- `meters` count: in a `window` of a minute, or in the `spending` of a day or month. `standing` tells of them.
"""

from askonce.pipeline.allowances.allotment import Allotment
from askonce.pipeline.allowances.allowance import Rules, Whose
from askonce.pipeline.allowances.meters import DAILY, MONTHLY, REQUESTS, TOKENS, Bound
from askonce.pipeline.allowances.rulebook import Rulebook
from askonce.pipeline.allowances.standing import Crossing, Standing
from askonce.pipeline.allowances.table import Allowances

__all__ = [
    "DAILY",
    "MONTHLY",
    "REQUESTS",
    "TOKENS",
    "Allotment",
    "Allowances",
    "Bound",
    "Crossing",
    "Rulebook",
    "Rules",
    "Standing",
    "Whose",
]
