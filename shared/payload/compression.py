"""Compressed bodies: gzip and deflate are decompressed within bounds, other formats are refused by name.

The format is read from the first bytes, and only if they do not show it from `Content-Encoding`, because senders and
proxies set the header wrongly.
"""

import re
import zlib

from shared.errors import PayloadError, PayloadTooLarge

_GZIP, _DEFLATE = "gzip", "deflate"
_SIGNATURES = (
    (b"\x1f\x8b", _GZIP),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"\x1f\x9d", "compress"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
)
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)")
_DECLARED = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "deflate": _DEFLATE,
    "zlib": _DEFLATE,
    "br": "br (Brotli)",
    "zstd": "zstd",
    "lz4": "lz4",
    "snappy": "snappy",
    "compress": "compress",
    "x-compress": "compress",
    "bzip2": "bzip2",
    "x-bzip2": "bzip2",
    "xz": "xz",
}
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_WINDOW = {_GZIP: (31,), _DEFLATE: (15, -15)}  # zlib's numbers: of gzip, of zlib, of deflate without a header
_LAYERS = 3
_MEMBERS = 16  # gzip files behind each other


def opened(body: bytes, *, max_bytes: int, content_encoding: str = "") -> bytes:
    """Return a body decompressed, of at most `max_bytes`.

    Raises `PayloadTooLarge` for a body above them, before or behind, and `PayloadError` for one that cannot be opened.
    """
    _bounded(body, max_bytes, f"has {len(body):,} bytes")
    declared = [
        _DECLARED[name] for name in re.split(r"[,\s]+", content_encoding.lower()) if name in _DECLARED
    ]
    for _ in range(_LAYERS):
        kind = _by_its_bytes(body) or (declared[-1] if declared and not _is_text(body) else None)
        if kind is None:
            return body
        if kind not in _WINDOW:
            raise PayloadError(f"The body is compressed with {kind}. Send it uncompressed, or with gzip.")
        body = _inflated(body, kind, max_bytes)
        declared = declared[:-1]
    raise PayloadError("The body is compressed several times over. Send it uncompressed.")


def is_binary(body: bytes) -> bool:
    """Say whether a body has bytes that no text has."""
    return _BINARY.search(body) is not None


def _by_its_bytes(body: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if body.startswith(signature):
            return kind
    if _BZIP2.match(body):
        return "bzip2"
    # zlib's header: method 8, a window of at most 2^15, and a check sum; text may begin so too.
    begins_so = len(body) > 1 and body[0] & 0x8F == 0x08 and int.from_bytes(body[:2]) % 31 == 0  # noqa: PLR2004
    return _DEFLATE if begins_so and not _is_text(body) else None


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return not is_binary(body)


def _inflated(body: bytes, kind: str, max_bytes: int) -> bytes:
    for window in _WINDOW[kind]:
        try:
            return _members(body, window, kind, max_bytes)
        except zlib.error:
            continue
    raise PayloadError(f"The body should be compressed with {kind} but is damaged. Send it again.")


def _members(body: bytes, window: int, kind: str, max_bytes: int) -> bytes:
    """Return the contents of one or several compressed streams. Raise `zlib.error` if they cannot be decompressed."""
    inflated = b""
    for _ in range(_MEMBERS):
        stream = zlib.decompressobj(window)
        inflated += stream.decompress(body, max_bytes + 1 - len(inflated))
        _bounded(inflated, max_bytes, f"is compressed with {kind} and has more than {max_bytes:,} bytes")
        if not stream.eof:
            raise PayloadError(
                f"The body ends in the middle of the data compressed with {kind}: send it whole."
            )
        body = stream.unused_data.lstrip(b"\0\r\n")
        if not body:
            return inflated
    raise PayloadError(
        f"The body holds more than {_MEMBERS} streams compressed with {kind}. Send it uncompressed."
    )


def _bounded(body: bytes, max_bytes: int, finding: str) -> None:
    if len(body) > max_bytes:
        raise PayloadTooLarge(
            f"The body {finding}; at most {max_bytes:,} are taken (MAX_PAYLOAD_BYTES). Send fewer events at a time."
        )
