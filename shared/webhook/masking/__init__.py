"""Secrets in what is stored of a refused payload, masked by their names: keys, passwords, tokens, cookies.

Everything else stays byte for byte as it came, so that the payload can be replayed. A secret may stand in an object,
in a pair of name and value, in a table, in a form, in JSON within a string, in JSON that is broken, in XML, in a
command line or in a URL.
"""

import functools
import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.webhook.masking import free_text, json_form, table_form, xml_form
from shared.webhook.masking.names import HINT, is_secret

MASK = "***"
_DEEP = 8
"""Texts within texts that are opened; deeper ones that name a secret are masked whole."""
_ESCAPED = ("&lt;", "&quot;", "&amp;", "&#")


def body(raw: bytes) -> bytes:
    """Return the bytes of a payload with its secrets masked."""
    return text(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def text(sent: str, depth: int = 0) -> str:
    """Return a text of any form with its secrets masked; `depth` counts the texts that it was in."""
    if not HINT.search(sent):
        return sent
    if depth > _DEEP:
        return MASK
    inside = functools.partial(text, depth=depth + 1)
    is_json = json_form.begins(sent)
    if is_json and json_form.is_whole(sent):
        return json_form.masked(sent, MASK, inside)
    if any(sign in sent for sign in _ESCAPED):
        plain = html.unescape(sent)
        masked = inside(plain)
        if masked != plain:
            return html.escape(masked, quote="&quot;" in sent)
    if xml_form.has_tags(sent):
        sent = xml_form.masked(sent, MASK, inside)
    sent = free_text.masked(table_form.masked(sent, MASK), MASK, inside)
    return json_form.masked(sent, MASK, inside) if is_json else sent


def named(values: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a URL with their secrets masked."""
    return {name: MASK if is_secret(name, in_url=True) else text(value) for name, value in values.items()}


def problems(refused: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield what is wrong with each event, the values that it quotes masked if they are secrets."""
    for event in refused:
        masked = [{**problem, "detail": text(problem["detail"])} for problem in event["problems"]]
        yield {**event, "problems": masked}
