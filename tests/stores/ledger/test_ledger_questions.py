"""Questions in the books: counted as the policy says, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import Fresh, RetainText, Usage
from askonce.ports import Span
from askonce.stores.ledger import SqliteLedger
from fakes import FakeClock
from stores.ledger.test_journal import charge
from stores.ledger.test_ledger_troubles import ALL, contents, record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_questions_are_kept_as_the_policy_says(tmp_path: Path) -> None:
    """`none` leaves no trace of a question in any file, `hashed` a keyed hash, `full` the text as well."""
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    keys = {kind: bytes([number]) * 32 for number, kind in enumerate(RetainText, start=65)}
    for kind, key in keys.items():
        ledger.request(record(key, kind, f"Who is {kind}?", saved=ord(kind.value[0])))
    ledger.charged(charge("1", Usage(1, 1)))
    questions = await ledger.read(lambda books: books.questions(ALL, 10))
    raw = contents(tmp_path, "*")
    await ledger.close()
    assert [(one.text, one.requests, one.tenant) for one in questions] == [
        (None, 1, "acme"),
        ("Who is full?", 1, "acme"),
    ]
    assert all(len(one.key) == 16 for one in questions)
    assert b"Who is none" not in raw
    assert b"Who is hashed" not in raw
    assert not any(key in raw or key.hex().encode() in raw for key in keys.values())


async def test_answers_that_had_to_be_made_again_are_counted(tmp_path: Path) -> None:
    """Each fresh answer after a question's first in the span, on whatever day; those that asked for one don't count."""
    clock = FakeClock(7_200.0)
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.start(b"secret")
    for day, (key, reason) in enumerate(
        [(b"a", "miss"), (b"a", "no-cache"), (b"a", "miss"), (b"b", "miss"), (b"a", "miss")]
    ):
        clock.time = 7_200.0 + day * 86_400
        one = record(key * 32, RetainText.HASHED, "Who?", saved=0)
        ledger.request(one._replace(outcome=Fresh(reason)))
        await ledger.commit()
    again = await ledger.read(lambda books: (books.repeats(ALL), books.repeats(Span(0, 4 * 24))))
    await ledger.close()
    assert [sum(counts.values()) for counts in again] == [2, 1]


async def test_questions_of_a_day_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each day and feature those are kept that saved most."""
    monkeypatch.setattr("askonce.stores.ledger.questions._MOST_A_DAY", 3)
    clock = FakeClock(7_200.0)
    ledger = SqliteLedger(tmp_path / "ledger.db", clock)
    await ledger.start(b"secret")
    await ledger.commit()
    for number in range(20):
        ledger.request(record(bytes([number]) * 32, saved=number, text=str(number)))
    await ledger.commit()
    ledger._prune_at = 0.0
    await ledger.commit()
    questions = await ledger.read(lambda books: books.questions(ALL, 10))
    await ledger.close()
    assert [one.text for one in questions] == ["19", "18", "17"]


async def test_no_text_that_was_let_go_stays_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write-ahead log is emptied with what is pruned, hourly; the file itself is overwritten."""
    monkeypatch.setattr("askonce.stores.ledger.questions._MOST_A_DAY", 1)
    ledger = SqliteLedger(tmp_path / "ledger.db", FakeClock(7_200.0))
    await ledger.start(b"secret")
    await ledger.commit()
    for text, saved in (("in-private", 1), ("worth-more", 2)):
        ledger.request(record(text.encode(), saved=saved, text=text))
    await ledger.commit()
    assert b"in-private" in contents(tmp_path, "*")
    ledger._prune_at = 0.0
    await ledger.commit()
    assert b"in-private" not in contents(tmp_path, "*")
    assert b"worth-more" in contents(tmp_path, "*")
    await ledger.close()
