"""The books: what is told of is read back, by whatever it is kept by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.model import Bypass, Exact, Fresh, Usage
from askonce.ports import Charge, Record, Share, Span
from askonce.stores.ledger import SqliteLedger, open_books
from fakes import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

_ALL = Span(0, 10**7)
_USAGE = Usage(100, 20)


def _hit(saved_nanousd: int | None = 300) -> Record:
    return Record(
        request_id="req_1",
        endpoint="chat/completions",
        tenant="acme",
        feature="support",
        model="m",
        outcome=Exact(b"e", 1.0, 2.0),
        status=200,
        code="",
        duration_s=0.001,
        first_byte_s=0.001,
        overhead_s=0.001,
        usage=Usage(10, 5, 4),
        spent_nanousd=0,
        saved_nanousd=saved_nanousd,
    )


def _charge(shares: tuple[Share, ...], usage: Usage | None = _USAGE) -> Charge:
    cost = sum(share.nanousd for share in shares)
    return Charge("call_1", 7_200.0, "openai", "m", usage, Usage(90, 30), cost, 7, 0, shares)


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_requests_and_charges_are_read_back_by_another_process(tmp_path: Path) -> None:
    """What was told is in the file once the ledger is closed, in exact sums, and can be read from outside."""
    path = tmp_path / "askonce.ledger.db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    for _ in range(3):
        ledger.request(_hit())
    ledger.charged(_charge((Share("acme", "support", "fresh", 61), Share("acme", "search", "joined", 60))))
    await ledger.close()
    with open_books(path) as books:
        by_outcome = books.sums(_ALL, ("feature", "outcome"))
        latency = books.latencies(_ALL, ("outcome",))
        first = books.sums(_ALL, ("feature", "outcome"), None, 1)
    assert list(first) == [min(by_outcome)]
    assert by_outcome["support", "exact"].requests == 3
    assert by_outcome["support", "exact"].saved_exact_nanousd == 900
    assert by_outcome["support", "exact"].input_tokens == 30
    assert by_outcome["support", "fresh"].spent_nanousd == 61
    assert by_outcome["support", "fresh"].billed_input_tokens == 100
    assert by_outcome["search", "joined"].spent_nanousd == 60
    assert by_outcome["search", "joined"].calls == 0
    assert 0.001 <= latency[("exact",)].quantile(0.5) < 0.0012
    assert sum(latency[("exact",)].counts) == 3


async def test_reading_leaves_a_folder_as_it_is(tmp_path: Path) -> None:
    """Where no gateway runs nothing is made beside the file: whoever may only read a folder can read the books in it."""
    path = tmp_path / "askonce.ledger.db"
    ledger = SqliteLedger(path, FakeClock(7_200.0))
    await ledger.start(b"secret")
    ledger.request(_hit())
    await ledger.close()
    before = _inside(tmp_path)
    with open_books(path) as books:
        assert books.sums(_ALL, ())[()].requests == 1
        assert _inside(tmp_path) == before


async def test_unpriced_and_unsettled_are_counted_as_such() -> None:
    """A hit of unknown worth and a call of unknown length are counted, and never as money."""
    ledger = SqliteLedger(None, FakeClock(7_200.0))
    ledger.request(_hit(saved_nanousd=None))
    ledger.charged(_charge((Share("acme", "support", "fresh", 61),), usage=None))
    sums = await ledger.read(lambda books: books.sums(_ALL, ()))
    await ledger.close()
    assert sums[()].saved_nanousd == 0
    assert sums[()].unpriced == 1
    assert (sums[()].unsettled, sums[()].unsettled_tokens, sums[()].unsettled_nanousd) == (1, 120, 61)
    assert (sums[()].spent_nanousd, sums[()].calls) == (0, 0)


async def test_reasons_say_why_the_upstream_was_asked() -> None:
    """What wasn't answered from the store is counted by feature, outcome and reason; refused requests by their code."""
    ledger = SqliteLedger(None, FakeClock(7_200.0))
    ledger.request(_hit())
    ledger.request(_hit()._replace(outcome=Bypass("high-temperature")))
    ledger.request(_hit()._replace(outcome=Fresh("miss")))
    ledger.request(_hit()._replace(outcome=Fresh("miss")))
    ledger.request(_hit()._replace(outcome=None, code="rate_limited"))
    reasons = await ledger.read(lambda books: books.reasons(_ALL))
    covered = await ledger.read(lambda books: books.covered())
    await ledger.close()
    assert reasons == {
        ("support", "bypass", "high-temperature"): 1,
        ("support", "fresh", "miss"): 2,
        ("support", "refused", "rate_limited"): 1,
    }
    assert covered == Span(2, 3)


async def test_empty_books_cover_nothing() -> None:
    """Nothing told, nothing covered."""
    ledger = SqliteLedger(None, FakeClock())
    assert await ledger.read(lambda books: books.covered()) is None
    await ledger.close()
