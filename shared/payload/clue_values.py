"""What a clue's text is: a time with its precision, a host, an address, a process id, or nothing."""

import ipaddress
import re
from datetime import datetime

from shared.alerts import event_time
from shared.alerts.text import GUID
from shared.payload.clues import SECOND, Host, When

_FRACTION = re.compile(r"[.,](\d{1,9})")
_NUMBER = re.compile(r"\d{9,19}(?:\.\d{1,9})?", re.ASCII)
_DEVICE = re.compile(r"[0-9a-f]{40}", re.ASCII)
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_-]{1,63}){0,10}", re.ASCII)


def time(text: str, *, own: bool) -> When | None:
    """Return a time with its precision, None if it cannot be read."""
    try:
        read = event_time.read(text).text
    except ValueError:
        return None
    seconds = int(datetime.fromisoformat(f"{read[:19]}+00:00").timestamp())
    fraction = read[19:].strip(".Z").ljust(7, "0")
    if _NUMBER.fullmatch(text):
        whole, _, decimals = text.partition(".")
        digits = max(len(whole) - 10, 0) + len(decimals)
    else:
        written = _FRACTION.search(text[19:])
        digits = len(written[1]) if written else 0
    ticks = seconds * SECOND + int(fraction)
    return When(ticks, ticks, 10 ** (7 - min(digits, 7)), own)


def base(path: str) -> str:
    """Return the file's name of a path."""
    return re.split(r"[\\/]", path.strip().strip('"'))[-1]


def process_id(text: str) -> str:
    """Return a process id in decimal digits, also of one in hex; "" if it is none."""
    if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", text):
        return str(int(text, 16))
    return text if re.fullmatch(r"\d{1,10}", text, re.ASCII) else ""


def address(text: str) -> str:
    """Return an IP address as it is written usually, "" if it is none."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def device(text: str) -> Host | None:
    """Return the device of a device id of Defender's form."""
    return Host("id", text.lower()) if _DEVICE.fullmatch(text.lower()) else None


def entra(text: str) -> Host | None:
    """Return the device of an Entra device id."""
    return Host("entra", text.lower()) if GUID.fullmatch(text) and text[0] != "{" else None


def host(text: str) -> Host | None:
    """Return a host by its name; a name that is an address is one of a device only if it is private."""
    if address(text):
        return private(text)
    name = text.lower().rstrip(".")
    return (
        Host("name", name) if _HOST.fullmatch(name) and name != "localhost" and not name.isdigit() else None
    )


def private(text: str) -> Host | None:
    """Return the device of a private address; a public one, or a loopback one, is none of a device."""
    written = address(text)
    if not written or not any(ipaddress.ip_address(written) in network for network in _PRIVATE):
        return None
    return Host("address", written)
