"""Where a token may be sent: https, or http to this machine."""

from urllib.parse import urlsplit

from shared.errors import Problem, SettingsError
from shared.loopback import is_loopback

_EXAMPLES = {"GRAPH_API_URL": "https://graph.microsoft.com"}


def check(url: str, setting: str) -> None:
    """Raise a `SettingsError` that names `setting` if a token must not be sent to `url`."""
    if why := _unsafe(url):
        example = _EXAMPLES.get(setting, "https://api.security.microsoft.com")
        what_to_do = f"Give the API's base, such as {example}"
        raise SettingsError([Problem(setting, f"{why}. {what_to_do}")])


def _unsafe(url: str) -> str | None:
    """Return why a token must not be sent to `url`, None if it may."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is not a URL"
    if parts.username is not None or parts.password is not None:
        return "it holds a user name, which would replace our token"
    if parts.query or parts.fragment:
        return "it has a query or a fragment"
    if not host or parts.scheme not in {"http", "https"}:
        return "it is not an https URL"
    if parts.scheme == "http" and not is_loopback(host):
        return f"a token is sent only over https, not to http://{host}"
    return None
