"""Misbehaviour on purpose, by rule.

A client that changes thousands of objects is proved by what it does when things go wrong, and each thing can go wrong
on either side of the one moment that counts: the effect. So every fault here says where it strikes (`kinds.PHASES`),
strikes real requests on a real connection, and leaves what it did in the log of effects and its name in the log of
requests. What a fault must never do is to invent an effect or hide one from those logs.

What belongs here is what a service, its gateway, the network or other users can do to a request. How the service
behaves when all is well, and where the documents leave that open, belongs to the settings.

How the modules build on each other::

    parameters  strikes                        the keys of a rule; what a fault works with
    connections  refusals  disguises  meddling what faults do: to the connection, to the answer, to its body, to objects
    kinds                                      the table of faults
    rules                                      a rule, read from text or a table
    active                                     the rules in force
    listing                                    the table as help text
"""

from __future__ import annotations

from migrator.emulator.faults.active import ActiveFault, Faults
from migrator.emulator.faults.kinds import KINDS, Kind
from migrator.emulator.faults.listing import listing
from migrator.emulator.faults.rules import FaultRule, nearest
from migrator.emulator.faults.strikes import LateWrites, World

__all__ = ["KINDS", "ActiveFault", "FaultRule", "Faults", "Kind", "LateWrites", "World", "listing", "nearest"]
