"""Whether a POST is signed with the secret that its sender and the app share.

scheme                          signed                 header                          signatures in it
standard (Standard Webhooks)    id.timestamp.body      webhook-signature               v1,<base64> v1,<base64> …
{"header": …, "prefix": …}      body                   as the setting says             <prefix><hex>,<prefix><hex> …
 … with "timestamp": …          timestamp:body         likewise                        likewise

One fitting signature of several is enough, because a sender signs with both secrets while it changes them.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

from shared import log, senders
from shared.errors import Unsigned
from shared.senders import Sender, Signature

TOLERANCE_SECONDS = 300.0
"""How far a signed time may be from ours, in either direction."""
_SECONDS = re.compile(r"[0-9]{1,12}")


def demand(
    listed: Sequence[Sender], sender: str, headers: Mapping[str, str], body: bytes, now: float
) -> None:
    """Raise `Unsigned`, and log it, if `SENDERS` asks a sender for signed requests and this one is not."""
    entry = senders.of(listed, sender)
    if entry is None or entry.signature is None:
        return
    try:
        check(entry.signature, headers, body, now)
    except Unsigned as error:
        log.problem("unsigned", error, sender=sender or None)
        raise


def check(scheme: Signature, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raise `Unsigned` unless a signature of the body is there, fits, and is of a time near enough."""
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    signatures = _header(sent, scheme.header)
    signed = b""
    if scheme.message:
        signed += _header(sent, scheme.message).encode("utf-8", "surrogatepass") + b"."
    if scheme.timestamp:
        stamp = _header(sent, scheme.timestamp)
        _check_time(scheme.timestamp, stamp, now)
        signed += stamp.encode("ascii") + (b"." if scheme.message else b":")
    digest = hmac.new(scheme.key, signed + body, hashlib.sha256).digest()
    expected = base64.b64encode(digest) if scheme.message else digest.hex().encode("ascii")
    fits = [hmac.compare_digest(expected, candidate) for candidate in _candidates(scheme, signatures)]
    if not any(fits):
        raise Unsigned(
            f"{scheme.header}: no signature in it fits this body and the secret in the app's settings."
        )


def _header(sent: Mapping[str, str], name: str) -> str:
    """Return the value of a header. Raise `Unsigned` if it is missing or empty."""
    if not sent.get(name.lower()):
        raise Unsigned(f"{name}: this header is missing; SENDERS asks this sender for signed requests.")
    return sent[name.lower()]


def _candidates(scheme: Signature, signatures: str) -> Iterator[bytes]:
    """Yield each signature of a header, without its prefix; those with another prefix are of other versions."""
    for signature in signatures.split() if scheme.message else signatures.split(","):
        text = signature.strip()
        if text.startswith(scheme.prefix):
            digits = text.removeprefix(scheme.prefix)
            yield (digits if scheme.message else digits.lower()).encode("utf-8", "surrogatepass")


def _check_time(header: str, stamp: str, now: float) -> None:
    """Raise `Unsigned` unless a text is a time in whole seconds since 1970 that is near enough."""
    if not _SECONDS.fullmatch(stamp):
        raise Unsigned(f"{header}: accepted: whole seconds since 1970.")
    apart = abs(now - int(stamp))
    if apart > TOLERANCE_SECONDS:
        raise Unsigned(
            f"{header}: {apart:.0f} s away from the time here; accepted: {TOLERANCE_SECONDS:.0f}. Set the sender's"
            " clock, or sign each attempt anew."
        )
