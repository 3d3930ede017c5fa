"""Objects that stand for a text."""

from typing import Any

import pytest

from shared.payload import written


def text(content: str, **more: Any) -> dict[str, Any]:
    """Return a text of Jira's document."""
    return {"type": "text", "text": content, **more}


def node(kind: str, *content: dict[str, Any]) -> dict[str, Any]:
    """Return a node of Jira's document."""
    return {"type": kind, "content": list(content)}


def test_a_buffer_is_the_text_of_its_bytes() -> None:
    """Node writes a body of bytes so."""
    assert written.text({"type": "Buffer", "data": [123, 125]}) == "{}"


def test_a_document_is_its_paragraphs() -> None:
    """Texts in bold or not stand beside each other, paragraphs below each other, cells between bars."""
    bold = text("DeviceId: ", marks=[{"type": "strong"}])
    row = node("tableRow", node("tableHeader", node("paragraph", text("a"))), node("tableCell", text("b")))
    document = node("doc", node("paragraph", bold, text("x"), {"type": "hardBreak"}), node("table", row))
    assert written.text(document) == "DeviceId: x\n\n|a|b|\n"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "Buffer", "data": ["x"]},
        {"type": "Buffer", "data": [255]},
        {"type": "Buffer", "data": "x"},
        {"type": "doc"},
        {"type": "doc", "content": "x"},
        {"type": ["doc"], "content": []},
        {"type": "doc", "content": [], "DeviceId": "x"},
    ],
)
def test_other_objects_have_no_text(value: dict[str, Any]) -> None:
    """They are read as what they are."""
    assert written.text(value) is None


def test_what_is_no_node_is_left_out() -> None:
    """A document that somebody changed by hand is read as far as it goes, and not without an end."""
    deep = node("paragraph", text("x"))
    for _ in range(20):
        deep = node("blockquote", deep)
    assert "x" not in (written.text(node("doc", deep)) or "x")
    assert written.text({"type": "doc", "content": [1, None, {"type": "text"}, text("y")]}) == "y"
