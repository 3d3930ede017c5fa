"""Objects that stand for a text: Node's buffer of bytes, and Jira's document of paragraphs (ADF)."""

from collections.abc import Iterator, Mapping
from typing import Any

_MAX_BYTES = 262_144  # of a buffer
_MAX_LEVELS = 12  # nodes of a document inside each other
_LINES = ("paragraph", "heading", "listItem", "tableRow", "codeBlock", "blockquote")
_OF_A_DOCUMENT = frozenset(("type", "version", "attrs", "content"))
_CELLS = ("tableCell", "tableHeader")


def text(value: Mapping[str, Any]) -> str | None:
    """Return the text of `{"type": "Buffer", "data": [123, 34]}` or `{"type": "doc", "content": […]}`; else None."""
    kind = value.get("type")
    if kind == "Buffer":
        return _buffer(value.get("data"))
    if kind == "doc" and isinstance(value.get("content"), list) and _OF_A_DOCUMENT.issuperset(value):
        return "".join(_parts(value, 0))
    return None


def _buffer(data: Any) -> str | None:
    if not isinstance(data, list) or len(data) > _MAX_BYTES:
        return None
    try:
        return bytes(int(byte) for byte in data).decode()
    except (TypeError, ValueError):
        return None


def _parts(node: Any, level: int) -> Iterator[str]:
    """Yield the texts of a node of a document: paragraphs in lines, the cells of a table between bars."""
    if not isinstance(node, dict) or level > _MAX_LEVELS:
        return
    kind, inner = node.get("type"), node.get("content")
    if kind == "text" and isinstance(node.get("text"), str):
        yield node["text"]
    elif kind == "hardBreak":
        yield "\n"
    elif isinstance(inner, list):
        parts = [part for item in inner for part in _parts(item, level + 1)]
        if kind in _CELLS:
            yield f"{''.join(parts).strip()}|"
            return
        yield "|" if kind == "tableRow" else ""
        yield from parts
        yield "\n" if kind in _LINES else ""
