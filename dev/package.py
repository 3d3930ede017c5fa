"""Builds the packages for Azure in `dist/`: the source package, and a package that is ready to run.

    python -m dev.package --python 3.13

`source.zip` is for a remote build: Azure installs the dependencies. `defender-alert-webhook-3.13.zip` carries them
for Linux on x86-64 and the Python chosen, under `.python_packages/lib/site-packages`, where the Functions worker
looks, as `requirements-3.13.lock` names them; its bill of materials (https://cyclonedx.org/docs/1.6/json/) lies beside
it. Both hold of the app what `.funcignore` allows, and both are the same bytes whenever they are built of the same
files: sorted, without times, without what depends on the machine.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import tomllib
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pathspec import GitIgnoreSpec

from dev import lock, setup
from dev.lock import PYTHONS, Locked, PackageError

SITE_PACKAGES = ".python_packages/lib/site-packages"
SOURCE = "source.zip"

_NOTHING_OLDER = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name
_SERIAL = uuid.UUID("9d1f4c2a-6b7e-5a31-8c40-2f6e0b9a7d15")  # of this project's bills
_OF_THIS_MACHINE = ("bin", "__pycache__", "RECORD")  # start scripts, byte code, and the hashes of both


def main() -> None:
    """Build both packages and say what they are."""
    parser = argparse.ArgumentParser(description="Build the packages that Azure installs, into dist/.")
    add = parser.add_argument
    add("--python", choices=PYTHONS, default=PYTHONS[0], help="the Python of the function app")
    add("--into", type=Path, default=setup.ROOT / "dist", metavar="FOLDER")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as dependencies:
            install(options.python, Path(dependencies))
            ready = build_ready(options.python, Path(dependencies), options.into)
            listed = write_bill(ready, lock.read(lock.of(options.python)))
            built = [build_source(options.into), ready, listed]
    except PackageError as error:
        sys.exit(f"make package: {error}")
    for path in built:
        size, digest = path.stat().st_size / 1_000_000, hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"{path}\n  {size:.1f} MB, sha256 {digest}")


def source_files(root: Path = setup.ROOT) -> list[str]:
    """Return the app's files, relative to `root` and sorted: what its `.funcignore` allows."""
    ignored = GitIgnoreSpec.from_lines((root / ".funcignore").read_text().splitlines())
    names: list[str] = []
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)
        folders[:] = [name for name in folders if not ignored.match_file((here / name).as_posix() + "/")]
        names += [(here / name).as_posix() for name in files]
    return sorted(name for name in names if not ignored.match_file(name))


def install(version: str, folder: Path) -> None:
    """Install the app's dependencies, as they are locked, for Linux and that Python into `folder`.

    Raise `PackageError`. In two steps, because only `pip download` chooses by the target's Python; `pip install`
    would leave out what the Python that runs it is too old for.
    """
    with tempfile.TemporaryDirectory() as wheels:
        lock.download(version, Path(wheels), requirements=lock.of(version))
        downloaded = [str(path) for path in sorted(Path(wheels).iterdir())]
        as_they_are = ("--no-index", "--no-deps", "--ignore-requires-python", "--no-compile")
        lock.pip("install", *lock.target(version), *as_they_are, "--target", str(folder), *downloaded)
    if missing := sorted(_missing(version, folder)):
        raise PackageError(f"on Python {version} these would be missing: {', '.join(missing)}; run make lock")


def build_source(into: Path, *, root: Path = setup.ROOT) -> Path:
    """Write the package for a remote build and return its path."""
    return write(into / SOURCE, {name: (root / name).read_bytes() for name in source_files(root)})


def build_ready(version: str, dependencies: Path, into: Path, *, root: Path = setup.ROOT) -> Path:
    """Write the ready-to-run package, `dependencies` being installed for `version`, and return its path."""
    files = {name: (root / name).read_bytes() for name in source_files(root)}
    for path in dependencies.rglob("*"):
        name = path.relative_to(dependencies)
        if path.is_file() and not set(name.parts) & set(_OF_THIS_MACHINE):
            files[f"{SITE_PACKAGES}/{name.as_posix()}"] = path.read_bytes()
    return write(into / f"defender-alert-webhook-{version}.zip", files)


def _missing(version: str, folder: Path) -> Iterable[str]:
    """Find what the installed packages need on that Python and Linux, and is not there."""
    installed = {canonicalize_name(each.name): each for each in metadata.distributions(path=[str(folder)])}
    target = {name: str(value) for name, value in default_environment().items()}
    target |= {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    target |= {"platform_machine": "x86_64", "extra": ""}
    target |= {"python_version": version, "python_full_version": f"{version}.0"}
    for each in installed.values():
        for need in map(Requirement, each.requires or ()):
            wanted = need.marker is None or need.marker.evaluate(target)
            if wanted and canonicalize_name(need.name) not in installed:
                yield f"{need.name} (for {each.name})"


def write(target: Path, files: Mapping[str, bytes]) -> Path:
    """Write a zip that depends on nothing but the names and contents of its files; return its path."""
    with zipfile.ZipFile(target, "w") as package:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _NOTHING_OLDER)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this is built on
            entry.external_attr = 0o100644 << 16
            package.writestr(entry, files[name], compresslevel=9)
    return target


def write_bill(packed: Path, locked: Iterable[Locked]) -> Path:
    """Write the bill of `packed` beside it, and return its path. The same package has the same bill."""
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    path = packed.with_name(f"{packed.name.removesuffix('.zip')}.cdx.json")
    path.write_text(json.dumps(bill(digest, locked), indent=2) + "\n", "utf-8")
    return path


def bill(digest: str, locked: Iterable[Locked]) -> dict[str, Any]:
    """Return the bill of a package; `digest` is its SHA-256."""
    project = tomllib.loads((setup.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_SERIAL, digest).urn,
        "version": 1,
        "metadata": {
            "component": _component(
                "application", project["name"], Locked(project["name"], project["version"], digest)
            )
        },
        "components": [
            {**_component("library", purl, each), "purl": purl}
            for each in locked
            for purl in [f"pkg:pypi/{each.name}@{each.version}"]
        ],
    }


def _component(kind: str, reference: str, of: Locked) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": of.sha256}]
    return {"type": kind, "bom-ref": reference, "name": of.name, "version": of.version, "hashes": hashes}


if __name__ == "__main__":
    main()
