"""Which of the readings of a payload are its clues, and where each stands.

What a program did is of what started, else of what acted; the file that something of another name acted on is apart
from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from shared.payload import clue_ends, clue_when, names
from shared.payload import clue_values as values
from shared.payload.clue_readings import Reading, Readings, are_beside
from shared.payload.clues import Clues, Kind
from shared.payload.paths import shown

_HASHES = {"sha1": 40, "sha256": 64, "md5": 32}
_MAX_COMMAND = 32_768
_STARTED = ("process_path", "process_name", "command_line", "process_id", "process_text")
_ACTED = ("actor_path", "actor_name", "actor_command_line", "actor_id")
_ACCOUNTS = (
    ("account", "account_domain", "account_sid"),
    ("subject_account", "subject_domain", "subject_sid"),
)
_OTHERS = ("registry_key", "remote_ip", "remote_url", "process_name")  # facts that no start of a program has


Unread = Mapping[Literal["when", "hosts"], tuple[str, ...]]
"""Texts, with their places, that should be the time or a device and cannot be read as one."""


@dataclass(frozen=True, slots=True)
class ClueScan:
    """The clues of a payload, for each field of them the place it was read at, and what could not be read."""

    clues: Clues
    places: Mapping[str, str]
    unread: Unread = field(default_factory=dict)


def choose(by_field: Mapping[str, list[Reading]], *, several: bool = False) -> ClueScan:
    """Return the clues that readings by their field come to; of `several` events only the devices and the times."""
    readings = Readings(by_field)
    others = clue_ends.named(readings)
    if several:
        clues = Clues(named=others, when=clue_when.span(readings))
        return ClueScan(
            clues, {name: readings.places[name] for name in ("named", "when") if getattr(clues, name)}
        )
    kinds = _kinds(readings)
    facts = _account(readings) | {
        "outcome": _outcome(readings),
        "report_id": readings.take("report_id", values.report_id),
    }
    program = readings.has(*_STARTED, *_ACTED, "registry_key", "file_path")
    hosts, remote = clue_ends.read(readings, logon="logon" in kinds, program=program)
    facts |= remote
    if kinds != ("logon",):  # of which products name the program that asked for it
        facts |= _registry(readings)
        on_file = not facts["registry_key"] and not facts["remote_ip"]
        facts |= _program(readings, on_file=on_file or not {"file", "image"}.isdisjoint(kinds))
    acted = readings.has(*_STARTED, *_ACTED, "process_hash")
    start = acted and set(kinds) <= {"process"} and not any(facts.get(name) for name in _OTHERS)
    when = clue_when.read(readings, start=start)
    facts = {name: text for name, text in facts.items() if text}
    if hosts and (hosts[0].identity != "entra" or len(others) > 1):
        others = ()
    clues = replace(Clues(), hosts=hosts, named=others, when=when, kinds=kinds, **facts)
    places = {name: place for name, place in readings.places.items() if getattr(clues, name, None)}
    return ClueScan(clues, places, _unread(readings, clues))


def _unread(readings: Readings, clues: Clues) -> Unread:
    """Return what cannot be read, of the time and of the devices, where there is none."""
    unread: dict[Literal["when", "hosts"], tuple[str, ...]] = {}
    if not clues.when:
        unread["when"] = clue_when.unread(readings)
    if not clues.hosts and not clues.named:
        unread["hosts"] = clue_ends.unread(readings)
    return {name: texts for name, texts in unread.items() if texts}


def _kinds(readings: Readings) -> tuple[Kind, ...]:
    """Return the kinds that the best name tells which tells any."""
    known: Mapping[Kind, list[str]] = names.table("clues")["kinds"]
    kind_of = {word: kind for kind, words in known.items() for word in words}
    rank = -1
    kinds: dict[Kind, None] = {}
    for reading in readings.of("kind"):
        if kinds and reading.rank > rank:
            break
        if kind := kind_of.get(names.word(reading.text)):
            rank = reading.rank
            kinds[kind] = None
            readings.places.setdefault("kinds", shown(reading.place))
    if not kinds and (logon := readings.best("logon_type")):
        readings.note("kinds", logon)
        return ("logon",)
    return tuple(kinds)


def _outcome(readings: Readings) -> str:
    words: Mapping[str, list[str]] = names.table("clues")["outcomes"]
    outcome_of = {word: outcome for outcome, all_ in words.items() for word in all_}
    return readings.take("outcome", lambda text: outcome_of.get(names.word(text), ""))


def _program(readings: Readings, *, on_file: bool) -> dict[str, str]:
    """Return what is said of the file that the event is about, and of the program that acted on it.

    `on_file`: the program can have acted on a file, and not on a key or a connection.
    """
    started = readings.has(*_STARTED, "process_hash")
    who = "process" if started else "actor"
    process = _path(readings, "process_name", f"{who}_path", f"{who}_name")
    command = readings.take(
        "command_line", _command_line, "command_line" if started else "actor_command_line"
    )
    if started and not command:  # CIM's `process` is the command line, or the name alone
        command = readings.take("command_line", _several_words, "process_text")
    if started and not command and not process:
        process = readings.take("process_name", values.path, "process_text")
        readings.places["process_name_path"] = readings.places.get("process_name", "")
    file = _path(readings, "file_name", "file_path", "file_name")
    apart = bool(file and process and values.base(file).lower() != values.base(process).lower())
    if process and (not file or (values.base(process) != process if not apart else not on_file)):
        file, apart = process, False
        for clue in ("file_name", "file_name_path"):
            readings.places[clue] = readings.places[clue.replace("file", "process")]
    readings.places["file_path"] = readings.places.get("file_name_path", "")
    return {
        "file_name": values.base(file),
        "file_path": file if len(values.base(file)) < len(file) else "",
        "process_name": values.base(process) if apart else "",
        "command_line": command,
        "process_id": readings.take("process_id", values.process_id, "process_id" if started else "actor_id"),
        "parent_name": values.base(readings.take("parent_name", values.path)),
    } | _hashes(readings, ("file_hash", "hash") if apart else (f"{who}_hash", "file_hash", "hash"))


def _path(readings: Readings, clue: str, paths: str, names_only: str) -> str:
    """Return the path of a file, or its name; a folder beside the name is put before it."""
    path, name, folder = (readings.best(field, values.path) for field in (paths, names_only, "file_folder"))
    if path and (not name or values.base(path.value).lower() == values.base(name.value).lower()):
        readings.note(f"{clue}_path", path)
        return readings.note(clue, path)
    if not name:
        return ""
    readings.note(clue, name)
    if path and ("." in values.base(path.value) or "." not in name.value):  # another file
        path = None
    around = next((best for best in (path, folder) if best and are_beside(best.place, name.place)), None)
    readings.note(f"{clue}_path", around or name)
    if not around:
        return name.value
    if values.base(around.value).lower() == name.value.lower():
        return around.value
    slash = "/" if "/" in around.value else "\\"
    return f"{around.value.rstrip(slash)}{slash}{name.value}" if slash in around.value else name.value


def _hashes(readings: Readings, fields: tuple[str, ...]) -> dict[str, str]:
    """Return the hashes, each of the first field that has one of its kind."""
    return {kind: readings.take(kind, _hash_of(length), *fields) for kind, length in _HASHES.items()}


def _hash_of(length: int) -> Callable[[str], str]:
    return lambda text: values.hashes(text).get(length, "")


def _registry(readings: Readings) -> dict[str, str]:
    hive = readings.best("registry_hive")
    written = hive.value if hive else ""
    key = readings.take("registry_key", lambda text: values.registry_key(text, written))
    value = readings.take("registry_value") if key else ""
    return {"registry_key": key, "registry_value": value if "\\" not in value else ""}


def _account(readings: Readings) -> dict[str, str]:
    """Return the account that an event is about, else the one that made it happen."""
    group, best = next(
        ((group, best) for group in _ACCOUNTS if (best := readings.best(group[0], _account_name))),
        (_ACCOUNTS[0], None),
    )
    name, domain, upn = values.account(best.value) if best else ("", "", "")
    suffix = readings.best("upn_suffix")
    if best and suffix and not upn and are_beside(best.place, suffix.place):
        upn = values.upn(f"{name}@{suffix.value}")
    if best:
        for clue in ("account_name", "account_domain", "account_upn"):
            readings.note(clue, best)
    return {
        "account_name": name,
        "account_domain": domain or (readings.take("account_domain", values.text, group[1]) if name else ""),
        "account_upn": upn or readings.take("account_upn", values.upn),
        "account_sid": readings.take("account_sid", values.sid, group[2]),
    }


def _account_name(text: str) -> str:
    return text.strip() if any(values.account(text)) else ""


def _command_line(text: str) -> str:
    text = values.unescaped(values.text(text))
    return text if len(text) <= _MAX_COMMAND else ""


def _several_words(text: str) -> str:
    return _command_line(text) if " " in text.strip() else ""
