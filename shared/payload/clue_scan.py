"""Reads the clues of an event out of a payload, under the names that products use, each with its place.

The names are data, `tables/clues.json`: in the order in which they count, a nested name with its owner. Of two
different values under names that count the same none is taken: a clue that may be wrong is worse than none.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.payload import clue_values as values
from shared.payload import names
from shared.payload.clues import Clues, Host, Kind, When
from shared.payload.paths import Node, Place, place_in, shown
from shared.payload.values import texts

_MAX_LEVELS = 20
_MAX_TEXT = 32_768
_MAX_READINGS = 20  # of one clue
_OWNERS = 3  # parts of a name that are compared with the table
_TRANSPORT = 1_000  # how much less the host counts that only brought the event
_HASHES = {"sha1": 40, "sha256": 64, "md5": 32}
_HASH = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-f])", re.ASCII)
_FORMS = {  # what else has such a name: the id of a search, a setting
    "account_sid": re.compile(r"S-1-\d", re.ASCII | re.IGNORECASE),
    "registry_key": re.compile(r"[^\\/]{0,60}[\\/]"),
    "account_upn": re.compile(r"[^@]{1,200}@."),
    "remote_port": re.compile(r"\d{1,5}\Z", re.ASCII),
}
_PLAIN = ("remote_port", "registry_key", "registry_value", "account_domain", "account_sid", "account_upn")


@dataclass(frozen=True, slots=True)
class ClueScan:
    """The clues of a payload, and for each field of them the place it was read at."""

    clues: Clues
    places: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Reading:
    rank: int
    text: str
    place: Place


def read(node: Node) -> ClueScan:
    """Return the clues in a value, a payload or one alert of it."""
    readings: dict[str, list[_Reading]] = {}
    for field, reading in _walk(node, (), 0):
        known = readings.setdefault(field, [])
        if len(known) < _MAX_READINGS:
            known.append(reading)
    return _Assembly(readings).scan()


def _walk(node: Node, trail: tuple[str, ...], level: int) -> Iterator[tuple[str, _Reading]]:
    """Yield every reading of a clue: objects, arrays, lists of names and values, and JSON in texts are entered."""
    value = node.value
    node.reader.spend(2)
    if level >= _MAX_LEVELS:
        return
    if isinstance(value, str):
        inner = node.reader.inside(value, loose=True) if len(value) <= _MAX_TEXT else None
        if inner is not None:
            yield from _walk(Node(inner, node.place, node.reader), trail, level + 1)
    elif isinstance(value, list):
        pairs = node.reader.pairs(value)
        for name, item, steps in pairs or ():
            yield from _entry(node.inside(item, *steps), (*trail, name), level)
        for index, item in enumerate(value if pairs is None else ()):
            yield from _walk(node.inside(item, index), trail, level + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if item is not None and not names.named_as("pasts", name):
                yield from _entry(
                    Node(item, place_in(value, name, node.place), node.reader), (*trail, name), level
                )


def _entry(node: Node, trail: tuple[str, ...], level: int) -> Iterator[tuple[str, _Reading]]:
    """Yield what stands under a name: its own meaning, and what is in it."""
    meaning = _meaning(trail[-4:])
    if meaning and (isinstance(node.value, str) or _is_flat(node.value)):
        field, rank = meaning
        for text in texts(node.value):
            if not field.startswith("-"):
                yield field, _Reading(rank, text, node.place)
        return
    if isinstance(node.value, dict | list) or (
        isinstance(node.value, str) and not names.named_as("commands", trail[-1])
    ):
        yield from _walk(node, trail, level + 1)


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


@functools.lru_cache(maxsize=16_384)
def _meaning(trail: tuple[str, ...]) -> tuple[str, int] | None:
    """Return the clue that a name with its owners means, and how much it counts; the longest known name decides."""
    parts = [part for name in trail for part in name.replace("/", ".").split(".") if part]
    words = [names.word(part) for part in parts]
    if any(word in _apart() for word in words):
        return None
    transport = _TRANSPORT if any(word in _transports() for word in words[:-1]) else 0
    for count in range(min(_OWNERS, len(parts)), 0, -1):
        suffix = "".join(words[-count:])
        if known := _known().get(suffix):
            field, rank = known
            if any("parent" in word for word in words) and field != "parent_name":
                return None
            return (field, rank + transport) if not transport or field == "host" else None
    return None


@functools.cache
def _known() -> Mapping[str, tuple[str, int]]:
    meanings: dict[str, tuple[str, int]] = {}
    for field, known in names.table("clues").items():
        if isinstance(known, list) and field not in ("transport", "apart"):
            for rank, name in enumerate(known):
                meanings.setdefault(names.word(name), (field, rank))
    return meanings


@functools.cache
def _transports() -> frozenset[str]:
    return frozenset(names.table("clues")["transport"])


@functools.cache
def _apart() -> frozenset[str]:
    return frozenset(names.table("clues")["apart"])


class _Assembly:
    """Puts the readings of a payload together to clues, and remembers where each came from."""

    def __init__(self, readings: Mapping[str, list[_Reading]]) -> None:
        self._readings = readings
        self._places: dict[str, str] = {}

    def scan(self) -> ClueScan:
        """Return the clues and their places."""
        facts = {name: self._take(name, name) for name in _PLAIN}
        facts = {name: text for name, text in facts.items() if name not in _FORMS or _FORMS[name].match(text)}
        facts |= self._program() | self._account()
        remote, hosts = self._ends()
        facts |= remote
        when = self._when()
        kinds = self._kinds()
        facts = {name: text for name, text in facts.items() if text}
        clues = replace(Clues(), hosts=hosts, when=when, kinds=kinds, **facts)
        named = {"hosts", *(["when"] if when else []), *(["kinds"] if kinds else []), *facts}
        return ClueScan(clues, {name: place for name, place in self._places.items() if name in named})

    def _best(self, *fields: str) -> _Reading | None:
        """Return the reading that counts most, of the first of these fields that has any; None if two differ."""
        for field in fields:
            if readings := self._readings.get(field):
                best = min(readings, key=lambda reading: reading.rank)
                same = {each.text.strip().lower() for each in readings if each.rank == best.rank}
                return best if len(same) == 1 else None
        return None

    def _take(self, clue: str, *fields: str) -> str:
        """Return the text of the best reading of some fields, and note it as the place of a clue."""
        best = self._best(*fields)
        if best is None or not best.text.strip():
            return ""
        self._places[clue] = shown(best.place)
        return best.text.strip()

    def _program(self) -> dict[str, str]:
        """Return what is said of the file that the event is about, and of the program that acted on it."""
        process = self._take("process_name", "process_path", "process_name")
        command = self._take("command_line", "command_line")
        if not process and " " not in command:  # CIM's `process` may be the name alone
            process, command = command, ""
            self._places["process_name"] = self._places.get("command_line", "")
        file = self._take("file_name", "file_path", "file_name")
        about_program = self._best("registry_key") or self._best("remote_ip", "destination", "remote_url")
        apart = bool(file and process and values.base(file) != values.base(process) and not about_program)
        if not apart and process:
            file = process
            self._places["file_name"] = self._places["process_name"]
        facts = {
            "file_name": values.base(file),
            "file_path": file if len(values.base(file)) < len(file) else "",
            "process_name": values.base(process) if apart else "",
            "command_line": command,
            "process_id": values.process_id(self._take("process_id", "process_id")),
            "parent_name": values.base(self._take("parent_name", "parent_name")),
        }
        self._places["file_path"] = self._places.get("file_name", "")
        return facts | self._hashes(apart=apart)

    def _hashes(self, *, apart: bool) -> dict[str, str]:
        first, second = ("file", "process") if apart else ("process", "file")
        hashes: dict[str, str] = {}
        for kind, length in _HASHES.items():
            text = self._take(kind, f"{first}_{kind}", f"{second}_{kind}").lower()
            if not re.fullmatch(f"[0-9a-f]{{{length}}}", text):
                every = {
                    digits
                    for each in self._readings.get("hashes", ())
                    for digits in _HASH.findall(each.text.lower())
                }
                of_length = [digits for digits in every if len(digits) == length]
                text = of_length[0] if len(of_length) == 1 else ""
                if text:
                    self._places[kind] = shown(self._readings["hashes"][0].place)
            hashes[kind] = text
        return hashes

    def _account(self) -> dict[str, str]:
        text = self._take("account_name", "account")
        domain, slash, name = text.rpartition("\\")
        account = {"account_name": name.partition("@")[0]}
        if slash:
            account["account_domain"] = domain
            self._places["account_domain"] = self._places["account_name"]
        elif "@" in text:
            account["account_upn"] = text
            self._places["account_upn"] = self._places["account_name"]
        outcome = self._take("outcome", "outcome").lower()
        words = names.table("clues")["outcomes"].items()
        return account | {"outcome": next((known for known, all_ in words if outcome in all_), "")}

    def _ends(self) -> tuple[dict[str, str], tuple[Host, ...]]:
        """Return what is at the other end of a connection, and which devices can have the event, likeliest first."""
        source, destination = self._best("source"), self._best("destination")
        remote = self._take("remote_ip", "remote_ip")
        if not remote and source and destination and values.address(destination.text):
            remote = self._take("remote_ip", "destination")
        facts = {
            "remote_ip": remote if values.address(remote) else "",
            "remote_url": self._take("remote_url", "remote_url"),
        }
        for field, check in (
            ("device_id", values.device),
            ("entra_id", values.entra),
            ("host", values.host),
            ("host_address", values.private),
        ):
            for reading in self._named(field):
                if host := check(reading.text.strip()):
                    self._places["hosts"] = shown(reading.place)
                    return facts, (host,)
        ends = [
            (end, host) for end in (source, destination) if end and (host := values.host(end.text.strip()))
        ]
        if ends:
            self._places["hosts"] = ", ".join(shown(end.place) for end, _ in ends)
        return facts, tuple(dict.fromkeys(host for _, host in ends))

    def _named(self, field: str) -> list[_Reading]:
        """Return the reading that names the device; of a host the FQDN, if a short name and that are there."""
        best = self._best(field)
        if best is None or field != "host":
            return [best] if best else []
        whole = f"{best.text.strip().lower()}."
        others = self._readings[field]
        return [*[other for other in others if other.text.strip().lower().startswith(whole)][:1], best]

    def _when(self) -> When | None:
        for field in ("own_time", "time"):
            for reading in sorted(self._readings.get(field, ()), key=lambda reading: reading.rank):
                same = {each.text for each in self._readings[field] if each.rank == reading.rank}
                if len(same) == 1 and (when := values.time(reading.text.strip(), own=field == "own_time")):
                    self._places["when"] = shown(reading.place)
                    return when
        return None

    def _kinds(self) -> tuple[Kind, ...]:
        word = names.word(self._take("kinds", "kind"))
        known: Mapping[Kind, list[str]] = names.table("clues")["kinds"]
        return tuple(kind for kind, words in known.items() if word in words)
