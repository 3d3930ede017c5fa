"""The entities of an alert that has no event: what clues name, in the words of Graph's `createAlert`.

One thing is one entity, by the identifier that Defender knows best. What the API has no identifier for, such as a
path, is told by the description.
"""

import re
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from shared.alerts.text import shown, units
from shared.errors import Problem
from shared.payload.clue_choice import Unread
from shared.payload.clues import Clues

MOST = 100
"""Entities of an alert."""
LONGEST = 1_000
"""UTF-16 units of an identifier's value. A longer one is no entity: a part of it would be another."""

_SHOWN = 3  # texts that were found instead

Role = Literal["impacted", "related"]

_OF_HOSTS = {"id": ("device", "deviceId"), "name": ("device", "deviceName"), "address": ("ip", "address")}
_OF_ACCOUNT = re.compile(
    r"S-1-(?:5-21|12-1)-[0-9-]+", re.ASCII
)  # others are the same on every device, as SYSTEM's


class Entity(NamedTuple):
    """One entity, as `entityDefinitions` has it."""

    type: str
    identifier: str
    value: str
    role: Role = "related"

    def body(self) -> dict[str, str]:
        """Return it by the API's names."""
        return {
            "entityType": self.type,
            "entityIdentifier": self.identifier,
            "identifierValue": self.value,
            "role": self.role,
        }


def missing(clues: Clues, unread: Unread = MappingProxyType({})) -> tuple[Problem, ...]:
    """Return what clues lack for an alert on entities: a time that can be read, and one entity. Nothing: they do.

    `unread` is what was found instead, as the scan of the clues gives it.
    """
    problems = []
    if not clues.when:
        found = _found(unread.get("when", ()))
        problems.append(
            Problem(
                "eventTime", f"names no time that can be read{found}. Send one in ISO 8601 with its zone."
            )
        )
    if not of(clues):
        account = [f"a user without a UPN or SID ({shown(clues.account_name)})"] if clues.account_name else []
        file = [f"a file without a SHA-1 or SHA-256 ({shown(clues.file_name)})"] if clues.file_name else []
        found = _found((*unread.get("hosts", ()), *account, *file))
        problems.append(
            Problem(
                "payload",
                f"names nothing that Defender has a page for{found}. Send a device (its id or name), a user (UPN or"
                " SID), a file's SHA-1 or SHA-256, an IP address, a URL or a registry key.",
            )
        )
    return tuple(problems)


def _found(texts: Sequence[str]) -> str:
    return f"; found: {', '.join(texts[:_SHOWN])}" if texts else ""


def of(clues: Clues) -> tuple[Entity, ...]:
    """Return the entities of clues, the telling ones first; the device and the user it is about are impacted."""
    usual = (e for e in _named(clues) if units(e.value) <= LONGEST and e.value.isprintable())
    once: dict[tuple[str, ...], Entity] = {}
    for entity in usual:
        once.setdefault(entity[:3], entity)
    return tuple(once.values())[:MOST]


def is_process(clues: Clues) -> bool:
    """Tell whether the file of clues is the program of a process: nothing else acted on it."""
    if clues.kinds:
        return clues.kinds == ("process",)
    return bool(clues.command_line or clues.process_id) and not clues.process_name


def _named(clues: Clues) -> Iterator[Entity]:
    yield from _devices(clues)
    if clues.account_upn:
        yield Entity("user", "userPrincipalName", clues.account_upn, "impacted")
    elif _OF_ACCOUNT.fullmatch(clues.account_sid):
        yield Entity("user", "sid", clues.account_sid, "impacted")
    program = "process" if is_process(clues) else "file"
    if clues.sha1 or clues.sha256:
        yield Entity(program, "sha1" if clues.sha1 else "sha256", clues.sha1 or clues.sha256)
    if clues.remote_ip:
        yield Entity("ip", "address", clues.remote_ip)
    if clues.remote_url:
        yield Entity("url", "url", clues.remote_url)
    if clues.registry_key:
        yield Entity("registryKey", "key", clues.registry_key)
        if clues.registry_value:
            yield Entity("registryValue", "valueName", clues.registry_value)


def _devices(clues: Clues) -> Iterator[Entity]:
    """Yield the devices; the API takes no Entra id, and an address is no asset that can be impacted."""
    impacted = [*clues.hosts[:1], *(clues.named if len(clues.named) == 1 else ())]
    for host in (*clues.hosts, *clues.named):
        if host.identity in _OF_HOSTS:
            kind, identifier = _OF_HOSTS[host.identity]
            is_impacted = host in impacted and kind == "device"
            yield Entity(kind, identifier, host.value, "impacted" if is_impacted else "related")
