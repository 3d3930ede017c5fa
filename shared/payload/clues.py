"""Clues: what a payload says about an event without giving its reference."""

from dataclasses import dataclass, fields
from typing import Literal

SECOND = 10_000_000
"""Ticks of 100 ns in a second: the unit of `When`."""

Kind = Literal["process", "file", "image", "network", "registry", "logon", "other"]
Identity = Literal["id", "entra", "name", "address"]


@dataclass(frozen=True, slots=True)
class Host:
    """What names a device: its id in Defender, its id in Entra, its host name or FQDN, or an address."""

    identity: Identity
    value: str


@dataclass(frozen=True, slots=True)
class When:
    """The time of the event, in ticks since 1970 (UTC). `step` is one unit of the last digit that was written.

    `own`: it is the event's own time, not that of its detection or receipt.
    """

    start: int
    end: int
    step: int
    own: bool

    def apart(self, ticks: int) -> int:
        """Return by how many ticks a moment lies before (negative) or after this time; 0 within its precision."""
        return min(ticks - self.start, 0) or max(ticks - self.end - self.step + 1, 0)


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known about one event. An unknown text is empty.

    `hosts` are the possible devices: the initiating end of a connection first. The file is the event's subject: for
    a process, its program. `process_name` is the program that acted on it, if that is another one; command
    line and process id belong to the one that acted. `kinds` are the possible kinds of event, empty: all of them.
    `report_id` and `event_time` are the exact parts of an incomplete reference. `named` are devices that
    the payload names without saying that the event was on one, or the name of the only one: no search looks there.
    """

    hosts: tuple[Host, ...] = ()
    when: When | None = None
    kinds: tuple[Kind, ...] = ()
    sha1: str = ""
    sha256: str = ""
    md5: str = ""
    file_name: str = ""
    file_path: str = ""
    command_line: str = ""
    process_id: str = ""
    process_name: str = ""
    parent_name: str = ""
    remote_ip: str = ""
    remote_url: str = ""
    remote_port: str = ""
    registry_key: str = ""
    registry_value: str = ""
    account_name: str = ""
    account_domain: str = ""
    account_sid: str = ""
    account_upn: str = ""
    outcome: str = ""
    report_id: str = ""
    event_time: str = ""
    named: tuple[Host, ...] = ()


FACTS = tuple(field.name for field in fields(Clues) if field.name not in ("hosts", "named", "when", "kinds"))
"""The names of the facts among the clues: all but the device, the time and the kind."""
