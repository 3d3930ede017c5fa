"""Secrets in XML and HTML: an element is an object, its attributes, children and texts are the members."""

import html
import re
from collections.abc import Callable

from shared.webhook.masking.structure import Frame, Structure

_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[(?P<data>.*?)(?:\]\]>|\Z)"
    r"|</(?P<closed>[\w:.\-]++)\s*+>|<(?P<opened>[A-Za-z_][\w:.\-]*+)(?P<attributes>[^<>]*+)>|(?P<text>[^<]++)|<",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([\w:.\-]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
_TAG = re.compile(r"<[A-Za-z_][\w:.\-]*+[^<>]*+>")
_TEXT = "#text"


def has_tags(text: str) -> bool:
    """Tell whether a text has elements."""
    return "<" in text and _TAG.search(text) is not None


def masked(text: str, mask: str, inside: Callable[[str], str]) -> str:
    """Return XML, whole or broken, with its secrets masked; `inside` masks the texts in it."""
    structure = Structure(text, mask, inside, html.escape)
    structure.open[0].is_object = True
    names: list[str] = []
    for token in _TOKEN.finditer(text):
        if opened := token["opened"]:
            structure.open[-1].key = opened.rpartition(":")[2]
            structure.open.append(Frame(token.end(), is_object=True))
            names.append(opened)
            for attribute in _ATTRIBUTE.finditer(text, token.start("attributes"), token.end("attributes")):
                structure.open[-1].key = attribute[1]
                quotes = 2 if attribute[2] is not None else 3
                structure.value(*attribute.span(quotes), html.unescape(attribute[quotes]))
            if token["attributes"].endswith("/"):
                _close(structure, names, token.end())
        elif token["closed"] in names[-1:]:
            _close(structure, names, token.start())
        elif within := token["text"] or token["data"]:
            structure.open[-1].key = _TEXT
            group = "text" if token["text"] else "data"
            structure.value(*token.span(group), html.unescape(within) if token["text"] else within)
    return structure.result()


def _close(structure: Structure, names: list[str], end: int) -> None:
    """Close an element; one with a text only is that text for what it is in."""
    names.pop()
    items = structure.open[-1].items
    only = items[0].scalar if len(items) == 1 else None
    structure.close(end, only.strip() if only is not None else None)
