"""Which URLs of services the app takes: https, or http to this machine."""

import re
from urllib.parse import urlsplit

from shared.errors import Problem, SettingsError
from shared.loopback import is_loopback

_EXAMPLES = {
    "GRAPH_API_URL": "https://graph.microsoft.com",
    "PUBLIC_BASE_URL": "https://gateway.contoso.example",
}
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # the characters of RFC 3986


def check(url: str, setting: str) -> None:
    """Raise a `SettingsError` that names `setting` if `url` is not the base of a service."""
    if why := _wrong(url):
        example = _EXAMPLES.get(setting, "https://api.security.microsoft.com")
        raise SettingsError([Problem(setting, f"{why}. Give the base of its addresses, such as {example}")])


def _wrong(url: str) -> str | None:
    """Return why `url` is not the base of a service, None if it is."""
    if not _URL.fullmatch(url):
        return "a URL holds no such character; a name such as exämple.de is written xn--exmple-cua.de"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is not a URL"
    found = {
        "it holds a user name, which would replace our token": "@" in parts.netloc,
        "it has a query or a fragment": "?" in url or "#" in url,
        "it is not an https URL": not host or parts.scheme not in {"http", "https"},
        f"http is for this machine only, not for {host}": parts.scheme == "http" and not is_loopback(host),
    }
    return next((why for why, is_so in found.items() if is_so), None)
