"""A transaction as the table's `$batch` takes and answers it: written and read in one piece.

The SDK can do this, for milliseconds of processor time each: it builds and parses an e-mail message, in thread pools
of its own. The rest of a request stays the SDK's: signature, version, time-outs.

Source: https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.storage import Delete, Insert, Merge, Operation, Replace, Value

BOUNDARY = "batch_1"
_CHANGES = "changeset_1"
_PART = f"--{_CHANGES}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_START = f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary={_CHANGES}\r\n\r\n"
_END = f"--{_CHANGES}--\r\n--{BOUNDARY}--\r\n"
_ACCEPT = "Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n"
_STATUS = re.compile(rb"^HTTP/1\.[01] ([0-9]{3})", re.MULTILINE)
_ETAG = re.compile(rb"^ETag: *([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(rb"\"code\" *: *\"([A-Za-z]+)\"|<code>([A-Za-z]+)")
_SUCCESS = 2  # the hundreds of a status


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing was written: the HTTP status of the operation that failed, and the table's own code."""

    status: int
    code: str | None


def write(operations: Sequence[Operation], *, url: str, partition: str, mark: str) -> bytes:
    """Return the request's body. `url` is the table's, `mark` a property that every written row gets."""
    parts = [_START]
    for operation in operations:
        method, where, condition = _request(operation, url, partition)
        head = f"{_PART}{method} {where} HTTP/1.1\r\n{_ACCEPT}{condition}"
        if isinstance(operation, Delete):
            parts.append(f"{head}\r\n\r\n")
            continue
        row = {"PartitionKey": partition, "RowKey": operation.key, **_typed(operation.values), "mark": mark}
        text = json.dumps(row)  # ASCII, so that characters are bytes
        parts.append(f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}\r\n")
    return "".join([*parts, _END]).encode()


def read(body: bytes, operations: Sequence[Operation]) -> dict[str, str] | Failure:
    """Return the new ETags by key, or why there are none. Raise `ValueError` for what is no such answer."""
    starts = [found.start() for found in _STATUS.finditer(body)]
    parts = [body[start:end] for start, end in zip(starts, [*starts[1:], len(body)], strict=True)]
    statuses = [int(part[9:12]) for part in parts]
    for status, part in zip(statuses, parts, strict=True):
        if status // 100 != _SUCCESS:
            return Failure(status, code(part))
    if len(parts) != len(operations):
        raise ValueError(f"{len(parts)} answers to {len(operations)} operations")
    etags = [_ETAG.search(part.partition(b"\r\n\r\n")[0]) for part in parts]
    return {
        operation.key: etag[1].decode().strip()
        for operation, etag in zip(operations, etags, strict=True)
        if etag and not isinstance(operation, Delete)
    }


def code(body: bytes) -> str | None:
    """Return the table's own code in the body of an error, JSON or XML."""
    found = _CODE.search(body)
    return (found[1] or found[2]).decode() if found else None


def _request(operation: Operation, url: str, partition: str) -> tuple[str, str, str]:
    """Return method, address and further headers. An insert is answered without what it has written."""
    where = f"{url}(PartitionKey='{_key(partition)}',RowKey='{_key(operation.key)}')"
    match operation:
        case Insert():
            return "POST", url, "Prefer: return-no-content\r\n"
        case Replace(etag="*"):
            return "PUT", where, ""  # where any version will do, or none
        case Replace(etag=etag):
            return "PUT", where, f"If-Match: {etag}\r\n"
        case Merge(etag=etag):
            return "PATCH", where, f"If-Match: {etag}\r\n"
        case Delete(etag=etag):
            return "DELETE", where, f"If-Match: {etag}\r\n"


def _key(text: str) -> str:
    return quote(text.replace("'", "''"), safe="")


def _typed(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return properties as the table reads them: text, whole numbers and booleans tell their type by themselves."""
    typed: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, bytes):
            typed[name], typed[f"{name}@odata.type"] = base64.b64encode(value).decode(), "Edm.Binary"
        elif isinstance(value, float):
            typed[name], typed[f"{name}@odata.type"] = value, "Edm.Double"
        else:
            typed[name] = value
    return typed
