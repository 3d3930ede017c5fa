"""Senders: the fingerprint of a function key, and the names and rights that the setting `SENDERS` gives to keys.

A fingerprint is the beginning of a hash: it identifies a key without revealing it.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OTHERS = "*"
"""The entry of `SENDERS` for keys that no other entry lists."""
_DIGITS = 10
_EXAMPLE = 'accepted: an object such as {"splunk": {"keys": ["0123456789"], "sources": ["splunk"]}}'
_FINGERPRINT = re.compile(r"[0-9a-f]{10}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}|\*")
_MEMBERS = {"keys", "sources", "search"}
_SIGNED = {"signature", "secret"}


class _Wrong(ValueError):
    """What is wrong with the setting, in a sentence."""


@dataclass(frozen=True, slots=True)
class Sender:
    """One entry of `SENDERS`: the fingerprints of its keys, and the sources that it may name; None is every source.

    `search` is whether events may be searched for what it sends; this version searches for nothing.
    """

    name: str
    keys: tuple[str, ...] = ()
    sources: tuple[str, ...] | None = None
    search: bool = True


def fingerprint(headers: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """Return the fingerprint of the function key that came with a request, empty if none did.

    The header is preferred to the URL, as in the Functions host. Names may be in any case.
    """
    in_headers = {name.lower(): value for name, value in headers.items()}
    in_url = {name.lower(): value for name, value in parameters.items()}
    key = in_headers.get("x-functions-key", in_url.get("code", ""))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS] if key else ""


def of(senders: Sequence[Sender], sender: str) -> Sender | None:
    """Return the entry of a fingerprint, else the entry `*`, else None."""
    by_key = {key: entry for entry in senders for key in entry.keys}
    others = next((entry for entry in senders if entry.name == OTHERS), None)
    return by_key.get(sender, others)


def name(senders: Sequence[Sender], sender: str) -> str | None:
    """Return the name that a fingerprint has in `SENDERS`, or None."""
    return next((entry.name for entry in senders if sender in entry.keys), None)


def keys(senders: Sequence[Sender], asked: str) -> tuple[str, ...]:
    """Return the fingerprints that a filter means: those of a name in `SENDERS`, or the fingerprint itself."""
    return next((entry.keys for entry in senders if entry.name == asked), (asked.lower(),))


def read(text: str) -> tuple[Sender, ...]:
    """Read the setting `SENDERS`. Raise `ValueError` that says what is wrong with it."""
    try:
        entries = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _Wrong(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise _Wrong(_EXAMPLE) from None
    if not isinstance(entries, dict):
        raise _Wrong(_EXAMPLE)
    senders = tuple(_sender(called, rights) for called, rights in entries.items())
    listed = [key for sender in senders for key in sender.keys]
    if twice := next((key for key in listed if listed.count(key) > 1), None):
        raise _Wrong(f"the key {twice} is listed twice")
    return senders


def _sender(called: str, rights: Any) -> Sender:
    """Read one entry. Raise `ValueError` that names it."""
    if not _NAME.fullmatch(called):
        raise _Wrong(f"{called[:60]!r} found as a name; accepted: up to 60 letters, digits, blanks and . _ -")
    if isinstance(rights, dict) and (signed := ", ".join(sorted(_SIGNED & set(rights)))):
        raise _Wrong(
            f"{called}: {signed} found; this version checks no signatures: leave it out (the key alone decides who may"
            " send)"
        )
    if not isinstance(rights, dict) or set(rights) - _MEMBERS:
        odd = ", ".join(sorted(set(rights) - _MEMBERS)) if isinstance(rights, dict) else "no object"
        raise _Wrong(f"{called}: {odd[:100]} found; accepted: keys, sources, search")
    listed = _texts(called, "keys", rights)
    if called != OTHERS and not listed:
        raise _Wrong(
            f"{called}: keys missing; accepted: the first {_DIGITS} hex digits of each key's SHA-256"
        )
    if called == OTHERS and listed:
        raise _Wrong("*: keys found; it stands for the keys that no other entry lists")
    if not all(_FINGERPRINT.fullmatch(key) for key in listed):
        raise _Wrong(f"{called}: keys: accepted: the first {_DIGITS} hex digits of each key's SHA-256")
    if not isinstance(rights.get("search", True), bool):
        raise _Wrong(f"{called}: search: accepted: true or false")
    sources = _texts(called, "sources", rights) if "sources" in rights else None
    return Sender(called, listed, sources, rights.get("search", True))


def _texts(called: str, member: str, rights: Mapping[str, Any]) -> tuple[str, ...]:
    texts = rights.get(member, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise _Wrong(f"{called}: {member}: accepted: a list of texts")
    return tuple(texts)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raise `ValueError` for a name that is there twice, because one value would be lost."""
    if len(pairs) > len(dict(pairs)):
        raise _Wrong("a name stands twice in one object")
    return dict(pairs)
