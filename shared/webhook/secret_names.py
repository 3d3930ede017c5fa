"""By which names secrets go: in headers, URLs, forms and payloads."""

import re
from urllib.parse import unquote_plus

_ENDS = (
    "apikey", "functionskey", "accesskey", "accountkey", "sharedkey", "privatekey", "secretkey", "signingkey",
    "encryptionkey", "subscriptionkey", "authkey", "masterkey", "hostkey", "storagekey", "integrationkey",
    "routingkey", "servicekey", "geniekey", "licensekey", "pwd", "secret", "secretvalue", "secretstring", "token",
    "authorization", "authorizationheader", "cookie", "credential", "connectionstring", "clientassertion",
    "sharedaccesssignature",
)  # fmt: skip
_INSIDE = ("password", "passwd", "passphrase")
_WHOLE = {"sig", "sas", "jwt", "pass", "bearer", "basicauth", "webhooksignature"}
_IN_URL = {"code", "key", "auth", "signature"}
"""Names of secrets in a URL only: elsewhere `code` and `key` say something else, and a signature is an IDS rule's."""
_SIGNATURE = re.compile(r"x[a-z0-9]+signature(256)?")
HINT = re.compile(
    r"key|pwd|pass|secret|token|auth|cookie|credential|connection|assertion|sig|sas|jwt|bearer|code|://",
    re.IGNORECASE,
)
"""What stands in every text that may name a secret."""


def plain(name: str) -> str:
    """Return a name in small letters and digits only."""
    return "".join(sign for sign in unquote_plus(name[-200:]).lower() if sign.isalnum())


def is_secret(name: str, *, in_url: bool = False) -> bool:
    """Tell whether what goes by this name is a secret; `in_url` for a parameter of a URL."""
    letters = plain(name)
    singular = letters.removesuffix("s")
    return (
        letters.endswith(_ENDS)
        or singular.endswith(_ENDS)
        or any(part in letters for part in _INSIDE)
        or letters in _WHOLE
        or (in_url and letters in _IN_URL)
        or _SIGNATURE.fullmatch(letters) is not None
    )
