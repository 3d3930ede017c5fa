"""A small virtual world: many hosts that run the real code, in virtual time, with a network that misbehaves.

The real code blocks (on the table, on Defender, on sleep); here every such edge is a switch to a scheduler
that runs one greenlet at a time and moves the clock to the next thing that happens. So minutes of many hosts
take milliseconds, and the same seed always tells the same story.

    World     ── the one true time; the table's server and Defender live by it
    Defender  ── answers as a test says, and remembers every call
    Partition ── how busy and how slow the table's server is
    Host      ── a function host: its own wall clock (wrong), monotonic clock, table client, Defender client

What goes wrong is a matter of chance (`Faults`), or said request by request (`Host.script`). The table's server has
so many entities a second and no more (`Partition`), and may be slow. What happens next of all that could is the
oldest, or what `World.pick` says.
"""

from dev.virtual.app import ORIGIN, App
from dev.virtual.defender import Arrival, Defender, answer_with
from dev.virtual.faults import AT_ONCE, Fault, Faults, Request
from dev.virtual.host import Host
from dev.virtual.sound import unsound
from dev.virtual.world import EPOCH, Partition, World

__all__ = [
    "AT_ONCE",
    "EPOCH",
    "ORIGIN",
    "App",
    "Arrival",
    "Defender",
    "Fault",
    "Faults",
    "Host",
    "Partition",
    "Request",
    "World",
    "answer_with",
    "unsound",
]
