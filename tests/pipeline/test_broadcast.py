"""The log: append-only to its readers, bounded in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from askonce.model import Chunk
from askonce.pipeline.broadcast import Log, LogMemory


def chunk(number: int) -> Chunk:
    return Chunk(b"%d" % number, b"", bare=False)


def test_every_position_reads_the_rest() -> None:
    """From any position on, all that came, in order; at the end, nothing."""
    log = Log(LogMemory(10**6, 10**6))
    for number in range(5):
        log.append(chunk(number))
    for position in range(6):
        assert [one.fields for one in log.read(position)] == [b"%d" % n for n in range(position, 5)]


def test_dropping_keeps_positions_and_gives_bytes_back() -> None:
    """Positions count from the first event for ever; dropping what was dropped already does nothing."""
    memory = LogMemory(10**6, 10**6)
    log = Log(memory)
    for number in range(5):
        log.append(chunk(number))
    whole = memory.used_bytes
    log.drop_before(3)
    log.drop_before(2)
    assert len(log) == 5
    assert [one.fields for one in log.read(3)] == [b"3", b"4"]
    assert memory.used_bytes == log.size_bytes == whole * 2 // 5


def test_a_log_is_overfull_past_its_own_bound_or_everybodys() -> None:
    """The second bound is shared: a small log is overfull where the others take all."""
    memory = LogMemory(400, 700)
    one, two = Log(memory), Log(memory)
    one.append(chunk(1))
    one.append(chunk(2))
    assert not one.overfull
    one.append(chunk(3))
    assert one.overfull
    two.append(chunk(1))
    assert not two.overfull
    two.append(chunk(2))
    assert two.overfull


def test_the_last_to_let_go_frees_the_bytes() -> None:
    """As long as anybody holds the log, its events stay."""
    memory = LogMemory(10**6, 10**6)
    log = Log(memory)
    log.hold()
    log.hold()
    log.append(chunk(1))
    log.let_go()
    assert memory.used_bytes
    log.let_go()
    assert memory.used_bytes == 0


@given(st.lists(st.one_of(st.just("append"), st.integers(0, 3)), max_size=60))
def test_readers_of_any_pace_get_everything_once(steps: list[str | int]) -> None:
    """Four readers, dropping behind the slowest after each read: nothing lost, nothing doubled, bytes exact."""
    memory = LogMemory(200, 10**6)
    log = Log(memory)
    got: list[list[bytes]] = [[] for _ in range(4)]
    count = 0
    for step in steps:
        if isinstance(step, str):
            log.append(chunk(count))
            count += 1
            continue
        got[step] += [one.fields for one in log.read(len(got[step]))]
        log.drop_before(min(map(len, got)))
    for reader in got:
        reader += [one.fields for one in log.read(len(reader))]
        assert reader == [b"%d" % number for number in range(count)]
    log.drop_before(count)
    assert memory.used_bytes == 0
