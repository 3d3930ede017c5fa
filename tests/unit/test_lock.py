"""The locks and the bill of materials: what a package carries is named, whole, and known to be sound."""

import hashlib
import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from dev import lock, package, setup
from dev.lock import Locked

FIXED = {"azure-core": "1.38.0", "requests": "2.32.4"}  # CVE-2026-21226, CVE-2024-47081
ONE = Locked("some-thing", "1.2", "0f" * 32)


@pytest.mark.parametrize("version", lock.LOCKED)
def test_a_lock_holds_what_the_requirements_ask_for(version: str) -> None:
    """Each of them is there, no older than its floor, without a vulnerability that we know of; each has one line."""
    locked = list(lock.read(lock.of(version)))
    versions = {each.name: Version(each.version) for each in locked}
    assert len(versions) == len(locked)
    lines = (setup.ROOT / "requirements.txt").read_text("utf-8").splitlines()
    for need in (Requirement(line) for line in lines if not line.startswith("#")):
        assert versions[need.name] in need.specifier
    assert all(versions[name] >= Version(fixed) for name, fixed in FIXED.items())
    assert lock.text(version, locked) == lock.of(version).read_text("utf-8")


def test_the_floors_exclude_what_is_known_to_be_vulnerable() -> None:
    """Azure, which builds from requirements.txt, cannot take it either."""
    lines = (setup.ROOT / "requirements.txt").read_text("utf-8").splitlines()
    needs = {need.name: need for need in (Requirement(line) for line in lines if not line.startswith("#"))}
    assert "2.32.3" not in needs["requests"].specifier
    assert FIXED["requests"] in needs["requests"].specifier


@pytest.mark.parametrize(
    "line", ["some-thing==1.2", "some-thing>=1.2 --hash=sha256:" + "0f" * 32, "some-thing==1.2 --hash=md5:0f"]
)
def test_a_line_without_version_or_hash_is_refused(tmp_path: Path, line: str) -> None:
    """What would be installed unchecked is an error that shows the line."""
    path = tmp_path / "requirements-3.13.lock"
    path.write_text(f"{lock.text('3.13', [ONE])}{line}\n")
    with pytest.raises(ValueError, match="not a line of a lock: some-thing"):
        list(lock.read(path))


def test_whoever_asks_for_help_changes_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command tells what it does, and fetches and writes nothing."""
    fetched: list[str] = []
    monkeypatch.setattr(lock, "download", lambda version, *_, **__: fetched.append(version))
    monkeypatch.setattr(Path, "write_text", lambda *_: 0)
    monkeypatch.setattr("sys.argv", ["lock", "--help"])
    with pytest.raises(SystemExit) as ended:
        lock.main()
    assert (ended.value.code, fetched) == (0, [])


def test_the_bill_names_the_package_and_all_that_is_in_it(tmp_path: Path) -> None:
    """It lies beside the package, has the package's hash, and is the same whenever it is written."""
    packed = tmp_path / "defender-alert-webhook-3.13.zip"
    packed.write_bytes(b"packed")
    bill = package.write_bill(packed, [ONE])
    first = bill.read_bytes()
    assert bill.name == "defender-alert-webhook-3.13.cdx.json"
    assert package.write_bill(packed, [ONE]).read_bytes() == first
    document = json.loads(first)
    (application,) = document["metadata"]["component"]["hashes"]
    assert application["content"] == hashlib.sha256(b"packed").hexdigest()
    (component,) = document["components"]
    assert component["purl"] == "pkg:pypi/some-thing@1.2"
    assert component["hashes"] == [{"alg": "SHA-256", "content": ONE.sha256}]
    packed.write_bytes(b"other")
    assert (
        json.loads(package.write_bill(packed, [ONE]).read_bytes())["serialNumber"] != document["serialNumber"]
    )
