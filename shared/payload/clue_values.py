"""What a clue's text is: a host, an address, a process id, a hash, a registry key, or nothing: then it is ""."""

import ipaddress
import re
from decimal import Decimal
from urllib.parse import unquote

from shared.alerts.text import GUID
from shared.payload import names
from shared.payload.clues import Host

_DEVICE = re.compile(r"[0-9a-f]{40}", re.ASCII)
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_-]{1,63}){0,10}", re.ASCII)
_HASH = re.compile(
    r"(?:(\w{2,20})[=:]\s?)?(?<![0-9a-z])([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})(?![0-9a-z])", re.ASCII
)
_LIKE_HASHES = (
    "imphash",
    "authentihash",
    "authentihash256",
    "pehash",
    "richhash",
    "vhash",
    "cdhash",
    "ssdeep",
    "tlsh",
)
_ID = re.compile(r"\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{20,}", re.ASCII)
_HEX_PID = re.compile(r"0x[0-9a-f]{1,8}", re.ASCII | re.IGNORECASE)
_PID = re.compile(r"\d{1,10}", re.ASCII)
_MAX_PID = 0xFFFFFF  # beyond this it is an id of a sensor's own
_REPORT = re.compile(r"\d{1,19}", re.ASCII)
_FLOAT_BITS = 53
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_SID = re.compile(r"S-1-\d{1,3}(?:-\d{1,10}){1,15}", re.ASCII | re.IGNORECASE)
_NOBODY = "S-1-0-0"
_UPN = re.compile(r"[^@\s\\]{1,200}@[^@\s\\]{1,200}")
_ACCOUNT = re.compile(r"[^@\\\s/][^@\\/\r\n]{0,99}")
_BACKSLASHES = re.compile(r"\\+")
_MAX_PATH = 1_024
_FILE_URL = "file://"
_DETECTED = re.compile(r"^(?:container)?file:_", re.ASCII)  # as Windows Defender writes
_STARTED = re.compile(  # a program with its arguments, as of a service
    r'"?((?:[A-Za-z]:|\\\\|%)[^"\n]{1,500}?\.(?:exe|com|sys|dll|scr|bat|cmd|ps1))(?:"| +[-/"\w%]).*',
    re.IGNORECASE,
)
_PORT_BEHIND = re.compile(r"^([^:]+):\d{1,5}$", re.ASCII)
_DRIVE = re.compile(r"^/([A-Za-z]:)")


def text(value: str) -> str:
    """Return a text without the space around it, "" for what products write instead of none."""
    value = value.strip()
    return "" if value.lower() in names.table("clues")["blank"] else value


def unescaped(value: str) -> str:
    """Return a text with single backslashes, if all of them, a drive's among them, were written twice."""
    twice = ":\\\\" in value and all(len(run) % 2 == 0 for run in _BACKSLASHES.findall(value))
    return value.replace("\\\\", "\\") if twice else value


def base(path: str) -> str:
    """Return the file's name of a path."""
    return re.split(r"[\\/]", path.strip().strip('"'))[-1]


def path(value: str) -> str:
    """Return a path, or a file's name; "" for what is longer than any, or a URL."""
    started = _STARTED.fullmatch(text(value)[: _MAX_PATH + 1])
    value = unescaped(started[1] if started else text(value).strip('"'))
    value = _DETECTED.sub("", value, count=1)
    if value.startswith(_FILE_URL):
        value = _DRIVE.sub(r"\1", unquote(value.removeprefix(_FILE_URL)), count=1)
    usual = 0 < len(value) <= _MAX_PATH and "\n" not in value and "://" not in value
    return value if usual and base(value) else ""


def process_id(value: str) -> str:
    """Return a process id in decimal digits, also of one in hex; "" if no system counts so far."""
    value = value.strip()
    number = int(value, 16) if _HEX_PID.fullmatch(value) else int(value) if _PID.fullmatch(value) else 0
    return str(number) if 0 < number <= _MAX_PID else ""


def report_id(value: str) -> str:
    """Return a report id; "" for one that a float may have rounded."""
    value = value.strip()
    if not _REPORT.fullmatch(value):
        return ""
    number = int(value)
    rounded = number >> _FLOAT_BITS and number in (int(float(number)), int(Decimal(repr(float(number)))))
    return "" if rounded else str(number)


def port(value: str) -> str:
    """Return a port that is not 0."""
    value = value.strip()
    return str(int(value)) if _PORT.fullmatch(value) and 0 < int(value) < 1 << 16 else ""


def hashes(value: str) -> dict[int, str]:
    """Return the hashes in a text by their length; none of a length that has two."""
    by_length: dict[int, set[str]] = {}
    for kind, digits in _HASH.findall(value.strip().lower()[:_MAX_PATH]):
        if kind not in _LIKE_HASHES and digits.strip("0"):
            by_length.setdefault(len(digits), set()).add(digits)
    return {length: digits.pop() for length, digits in by_length.items() if len(digits) == 1}


def sid(value: str) -> str:
    """Return a SID, "" for that of nobody."""
    value = value.strip()
    return value if _SID.fullmatch(value) and value != _NOBODY else ""


def upn(value: str) -> str:
    """Return a user principal name."""
    value = value.strip()
    return value if _UPN.fullmatch(value) else ""


def account(value: str) -> tuple[str, str, str]:
    r"""Return an account's name, its domain and its UPN, of `DOMAIN\\user`, of a UPN or of a name."""
    value = text(value)
    if upn(value):
        return value.partition("@")[0], "", value
    domain, _, name = value.rpartition("\\")
    if not _ACCOUNT.fullmatch(name) or _SID.fullmatch(name) or _ID.fullmatch(name.lower()):
        return "", "", ""
    return name, text(domain).removeprefix(".\\").strip("\\") if domain != "." else "", ""


def registry_key(value: str, hive: str = "") -> str:
    """Return a registry key with its hive's whole name; "" for what is in no hive."""
    parts = text(value).replace("/", "\\").strip("\\").split("\\")
    if parts[0].lower() in ("registry", "computer"):
        parts = parts[1:] or parts
    known: dict[str, str] = names.table("clues")["hives"]
    whole = known.get(names.word(parts[0].rpartition("::")[2]))
    if whole:
        parts = parts[1:]
    else:
        whole = known.get(names.word(hive))
    return "\\".join([whole, *parts]) if whole and parts and parts[0] else ""


def address(value: str) -> str:
    """Return an IP address as it is written usually; "" for none, and for that of nobody or of the machine itself."""
    try:
        read = ipaddress.ip_address(value.strip().strip("[]").partition("%")[0])
    except ValueError:
        return ""
    mapped = read.ipv4_mapped if isinstance(read, ipaddress.IPv6Address) else None
    read = mapped or read
    return "" if read.is_unspecified or read.is_loopback or read.is_link_local else str(read)


def is_private(value: str) -> bool:
    """Say whether an address is one of a company's own network."""
    return any(ipaddress.ip_address(value) in network for network in _PRIVATE)


def device(value: str) -> Host | None:
    """Return the device of a device id of Defender's form."""
    return Host("id", value.lower()) if _DEVICE.fullmatch(value.lower()) else None


def entra(value: str) -> Host | None:
    """Return the device of an Entra device id."""
    return Host("entra", value.lower()) if GUID.fullmatch(value) and value[0] != "{" else None


def host(value: str) -> Host | None:
    """Return a host by its name, without a port; of an address one of a device only if it is private."""
    value = _PORT_BEHIND.sub(r"\1", text(value))
    try:
        ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        return private(value)
    name = value.rpartition("\\")[2].lower().rstrip(".").removesuffix("$")
    usual = _HOST.fullmatch(name) and not _ID.fullmatch(name) and name.split(".")[0] != "localhost"
    return Host("name", name) if usual else None


def private(value: str) -> Host | None:
    """Return the device of a private address; a public one, or a loopback one, is none of a device."""
    written = address(value)
    return Host("address", written) if written and is_private(written) else None
