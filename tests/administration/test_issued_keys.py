"""Issued keys where the disk or the clock play tricks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from askonce.administration.keys import Keys
from askonce.errors import Refusal
from askonce.pipeline.identity import Identity, Tenant
from fakes import FakeClock
from virtual_time import virtual_time

if TYPE_CHECKING:
    from askonce.ports.keys import IssuedKey


@dataclass
class Ring:
    """A key ring in memory whose disk can be taken away."""

    keys: dict[bytes, IssuedKey] = field(default_factory=dict)
    away: bool = False
    durable: bool = True

    async def all(self) -> list[IssuedKey]:
        self._check()
        return list(self.keys.values())

    async def add(self, key: IssuedKey, *, instead_of: bytes | None = None, until: float = 0.0) -> None:
        self._check()
        self.keys[key.digest] = key
        if instead_of is not None:
            ended = until <= key.created_at
            self.keys[instead_of] = self.keys[instead_of]._replace(revoked_at=until, ended=ended)

    async def revoke(self, digest: bytes, at: float) -> None:
        self._check()
        before = self.keys[digest].revoked_at
        at = at if before is None else min(at, before)
        self.keys[digest] = self.keys[digest]._replace(revoked_at=at, ended=True)

    def _check(self) -> None:
        if self.away:
            raise OSError("the disk is away")


class House:
    def __init__(self, ring: Ring | None = None) -> None:
        self.ring = ring or Ring()
        self.clock = FakeClock()
        self.identity = Identity([Tenant("acme", ("0" * 64,), ("default",))], ("default",), bytes(32))
        self.told = 0
        self.keys = Keys(self.ring, self.identity, self.clock, self._changed)

    def _changed(self) -> None:
        self.told += 1

    def lets_in(self, key: str) -> bool:
        try:
            return self.identity.identify({b"authorization": f"Bearer {key}".encode()}).label == "acme"
        except Refusal:
            return False


@virtual_time
async def test_what_is_not_kept_is_not_valid() -> None:
    """A disk that fails: no key is handed out, and one that couldn't be revoked goes on, as its administrator hears."""
    house = House()
    await house.keys.start()
    new = await house.keys.issue("acme", "")
    house.ring.away = True
    for work in (
        house.keys.issue("acme", ""),
        house.keys.revoke(new.kept.digest.hex()),
        house.keys.rotate(new.kept.digest.hex(), 0),
    ):
        with pytest.raises(Refusal) as caught:
            await work
        assert (caught.value.status, caught.value.code) == (503, "keys_not_kept")
    assert house.lets_in(new.key)
    assert [key.revoked_at for key in house.keys.issued] == [None]
    house.ring.away = False
    await house.keys.revoke(new.kept.digest.hex())
    assert not house.lets_in(new.key)
    await house.keys.close()


@virtual_time
async def test_keys_that_can_not_be_read_are_not_valid_until_they_are() -> None:
    """A start without the disk lets nobody in by an issued key; they work within a second of its return."""
    first = House()
    await first.keys.start()
    new = await first.keys.issue("acme", "")
    await first.keys.close()
    first.ring.away = True
    house = House(first.ring)
    await house.keys.start()
    assert not house.lets_in(new.key)
    house.ring.away = False
    await asyncio.sleep(1.1)
    assert house.lets_in(new.key)
    assert house.told == 1
    await house.keys.close()


@virtual_time
async def test_an_overlap_ends_by_the_wall_clock() -> None:
    """A clock that is set back prolongs it by as much, as long as it isn't over."""
    house = House()
    await house.keys.start()
    old = await house.keys.issue("acme", "")
    new, ended = await house.keys.rotate(old.kept.digest.hex()[:8], 60)
    assert ended.revoked_at == house.clock.now() + 60
    house.clock.time += 59
    await asyncio.sleep(2)
    assert house.lets_in(old.key)
    house.clock.time += 2
    await asyncio.sleep(2)
    assert not house.lets_in(old.key)
    assert house.lets_in(new.key)
    await house.keys.close()


@pytest.mark.parametrize("restart", [False, True])
@virtual_time
async def test_what_has_ended_stays_so_whatever_the_clock_says(*, restart: bool) -> None:
    """A revoked key, a replaced one, one whose overlap is over: a clock that is set back brings none of them to life."""
    house = House()
    await house.keys.start()
    revoked, replaced, overlapped, valid = [await house.keys.issue("acme", "") for _ in range(4)]
    await house.keys.revoke(revoked.kept.digest.hex())
    await house.keys.rotate(replaced.kept.digest.hex(), 0)
    await house.keys.rotate(overlapped.kept.digest.hex(), 60)
    house.clock.time += 61
    until = house.clock.now()
    await asyncio.sleep(2)
    house.clock.time -= 86_400
    if restart:
        await house.keys.close()
        house = House(house.ring)
        house.clock.time = until - 86_400
        await house.keys.start()
    await asyncio.sleep(2)
    assert [house.lets_in(one.key) for one in (revoked, replaced, overlapped, valid)] == [False] * 3 + [True]
    await house.keys.close()


@virtual_time
async def test_memos_are_told_once_for_each_change() -> None:
    """Whoever remembers requests is told of every change of who may ask, and of nothing else."""
    house = House()
    await house.keys.start()
    await asyncio.sleep(5)
    assert house.told == 0
    new = await house.keys.issue("acme", "")
    assert house.told == 1
    await house.keys.revoke(new.kept.digest.hex())
    await house.keys.revoke(new.kept.digest.hex())
    await asyncio.sleep(5)
    assert house.told == 2
    await house.keys.close()
