"""Identifiers, minted the way the samples in Adobe's pages were minted (contract 3.2, 4.2).

Two kinds: a *snowflake* is a 64-bit number with the creation time in milliseconds above 22 free bits, written in
hexadecimal at the end of ``dps:personalized-offer:…`` and of ``xcore:personalized-offer:…``; an *instance id* is a UUID
of version 1 that carries the creation time. Neither can be computed from the other.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from migrator.emulator.entities import Style

_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_FREE_BITS = 22
_UUID_EPOCH_US = 12_219_292_800_000_000
"""Microseconds from 15 October 1582, where UUIDs count from, to 1970."""
_MULTICAST_BIT = 1 << 40
"""Set in a node that was drawn at random and is no network card's address (RFC 9562, 6.10)."""


def entity_id(style: Style, word: str, created_us: int, free_bits: int) -> str:
    """An id such as ``dps:personalized-offer:1a4c514f745dbd7c``.

    Args:
        style: what the id begins with.
        word: the entity.
        created_us: creation time in microseconds; its milliseconds go into the id.
        free_bits: what tells ids of one millisecond apart; only the lowest 22 bits count.
    """
    elapsed_ms = created_us // 1000 - _SNOWFLAKE_EPOCH_MS
    return f"{style}:{word}:{elapsed_ms << _FREE_BITS | free_bits % (1 << _FREE_BITS):x}"


def entity_id_ms(identifier: str) -> int:
    """The creation time in an entity id, in milliseconds since 1970."""
    return (int(identifier.rpartition(":")[2], 16) >> _FREE_BITS) + _SNOWFLAKE_EPOCH_MS


def instance_id(created_us: int, clock_seq: int, node: int) -> str:
    """A UUID of version 1 for a creation time.

    Args:
        created_us: creation time in microseconds.
        clock_seq: what tells ids of one microsecond apart; only the lowest 14 bits count.
        node: 48 bits that stand for the machine.
    """
    ticks = (created_us + _UUID_EPOCH_US) * 10
    fields = (
        ticks & 0xFFFF_FFFF,
        ticks >> 32 & 0xFFFF,
        ticks >> 48 & 0x0FFF | 0x1000,
        clock_seq >> 8 & 0x3F | 0x80,
        clock_seq & 0xFF,
        node,
    )
    return str(UUID(fields=fields))


def instance_id_us(identifier: str) -> int:
    """The creation time in an instance id, in microseconds since 1970."""
    return UUID(identifier).time // 10 - _UUID_EPOCH_US


class Mint:
    """Where new objects get their ids. No two are equal within one emulator."""

    def __init__(self) -> None:
        self._node = secrets.randbits(48) | _MULTICAST_BIT
        self._sequence = itertools.count(secrets.randbits(_FREE_BITS))

    def entity_id(self, style: Style, word: str, created_us: int) -> str:
        """A new entity id for an object created now."""
        return entity_id(style, word, created_us, next(self._sequence))

    def instance_id(self, created_us: int) -> str:
        """A new instance id for an object created now."""
        return instance_id(created_us, next(self._sequence), self._node)
