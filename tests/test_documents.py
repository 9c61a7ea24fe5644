"""What the documents say of the code is so, and what they point at is there."""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "plugins" / "pfrun-subprocess"
DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + [*(ROOT / "docs").glob("*.md"), PLUGIN / "README.md"]
)

_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_QUOTE = re.compile(r"<!-- quoted: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _links() -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        prose = _BLOCK.sub("", document.read_text(encoding="utf-8"))
        for target in _LINK.findall(prose):
            if not re.match(r"https?://", target):  # nothing here leaves the checkout
                yield document, target


@pytest.mark.parametrize(
    ("document", "target"),
    [pytest.param(document, target, id=f"{document.name}-{target}") for document, target in _links()],
)
def test_a_link_resolves(document: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (document.parent / path).resolve() if path else document
    assert found.is_relative_to(ROOT)
    assert found.exists()
    if anchor:
        assert anchor in {_anchor(heading) for heading in _HEADING.findall(found.read_text(encoding="utf-8"))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_names_no_place_of_one_machine(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:home|root|work|Users|tmp)/\S*", text)


# The architecture page


def test_the_layers_are_those_of_the_contract() -> None:
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    contract = parser["importlinter:contract:layers"]["layers"].split("\n")
    wanted = [_modules(line) for line in contract if line.strip()]
    (picture,) = [block for kind, block in _BLOCK.findall(_text("docs/architecture.md")) if kind == "layers"]
    drawn = [
        [f"pulsar_runtimes.{module}" for module in _modules(re.split(r"\s{2,}", line)[0])]
        for line in picture.splitlines()
    ]
    assert drawn == wanted


def _modules(line: str) -> list[str]:
    return [module.strip() for module in line.split("|")]


def test_everything_beside_the_code_is_installed_with_it() -> None:
    package = ROOT / "pulsar_runtimes"
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    patterns = parser["options.package_data"]["pulsar_runtimes"].split(", ")
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    beside = {path for path in package.rglob("*.*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert beside <= installed


def test_the_doors_are_those_of_the_code() -> None:
    """Both ways: nobody else imports a library of the table, and each door that it names does."""
    doors = _doors()
    found: dict[str, set[str]] = {library: set() for library in doors}
    for path in (ROOT / "pulsar_runtimes").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "pulsar_runtimes").with_suffix("").parts)
        for library in _imported(path) & doors.keys():
            found[library].add(module)
    for library, named in doors.items():
        strangers = {module for module in found[library] if not any(_within(module, door) for door in named)}
        assert not strangers, f"{library} is imported by {strangers}"
        unused = {door for door in named if not any(_within(module, door) for module in found[library])}
        assert not unused, f"{library} is not imported by {unused}"


def _within(module: str, door: str) -> bool:
    return module == door or module.startswith(f"{door}.")


def _doors() -> dict[str, list[str]]:
    section = _text("docs/architecture.md").partition("## Doors of heavy libraries")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert len(rows) > 5
    return {library: re.findall(r"`([\w.]+)`", named) for library, named in rows}


def _imported(path: Path) -> set[str]:
    """The top-level names of everything a file imports from elsewhere, wherever in the file that is."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


# The page of differences


def test_each_way_back_is_a_setting_that_exists() -> None:
    """The last column of each table: keys, variables, options; `chmod +x` and classes are none of these."""
    tables = [line for line in _text("docs/differences.md").splitlines() if line.startswith("| ")]
    named = {name for line in tables for name in re.findall(r"`([A-Za-z_]+)(?:: \w+)?`", line.split(" | ")[-1])}
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "pulsar_runtimes").rglob("*.py"))
    assert {"strictReference", "enforceResources", "hungAfterSeconds", "pythonInstanceLocation"} <= named
    assert [name for name in named if not re.search(rf"\b{name}\b", source)] == []
    assert all(len(line.split(" | ")) == 4 for line in tables)


# The tutorial


def _quotes() -> list[tuple[str, str]]:
    return _QUOTE.findall(_text("docs/plugins.md"))


@pytest.mark.parametrize(
    ("file", "code"), [pytest.param(file, code, id=f"{number}-{file}") for number, (file, code) in enumerate(_quotes())]
)
def test_quoted_code_is_in_the_plugin(file: str, code: str) -> None:
    assert code in (PLUGIN / file).read_text(encoding="utf-8")


def test_the_tutorial_quotes_the_plugin() -> None:
    assert {file for file, _ in _quotes()} >= {
        "pfrun_subprocess/factory.py",
        "pfrun_subprocess/runtime.py",
        "setup.cfg",
        "tests/test_conformance.py",
    }


# The commands


def _shell_lines() -> Iterator[list[str]]:
    for document in DOCUMENTS:
        for kind, block in _BLOCK.findall(document.read_text(encoding="utf-8")):
            if kind == "sh":
                yield from (words for line in block.splitlines() if (words := shlex.split(line, comments=True)))


def _command_names() -> frozenset[str]:
    try:
        table = importlib.import_module("pulsar_runtimes.cli.group").COMMANDS
    except ModuleNotFoundError as error:
        pytest.skip(f"there is no command line yet ({error})")
    return frozenset(table)


def test_every_command_that_is_named_exists() -> None:
    used = {words[1] for words in _shell_lines() if words[0].endswith("pfrun")}
    assert used
    assert used <= _command_names()


@pytest.mark.parametrize(
    "script",
    sorted(set(re.findall(r"(?<![\w/])scripts/[a-z-]+", "".join(path.read_text("utf-8") for path in DOCUMENTS)))),
)
def test_every_script_that_is_named_exists(script: str) -> None:
    assert (ROOT / script).is_file()


def test_the_files_that_commands_are_given_exist() -> None:
    given = {word for words in _shell_lines() for word in words if word.startswith("conf/")}
    assert given
    assert not [word for word in given if not (ROOT / word).is_file()]


def test_the_embedding_example_of_the_readme_is_that_of_the_package() -> None:
    import pulsar_runtimes

    (example,) = [block for kind, block in _BLOCK.findall(_text("README.md")) if kind == "python"]
    assert len(example.splitlines()) < 15
    assert pulsar_runtimes.__doc__ is not None
    documented = "\n".join(line.removeprefix("    ") for line in pulsar_runtimes.__doc__.splitlines())
    assert example in f"{documented}\n"
