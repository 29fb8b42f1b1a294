"""What the books say, for people: figures, what follows from them, and how they are shown.

- `terms` says of which time, by which columns, and of whom a report is.
- `figures` draws them up from the ledger's books and from audits; `quality` says how often semantic hits were wrong.
- `suggestions` (with `equivalents`) derives what to change, each a `suggestion` with its numbers and what it assumes.
- `text`, `table` (CSV), `data` (JSON) and `page` show them; `wording` writes numbers.
- `sheet` makes an HTML page of such things, whatever they are about, with the pictures of `plots`.

No clock, no file, no network: whoever calls has the books open.
"""
