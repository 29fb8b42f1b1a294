"""The books: what was spent and saved, by hour, in a file of their own beside the answers'.

- `ledger.SqliteLedger` is told of requests and charges; `page` adds up what isn't in the file yet, by `kinds` and `questions`.
- `journal` writes calls down at once, so that a killed process leaves word of each (`records` is how).
- `file` has the file open, in a thread of its own; `schema` is what is in it, `writing` and `reading` how it gets there and
  back. `keys` are those that administrators issue.

A cache may be thrown away, books may not: they outlive the answers' file, and no budget of bytes evicts them.
"""

from askonce.stores.ledger.file import ledger_path, open_books
from askonce.stores.ledger.ledger import LedgerHealth, SqliteLedger
from askonce.stores.ledger.writing import Keep

__all__ = ["Keep", "LedgerHealth", "SqliteLedger", "ledger_path", "open_books"]
