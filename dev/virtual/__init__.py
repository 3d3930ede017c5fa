"""Simulated time: many hosts run the real code in virtual time, over a network with faults.

The real code blocks (on the table, on Defender, on sleep). Here each of these calls switches to a scheduler that
runs one greenlet at a time and moves the clock to the next event. So minutes of many hosts take milliseconds, and
the same seed always gives the same run.

    World     ── the true time, which the table's server and Defender use
    Defender  ── answers as a test says, and records every call
    Partition ── how busy and how slow the table's server is
    Host      ── a function host: its own wall clock (wrong), monotonic clock, table client, Defender client

Faults happen as a script says for each request (`Host.script`). The table's server serves a
limited number of entities a second (`Partition`), and may be slow. Of all possible next events the oldest happens, or
the one that `World.pick` chooses.
"""

from dev.virtual.app import ORIGIN
from dev.virtual.defender import Arrival, Defender, answer_with
from dev.virtual.faults import AT_ONCE, Fault, Faults, Request
from dev.virtual.host import Host
from dev.virtual.world import EPOCH, Partition, World

__all__ = [
    "AT_ONCE",
    "EPOCH",
    "ORIGIN",
    "Arrival",
    "Defender",
    "Fault",
    "Faults",
    "Host",
    "Partition",
    "Request",
    "World",
    "answer_with",
]
