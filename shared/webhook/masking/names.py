"""By which names secrets go: in headers, URLs, forms and payloads; and which members are a name and its value."""

import re
from urllib.parse import unquote_plus

_ENDS = (
    "apikey", "functionskey", "accesskey", "accountkey", "sharedkey", "privatekey", "secretkey", "signingkey",
    "encryptionkey", "subscriptionkey", "authkey", "masterkey", "hostkey", "storagekey", "integrationkey",
    "routingkey", "servicekey", "geniekey", "licensekey", "pwd", "secret", "secretstring", "token", "authorization",
    "authorizationheader", "cookie", "credential", "connectionstring", "clientassertion", "sharedaccesssignature",
    "password", "passwd", "passphrase", "passwort", "kennwort", "motdepasse", "contraseña", "contrasena", "senha",
    "basicauth", "jsessionid", "phpsessid",
)  # fmt: skip
_INSIDE = ("password", "passwd", "passphrase", "passwort", "kennwort")
_WHOLE = {"sig", "sas", "jwt", "pass", "bearer", "webhooksignature"}
_IN_URL = {"code", "key", "auth", "signature"}
"""Names of secrets in a URL only: elsewhere `code` and `key` say something else, and a signature is an IDS rule's."""
_SIGNATURE = re.compile(r"x[a-z0-9]+signature(256)?")
_NUMBER_OR_VALUE = re.compile(r"(?:values?|\d+)$")
_WORDS = re.compile(r"[\w.\-]+(?: [\w.\-]+){0,2}")
_LONGEST = 60
_BEFORE_LAST = re.compile(r".*[.\[/]")
"""What stands before the last part of a path: `request.headers.sig`, `headers[sig]`."""
HINT = re.compile(
    r"key|pwd|pass|kennwo|contrase|senha|sess|secret|token|auth|cookie|credential|connection|assertion|sig|sas|jwt"
    r"|bearer|basic|code|private|hooks|://|curl|convertto|eyj|%|\\u|&",
    re.IGNORECASE,
)
"""What stands in every text that may hold a secret."""

_NAME_ENDS = (
    "name", "key", "header", "field", "label", "parameter", "param", "attribute", "property", "variable", "option",
)  # fmt: skip
_NAME_WHOLE = {"k", "n"}
_TITLES = ("title", "type", "id")
_VALUES = {"val", "v", "content", "text", "data", "stringvalue"}


def plain(name: str) -> str:
    """Return a name in small letters and digits only."""
    return "".join(sign for sign in unquote_plus(name[-200:]).lower() if sign.isalnum())


def is_secret(name: str, *, in_url: bool = False) -> bool:
    """Tell whether what goes by this name is a secret; `in_url` for a parameter of a URL."""
    letters = plain(name)
    return (
        _ends(letters)
        or any(part in letters for part in _INSIDE)
        or (in_url and letters in _IN_URL)
        or plain(_BEFORE_LAST.sub("", name[-200:])) in _WHOLE
        or _SIGNATURE.fullmatch(letters) is not None
    )


def names_secret(text: str) -> bool:
    """Tell whether a text is no more than the name of a secret: a header's, or up to three words that end so."""
    if len(text) > _LONGEST or not _WORDS.fullmatch(text):
        return False
    return _ends(plain(text)) if " " in text else is_secret(text)


def is_name(member: str) -> bool:
    """Tell whether a member of an object, in plain letters, says what another one of it is."""
    return member.endswith(_NAME_ENDS) or member in _NAME_WHOLE


def is_title(member: str) -> bool:
    """Tell whether a member may say so, where the other one is called a value."""
    return member.endswith(_TITLES)


def is_value(member: str) -> bool:
    """Tell whether a member of an object, in plain letters, may be what another one of it names."""
    return member in _VALUES or is_called_value(member)


def is_called_value(member: str) -> bool:
    """Tell whether a member is called a value."""
    return member.endswith(("value", "values"))


def _ends(letters: str) -> bool:
    for letters_tried in (letters, _NUMBER_OR_VALUE.sub("", letters)):
        singular = letters_tried.removesuffix("s")
        if letters_tried.endswith(_ENDS) or singular.endswith(_ENDS) or letters_tried in _WHOLE:
            return True
    return False
