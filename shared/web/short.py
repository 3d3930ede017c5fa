"""Answers without a key are limited in size: their texts are cut until they fit. The operator sees all."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.alerts.text import cut

_LENGTHS = (1_000, 300, 100, 30, 8, 1)
_WHOLE = {
    "id",
    "status",
    "route",
    "grade",
    "machineId",
    "eventTime",
    "reportId",
    "severity",
    "category",
    "code",
    "target",
    "portalUrl",
    "until",
    "what",
    "sender",
}
"""What is no text, or is of no use when it is cut."""


def fitting(items: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """Return objects with texts cut to fit `most` bytes of JSON, and Defender's alert as its id only."""
    cut_items = [dict(item) for item in items]
    for length in _LENGTHS:
        if len(json.dumps(cut_items, ensure_ascii=False).encode("utf-8", "backslashreplace")) <= most:
            break
        cut_items = [_short(item, length) for item in items]
    return cut_items


def _short(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return cut(value, length)
    if isinstance(value, Mapping):
        return {
            name: inner if name in _WHOLE and isinstance(inner, str) else _inner(name, inner, length)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_short(inner, length) for inner in value[: max(1, length // 10)]]
    return value


def _inner(name: str, value: Any, length: int) -> Any:
    if name == "alert" and isinstance(value, Mapping):
        return {"id": value["id"]}
    return _short(value, length)
