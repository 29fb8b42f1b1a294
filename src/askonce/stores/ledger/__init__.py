"""The books: what was spent and saved, by hour, in a file of their own beside the answers'.

- `ledger.SqliteLedger` is told of requests and charges; `page` adds up what isn't in the file yet.
- `file` has the file open, in a thread of its own; `schema` is what is in it, `reading` how it is read.

A cache may be thrown away, books may not: they outlive the answers' file, and no budget of bytes evicts them.
"""

from askonce.stores.ledger.file import ledger_path, open_books
from askonce.stores.ledger.ledger import SqliteLedger

__all__ = ["SqliteLedger", "ledger_path", "open_books"]
