"""What the pages name is there: files, headings, make targets, settings, functions, paths; and they stay short."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks import checkout, kql

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name for name in checkout.files() if re.fullmatch(r"(?:(?:docs|integrations)/.+|[^/]+)\.md", name)
]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
VARIABLES = {"PYTHON", "ARGS", "FILE", "SOURCE", "BENCH", "ONLY"}
TEMPLATES = {
    path.relative_to(ROOT).as_posix(): json.loads(path.read_text("utf-8"))
    for path in [ROOT / "infra" / "azuredeploy.json", *(ROOT / "integrations").rglob("azuredeploy.json")]
}
PARAMETERS = {name for template in TEMPLATES.values() for name in template["parameters"]}
OUTPUTS = {name for template in TEMPLATES.values() for name in template.get("outputs", {})}
FUNCTIONS = {path.parent.name for path in ROOT.glob("*Function/function.json")}
CONTRACT = json.loads((ROOT / "shared" / "web" / "openapi.json").read_text("utf-8"))
ROUTES = [path.split("/") for path in CONTRACT["paths"]]
WORDS = {"MICROSOFT_DEFENDER_ENDPOINT"}  # of other products
EXAMPLES = {"tests/mappings/nightwatch/"}  # what the reader is to make
MEASURED = (
    "docs/benchmarks/",
    "bench/mapping_cost.json",
)  # what `make bench` writes: not there before its first run
PLATFORM = {  # settings that the Functions host or worker reads
    "FUNCTIONS_WORKER_RUNTIME",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}


def named(path: Path) -> str:
    """Return a page's name for the test's id."""
    return path.relative_to(ROOT).as_posix()


def settings() -> set[str]:
    """Return the names that the code reads, that azd gets, and that belong to the platform."""
    read = re.findall(
        r'self\._\w+\(\s*"([A-Z][A-Z_]+)"', (ROOT / "shared" / "settings.py").read_text("utf-8")
    )
    parameters = re.findall(r"\$\{([A-Z_]+)", (ROOT / "infra" / "main.parameters.json").read_text("utf-8"))
    return {*read, *parameters, *PLATFORM, *WORDS}


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def wrong_links(page: Path, text: str) -> list[str]:
    """Return the relative links of a text that lead nowhere; it stands where `page` does."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        path = (page.parent / target).resolve() if target else page
        inside = path == ROOT or ROOT in path.parents
        if inside and path.relative_to(ROOT).as_posix().startswith(MEASURED):
            continue
        if not (inside and path.exists()) or (anchor and anchor not in anchors(path)):
            wrong.append(link)
    return wrong


def wrong_targets(text: str) -> list[str]:
    """Return the make targets and variables of a text that the Makefile does not know."""
    code = re.sub(r'="[^"]*"', "=quoted", shown(text))
    commands = re.findall(r"(?:^|\s)make((?: +[A-Za-z-]+(?:=\S+)?)+)", code, re.MULTILINE)
    words = [word for command in commands for word in command.split()]
    return [
        word
        for word in words
        if (
            word.partition("=")[0] not in VARIABLES if "=" in word else word not in TARGETS and word.islower()
        )
    ]


def shown(text: str) -> str:
    """Return what a text shows as code, one piece a line; prose says `make` in another sense."""
    blocks = re.findall(r"^ *```\w*[^\n]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0].split("  ")[0] for block in blocks for line in block.splitlines()]
    return "\n".join([*re.findall(r"`([^`\n]+)`", rest), *lines])


def wrong_settings(text: str) -> list[str]:
    """Return the settings that a text names in code and nobody reads."""
    words = re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", text)
    return sorted(set(words) - settings())


def wrong_files(page: Path, text: str) -> list[str]:
    """Return the files that a text names in code, from the root or from the page's folder, and that are not there."""
    places = "infra|docs|shared|bench|dev|tests|integrations"
    names = re.findall(rf"`((?:{places})/[\w./-]+)`", text)
    names += re.findall(
        rf"(?:^|[ (])\.?/?((?:{places})/[\w./-]+\.(?:sh|ps1|py|json|bicep))", shown(text), re.MULTILINE
    )
    return [
        name
        for name in names
        if name not in EXAMPLES
        and not name.startswith(MEASURED)
        and not any((at / name).exists() for at in (ROOT, page.parent))
    ]


def wrong_names(text: str) -> list[str]:
    """Return parameters, outputs and functions that a command or a text names and no template or folder has."""
    code = shown(text)
    given = [
        name
        for command in re.findall(r"--parameters ((?:[^\n]*\\\n)*[^\n]*)", code)
        for name in re.findall(r"(?:^|\s)(\w+)=", command)
    ]
    outputs = re.findall(r"properties\.outputs\.(\w+)", code)
    functions = re.findall(r"--function-name (\S+)", code)
    functions += re.findall(r"`(\w+Function)`", text)
    return [
        *(name for name in given if name not in PARAMETERS),
        *(name for name in outputs if name not in OUTPUTS),
        *(name for name in functions if name not in FUNCTIONS),
    ]


def wrong_functions(text: str) -> list[str]:
    """Return each `module.function` of a text that stands in no module of that name below `shared/`."""
    named = re.findall(r"`([a-z_]+)\.((?:\w+\.)?\w+)`", text)
    return [f"{module}.{path}" for module, path in named if path not in defined(module)]


def defined(module: str) -> set[str]:
    """Return the functions, classes and methods (`Class.method`) of the modules of this name below `shared/`."""
    names = set()
    for path in (ROOT / "shared").rglob(f"{module}.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.ClassDef):
                names |= {
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                }
    return names


def wrong_paths(text: str) -> list[str]:
    """Return the paths of our API that a text names and that neither are in the contract nor begin one of it."""
    paths = re.findall(r"/api/[\w{}/.-]+[\w}]", shown(text))
    ours = [path for path in paths if not path.startswith("/api/alerts/CreateAlertByReference")]
    return [path for path in ours if not any(leads(path.split("/"), route) for route in ROUTES)]


def leads(parts: list[str], route: list[str]) -> bool:
    """Tell whether a path is a route, or its beginning."""
    pairs = zip(parts, route, strict=False)
    return len(parts) <= len(route) and all(part == other or other.startswith("{") for part, other in pairs)


def queries() -> Iterator[tuple[str, str]]:
    """Yield the KQL of the pages that no other test reads."""
    for name in ("security", "cost"):
        text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
        for query in re.findall(r"^ *```kusto\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            yield name, query


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_what_a_page_names_is_there(page: Path) -> None:
    """Links, make targets, settings, files, parameters, functions and paths: none leads nowhere."""
    text = page.read_text("utf-8")
    wrong = {
        "links": wrong_links(page, text),
        "make": wrong_targets(text),
        "settings": wrong_settings(text),
        "files": wrong_files(page, text),
        "names": wrong_names(text),
        "paths": wrong_paths(text),
    }
    assert not {kind: names for kind, names in wrong.items() if names}


def test_what_is_not_there_is_noticed() -> None:
    """Each check can fail: it names what it did not find, and lets through what is there."""
    page = ROOT / "docs" / "deploy.md"
    links = "[a](cost.md) [b](cost.md#the-month) [c](gone.md) [d](cost.md#gone) [e](../../out.md) [f](https://x.example)"
    assert wrong_links(page, links) == ["gone.md", "cost.md#gone", "../../out.md"]
    assert wrong_targets("`make bench ONLY=x` and `make tea MILK=1`, not make believe") == ["tea", "MILK=1"]
    assert wrong_settings("`RETENTION_DAYS`, `RETENTION_YEARS=3`") == ["RETENTION_YEARS"]
    assert wrong_files(page, "`infra/main.bicep` and `infra/main.tf`") == ["infra/main.tf"]
    commands = "```\naz x --parameters packageUri=a colour=b\naz y --function-name TeaFunction\n```\n`HealthFunction`"
    assert wrong_names(commands) == ["colour", "TeaFunction"]
    assert wrong_paths("`/api/alerts?dryRun=true`, `/api/operations/tea`, `/api/deliveries/{id}`") == [
        "/api/operations/tea"
    ]


def test_the_walk_of_a_payload_names_what_is_there() -> None:
    """A reader finds each function that the way of one payload passes, file by file."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    walk = text.split("\n## One payload, from POST to Defender and back\n")[1].split("\n## ")[0]
    assert len(re.findall(r"^\d+\. ", walk, re.MULTILINE)) == 10
    assert wrong_functions(walk) == []
    assert wrong_functions("`body.read`, `body.write`, `nobody.read`, `receive.Webhook.sleep`") == [
        "body.write",
        "nobody.read",
        "receive.Webhook.sleep",
    ]


def test_the_pages_stay_short() -> None:
    """What everybody may have to read has at most 12,000 words: README and docs, without what only some look up."""
    apart = ("docs/decisions/", "docs/senders/", "docs/benchmarks/", "docs/upgrade.md")
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    words = {
        named(page): len(page.read_text("utf-8").split())
        for page in pages
        if not named(page).startswith(apart)
    }
    assert len(words) > 8
    assert sum(words.values()) <= 12_000, words


def test_every_page_is_reached() -> None:
    """Who starts at deploy.md finds the operator's pages, and each of them is a page."""
    text = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    for name in ("operations.md", "security.md", "upgrade.md", "cost.md", "senders/README.md"):
        assert f"]({name}" in text


def test_who_deployed_one_way_reads_how_to_upgrade_that_way() -> None:
    """Each way of deploy.md has a row where upgrade.md installs a new version, and one where it changes a setting."""
    ways = re.findall(
        r"^### By (?:the )?(.+)$", (ROOT / "docs" / "deploy.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(ways) == 3
    text = (ROOT / "docs" / "upgrade.md").read_text("utf-8")
    tables = [part.split("\n\n")[0] for part in re.split(r"^ *\| by \| do \|$", text, flags=re.MULTILINE)[1:]]
    assert len(tables) == 2
    for table in tables:
        rows = re.findall(r"^ *\| (.+?) \|", table, re.MULTILINE)
        assert all(any(way.split()[-1] in row for row in rows) for way in ways), rows


def test_every_parameter_that_a_page_shows_is_the_templates() -> None:
    """A word in camel case beside `infra/azuredeploy.json`'s own is one of its parameters, outputs or properties."""
    known = PARAMETERS | OUTPUTS
    for name in ("deploy", "upgrade", "cost"):
        text = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
        words = set(re.findall(r"`([a-z]+(?:[A-Z][a-zA-Z]*)+)(?:=[^`]*)?`", text))
        answers = {
            "dryRun",
            "waitingFor",
            "nextAttempt",
            "tokenProblem",
            "portalUrl",
            "provisioningState",
            "siteUpdateStrategy",
        }
        assert words <= known | answers | {"publicNetworkAccess"}, name


def test_every_deployment_that_a_page_shows_gives_parameters_of_its_template() -> None:
    """The file after `--template-file` is there, and knows each name after `--parameters`."""
    shown = []
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for file, given in re.findall(r"--template-file (\S+) +--parameters (.+)", text):
            path = next(place for place in (page.parent / file, ROOT / file) if place.is_file())
            names = set(re.findall(r"(?:^| )(\w+)=", given))
            assert names, file
            assert names <= set(TEMPLATES[named(path)]["parameters"]), file
            shown.append(file)
    assert len(shown) == 6


def test_the_queries_parse() -> None:
    """The KQL of these pages is well formed; the tables of the log workspace are not known to the reader."""
    asked = list(queries())
    assert {name for name, _ in asked} == {"security", "cost"}
    for (name, query), checked in zip(asked, kql.check([query for _, query in asked]), strict=True):
        errors = [error for error in checked.errors if "does not refer to any known" not in error]
        assert not errors, (name, query)
