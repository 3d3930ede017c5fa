"""The files of the operator's page: read from `console/` by name, from a list of the names that may be asked for."""

import functools
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from shared.errors import NotFound
from shared.web.reply import Reply

FOLDER = Path(__file__).parent / "console"
PAGE = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NAMES = (
    "style.css", "icon.svg", "main.js", "api.js", "dom.js", "ask.js", "source.js", "overview.js", "alert.js",
    "alerts.js", "refused.js", "tryout.js", "senders.js",
)  # fmt: skip
"""The files beside the page itself."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
    }
)


def answer(name: str, url: str, *, on: bool) -> Reply:
    """Return the page for an empty name, else the file of a name. Raise `NotFound`, for every name if it is not `on`.

    The page's addresses are relative to `…/console`, so a slash behind it is redirected away.
    """
    if not on:
        raise NotFound("The operator's page is switched off: the setting CONSOLE is false.")
    if not name:
        if urlsplit(url).path.endswith("/"):
            return Reply(308, content_type="text/plain", headers={**HEADERS, "Location": "../console"})
        return _file(PAGE)
    if name not in NAMES:
        raise NotFound("The operator's page has no file of this name.")
    return _file(name)


@functools.cache
def _file(name: str) -> Reply:
    path = FOLDER / name
    return Reply(
        200, path.read_text("utf-8"), _TYPES[path.suffix], HEADERS
    )  # the worker adds the character set
