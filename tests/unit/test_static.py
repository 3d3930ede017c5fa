"""The operator's page as it is served: a list of files, small, and nothing from elsewhere."""

import re
from pathlib import Path

import pytest

from shared.errors import NotFound
from shared.web import static

URL = "https://app.example/api/console"
FILES = sorted(static.FOLDER.iterdir())


def test_the_list_is_the_folder() -> None:
    """Each file of the folder may be asked for, and no other name."""
    assert {path.name for path in FILES} == {static.PAGE, *static.NAMES}


@pytest.mark.parametrize("name", ["", *static.NAMES])
def test_each_file_says_what_it_is_and_what_it_may_do(name: str) -> None:
    """Its content type, and a policy that allows this app's own files and answers only."""
    reply = static.answer(name, f"{URL}/{name}".rstrip("/"), on=True)
    assert reply.status == 200
    assert re.fullmatch(r"(text/(html|css|javascript)|image/svg\+xml)", reply.content_type)
    policy = dict(part.split(" ", 1) for part in reply.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}


@pytest.mark.parametrize(
    "name", ["index.html", "../static.py", "..%2fstatic.py", "STYLE.CSS", "main.js/", "x"]
)
def test_no_other_name_is_a_file(name: str) -> None:
    """Whatever else stands in the address, nothing is read."""
    with pytest.raises(NotFound):
        static.answer(name, URL, on=True)


@pytest.mark.parametrize("name", ["", "main.js"])
def test_it_can_be_switched_off(name: str) -> None:
    """With CONSOLE=false there is no page, and no file of it."""
    with pytest.raises(NotFound, match="CONSOLE"):
        static.answer(name, URL, on=False)


def test_a_slash_too_many_is_redirected_away() -> None:
    """The page's addresses are relative: behind a slash they would lead nowhere."""
    reply = static.answer("", f"{URL}/?code=x", on=True)
    assert (reply.status, reply.headers["Location"]) == (308, "../console")


def test_it_is_small() -> None:
    """All together under 150 KB and 1,500 lines."""
    assert sum(path.stat().st_size for path in FILES) < 150_000
    assert sum(len(path.read_text("utf-8").splitlines()) for path in FILES) < 1_500


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_comes_from_elsewhere_or_runs_from_a_text(path: Path) -> None:
    """No outside address but Defender's portal, no inline script or style, no HTML made of texts."""
    text = path.read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'`]+", text))
    portals = {
        "https://security.microsoft.com/",
        "https://security.microsoft.us/",
        "https://security.apps.mil/",
    }
    assert addresses <= {*portals, "http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:", text)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_each_module_imports_files_of_the_page(path: Path) -> None:
    """Every import is a file of the list, by a relative address."""
    imported = re.findall(r"""^import .*["']([^"']+)["'];$""", path.read_text("utf-8"), re.MULTILINE)
    assert set(imported) <= {f"./{name}" for name in static.NAMES}
