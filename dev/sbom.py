"""The bill of materials of a ready-to-run package, as CycloneDX 1.6: what is in it, with version and hash.

https://cyclonedx.org/docs/1.6/json/
"""

import hashlib
import json
import tomllib
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dev import setup
from dev.lock import Locked

_SERIAL = uuid.UUID("9d1f4c2a-6b7e-5a31-8c40-2f6e0b9a7d15")  # of this project's bills


def write(packed: Path, locked: Iterable[Locked]) -> Path:
    """Write the bill of `packed` beside it, and return its path. The same package has the same bill."""
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    bill = packed.with_name(f"{packed.name.removesuffix('.zip')}.cdx.json")
    bill.write_text(json.dumps(document(digest, locked), indent=2) + "\n", "utf-8")
    return bill


def document(digest: str, locked: Iterable[Locked]) -> dict[str, Any]:
    """Return the bill of a package; `digest` is its SHA-256."""
    project = tomllib.loads((setup.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_SERIAL, digest).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": project["name"],
                "name": project["name"],
                "version": project["version"],
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [_component(each) for each in locked],
    }


def _component(locked: Locked) -> dict[str, Any]:
    address = f"pkg:pypi/{locked.name}@{locked.version}"
    return {
        "type": "library",
        "bom-ref": address,
        "name": locked.name,
        "version": locked.version,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": locked.sha256}],
    }
