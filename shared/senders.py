"""Senders: the fingerprint of a function key, and the names and rights that the setting `SENDERS` gives to keys.

A fingerprint is the beginning of a hash: it identifies a key without revealing it.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OTHERS = "*"
"""The entry of `SENDERS` for keys that no other entry lists."""
NO_KEY = "-"
_DIGITS = 10
_EXAMPLE = 'accepted: an object such as {"splunk": {"keys": ["0123456789"], "sources": ["splunk"]}}'
_FINGERPRINT = re.compile(r"[0-9a-f]{10}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}|\*")
_MEMBERS = ("keys", "sources", "search", "signature", "secret")
_SCHEME = {"header", "prefix", "timestamp"}
_SCHEMES = '"standard", or an object such as {"header": "X-Hub-Signature-256", "prefix": "sha256="}'
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_PREFIX = re.compile(r"[!-+\--~]{0,40}")  # visible ASCII without the comma, which separates signatures
_UNRESOLVED = "@Microsoft.KeyVault("
"""How a setting begins whose reference to a key vault could not be resolved: a text that anybody can guess."""


class _Wrong(ValueError):
    """What is wrong with the setting, in a sentence."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How a sender signs: the header with its signatures, what stands before each, and the key.

    `timestamp` names the header with the signed time, and `message` that with the signed id; each is empty if there
    is none. Only Standard Webhooks have an id; they write signatures in base64, others in hex.
    """

    header: str
    prefix: str
    key: bytes = field(repr=False)
    timestamp: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """One entry of `SENDERS`: the fingerprints of its keys, and the sources that it may name; None is every source.

    `search` is whether events may be searched for what it sends. `signature` is how its requests must be signed; None
    asks for no signature.
    """

    name: str
    keys: tuple[str, ...] = ()
    sources: tuple[str, ...] | None = None
    search: bool = True
    signature: Signature | None = None


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
    """Return the fingerprints that a filter means: those of a name in `SENDERS`, or the fingerprint itself.

    What came without a key has the empty one, and is asked for as `-`.
    """
    if asked == NO_KEY:
        return ("",)
    return next((entry.keys for entry in senders if entry.name == asked), (asked.lower(),))


def read(text: str, environ: Mapping[str, str]) -> tuple[Sender, ...]:
    """Read the setting `SENDERS`, and the secrets from the settings that it names.

    Raise `ValueError` that says what is wrong with it.
    """
    try:
        entries = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _Wrong(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise _Wrong(_EXAMPLE) from None
    if not isinstance(entries, dict):
        raise _Wrong(_EXAMPLE)
    senders = tuple(_sender(called, rights, environ) for called, rights in entries.items())
    listed = [key for sender in senders for key in sender.keys]
    if twice := next((key for key in listed if listed.count(key) > 1), None):
        raise _Wrong(f"the key {twice} is listed twice")
    return senders


def _sender(called: str, rights: Any, environ: Mapping[str, str]) -> Sender:
    """Read one entry. Raise `ValueError` that names it."""
    if not _NAME.fullmatch(called):
        raise _Wrong(f"{called[:60]!r} found as a name; accepted: up to 60 letters, digits, blanks and . _ -")
    if not isinstance(rights, dict) or set(rights) - {*_MEMBERS}:
        odd = ", ".join(sorted(set(rights) - {*_MEMBERS})) if isinstance(rights, dict) else "no object"
        raise _Wrong(f"{called}: {odd[:100]} found; accepted: {', '.join(_MEMBERS)}")
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
    return Sender(called, listed, sources, rights.get("search", True), _signature(called, rights, environ))


def _signature(called: str, rights: Mapping[str, Any], environ: Mapping[str, str]) -> Signature | None:
    """Return how an entry signs. Raise `ValueError`, never with the value of `secret`, which may be a secret itself."""
    if "signature" not in rights and "secret" not in rights:
        return None
    if "signature" not in rights or "secret" not in rights:
        raise _Wrong(f"{called}: signature and secret are there together, or neither")
    setting = rights["secret"]
    secret = environ.get(setting, "").strip() if isinstance(setting, str) else ""
    if not secret or secret.startswith(_UNRESOLVED):
        raise _Wrong(
            f"{called}: secret: accepted: the name of a setting that is there, resolved and not empty"
        )
    try:
        return _scheme(rights["signature"], secret)
    except _Wrong as error:
        raise _Wrong(f"{called}: {error}") from None


def _scheme(scheme: Any, secret: str) -> Signature:
    """Return the scheme of a member `signature`, with its secret. Raise `ValueError` that names neither's value."""
    if scheme == "standard":
        try:
            encoded = secret.removeprefix("whsec_")
            # Pythons before 3.13 take superfluous padding.
            key = base64.b64decode(encoded, validate=True) if len(encoded) % 4 == 0 else b""
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise _Wrong(
                "secret: the setting that it names is no base64 text, with or without whsec_ before it"
            )
        return Signature("webhook-signature", "v1,", key, "webhook-timestamp", "webhook-id")
    if not isinstance(scheme, dict) or set(scheme) - _SCHEME or "header" not in scheme:
        raise _Wrong(f"signature: accepted: {_SCHEMES}; timestamp names the header of a signed time")
    header, prefix, timestamp = (scheme.get(name, "") for name in ("header", "prefix", "timestamp"))
    for name, value, form in (
        ("header", header, _HEADER),
        ("prefix", prefix, _PREFIX),
        *([("timestamp", timestamp, _HEADER)] if "timestamp" in scheme else []),
    ):
        if not (isinstance(value, str) and form.fullmatch(value)):
            raise _Wrong(f"signature: {name}: accepted: the name of a header; a prefix without a comma")
    return Signature(header, prefix, secret.encode(), timestamp)


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
