"""Template placeholders that the sender did not fill."""

import re

from shared.alerts.text import GUID

_NAME = r"[A-Za-z_][\w.-]{0,100}"
_TEMPLATE = "|".join(
    (
        r"\{\{\{?[#/^!&~-]?\s{0,3}[$@.A-Za-z_][^{}]{0,200}\}\}\}?",  # Jinja, Handlebars, Mustache, Liquid, Go
        r"\$\{\{[^{}]{1,200}\}\}",
        r"\{%[^{}%]{1,200}%\}",
        r"<%[^<>%]{1,200}%>",
        r"[$#]\{[A-Za-z_][\w.\[\]'\" -]{0,200}\}",
        r"%\{[A-Za-z_@\[][^{}]{0,200}\}",  # Logstash
        rf"@\{{?{_NAME}\([^{{}}]{{0,200}}\}}?",  # Logic Apps
        rf"%\({_NAME}\)[sdrf]",
        r"\$[A-Za-z_]\w{0,100}\.[\w.*{}-]{1,100}\$",  # Splunk: $result.field$
        r"\[\[\s{0,3}[A-Za-z_$.][\w.$]{0,100}\s{0,3}\]\]",
        r"\{[A-Z][A-Z0-9]{0,40}(?:\.[A-Z0-9]{1,40})+\}|\{[$#][A-Z0-9_.]{1,100}\}",  # Zabbix
    )
)
"""What nobody writes but a template."""
_LOOSE = rf"\{{ ?[A-Za-z_][\w. -]{{0,60}}\}}|\{{\d{{1,2}}\}}|\${_NAME}\$|%{_NAME}%|\$\(\$?{_NAME}\)"
"""What could also be the name of a variable in a command line, say."""
_ANY = re.compile(f"{_TEMPLATE}|{_LOOSE}")
_BEGINS = re.compile(rf"[\s\"'(\[*=_`>#-]{{0,5}}({_TEMPLATE})")
_WHOLE = re.compile(
    r"<<?[A-Za-z_][\w. -]{0,100}>>?|\$[A-Za-z_][\w.]{0,100}|@[A-Za-z_]\w{0,40}\(.{0,200}"
    r"|\*UNKNOWN\*|\[no value\]"  # Zabbix, Grafana
)
_TAGS = re.compile(
    r"<(?:b|i|u|p|br|hr|em|ul|ol|li|div|span|pre|code|table|tr|td|html|body|strong)>", re.IGNORECASE
)
_SAYS_NOTHING = re.compile(
    "an|and|at|by|for|from|in|is|of|on|the|to|was|with|new|alarm|alerts?|case|category|description|detected|detection"
    "|device|event|fired|host|id|incident|level|message|name|notification|number|priority|problem|rule|severity|siem"
    "|source|state|status|subject|title|triggered|type|user"
)
_LONGEST = 1_000  # characters; what is longer holds more than placeholders


def unfilled(text: str) -> str | None:
    """Return the first placeholder of a text that begins with one or holds nothing else.

    None for a text that only mentions one, such as a command line with `${env:TEMP}`.
    """
    stripped = text.strip()
    if begins := _BEGINS.match(stripped):
        return begins[1]
    if len(stripped) > _LONGEST or GUID.fullmatch(stripped):
        return None
    if _WHOLE.fullmatch(stripped) and not _TAGS.fullmatch(stripped):
        return stripped
    first = _ANY.search(stripped)
    if first is None:
        return None
    words = re.findall(r"[^\W\d_]{2,}", _ANY.sub(" ", stripped).lower())
    return first[0] if all(map(_SAYS_NOTHING.fullmatch, words)) else None
