"""How the user's code is found, imported and called."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.instance.code import UserCode, build_process, load_code
from pulsar_runtimes.model.errors import LaunchError
from tests.instance.test_archive import make_zip
from tests.instance.workbench import GivenCode, user_file


@pytest.fixture(autouse=True)
def same_modules_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports does not stay."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture(params=[False, True], ids=["own interpreter", "shared interpreter"])
def private(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def refusal(code: UserCode, class_name: str) -> str:
    with pytest.raises(LaunchError) as caught:
        build_process(code, class_name)
    return str(caught.value)


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


ADD = "class Add:\n    def process(self, value, context): return value + context\n"

# Where it is found


@pytest.mark.parametrize(
    ("files", "class_name"),
    [
        ({"adder.py": ADD}, "adder.Add"),
        ({"adder/__init__.py": "", "adder/deep.py": ADD}, "adder.deep.Add"),
        ({"adder/deep.py": ADD}, "adder.deep.Add"),
        ({"adder/__init__.py": ADD}, "adder.Add"),
        ({"adder/__init__.py": "from .deep import Add\n", "adder/deep.py": ADD}, "adder.Add"),
        ({"adder/a/b.py": "from ..c import Add\n", "adder/c.py": ADD}, "adder.a.b.Add"),
        ({"adder/a.py": "from adder.c import Add\n", "adder/c.py": ADD}, "adder.a.Add"),
        ({"adder.py": "def process(value): return value + 2\n"}, "adder"),
        ({"adder.py": "def process(value, context): return value + context\n"}, "adder"),
        ({"adder.py": "def plus(value, context): return value + context\n"}, "adder.plus"),
        ({"adder.py": "def plus(value): return value + 2\n"}, "adder.plus"),
        ({"adder.py": ADD + "ready = Add()\n"}, "adder.ready"),
    ],
)
def test_the_function_is_found_by_its_class_name(
    files: dict[str, str], class_name: str, private: bool, tmp_path: Path
) -> None:
    write(tmp_path, files)
    with contextlib.closing(UserCode([tmp_path], private=private)) as code:
        assert build_process(code, class_name)(1, 2) == 3


def test_code_is_loaded_from_a_file_and_from_an_archive(private: bool, tmp_path: Path) -> None:
    file = user_file(tmp_path, ADD)
    archive = make_zip(tmp_path / "fn.zip", {"fn/src/zipped_adder.py": ADD})
    wheel = make_zip(tmp_path / "fn.whl", {"whl_adder/__init__.py": ADD})
    places = {file: f"{file.stem}.Add", archive: "zipped_adder.Add", wheel: "whl_adder.Add"}
    for place, class_name in places.items():
        with contextlib.closing(load_code(str(place), tmp_path / "cache", private=private)) as code:
            assert build_process(code, class_name)(1, 2) == 3


def test_modules_beside_the_function_can_be_imported(private: bool, tmp_path: Path) -> None:
    helper = user_file(tmp_path, "TWO = 2\n")
    file = user_file(tmp_path, f"from {helper.stem} import TWO\ndef process(value): return value + TWO\n")
    with contextlib.closing(load_code(str(file), tmp_path, private=private)) as code:
        assert build_process(code, file.stem)(1, None) == 3


@pytest.mark.parametrize("name", ["serde.PickleSerDe", "pulsar.functions.serde.PickleSerDe"])
def test_serde_means_the_client_library_s(name: str, private: bool, tmp_path: Path) -> None:
    from pulsar.functions.serde import PickleSerDe

    assert UserCode([tmp_path], private=private).find_class(name) is PickleSerDe


# One interpreter, many functions


@pytest.mark.parametrize(
    ("file", "class_name"), [("main.py", "main"), ("pkg/main.py", "pkg.main.process"), ("pkg/__init__.py", "pkg")]
)
def test_two_functions_with_the_same_module_name_do_not_mix(file: str, class_name: str, tmp_path: Path) -> None:
    answers = []
    for text in ("one", "two"):
        write(tmp_path / text, {file: f"def process(value): return {text!r}\n"})
        answers.append(build_process(UserCode([tmp_path / text], private=True), class_name))
    assert [process(None, None) for process in answers] == ["one", "two"]


def test_packages_of_the_same_name_import_their_own_parts(tmp_path: Path) -> None:
    answers = []
    for text in ("one", "two"):
        files = {"pkg/main.py": "from .part import TEXT\ndef process(value): return TEXT\n"}
        write(tmp_path / text, files | {"pkg/part.py": f"TEXT = {text!r}\n"})
        answers.append(build_process(UserCode([tmp_path / text], private=True), "pkg.main.process"))
    assert [process(None, None) for process in answers] == ["one", "two"]


def test_a_function_and_its_serde_share_their_package(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/a.py": "from . import c\nKEPT = c.KEPT\n", "pkg/b.py": "from . import c\nKEPT = c.KEPT\n"})
    write(tmp_path, {"pkg/c.py": "KEPT = []\n"})
    code = UserCode([tmp_path], private=True)
    assert code.find_class("pkg.a.KEPT") is code.find_class("pkg.b.KEPT")


@pytest.mark.parametrize(("file", "class_name"), [("main.py", "main"), ("pkg/main.py", "pkg.main.process")])
def test_code_that_was_closed_is_forgotten_and_read_anew(file: str, class_name: str, tmp_path: Path) -> None:
    before = set(sys.modules)
    for text in ("old version", "new"):
        write(tmp_path, {file: f"def process(value): return {text!r}\n"})
        code = UserCode([tmp_path], private=True)
        assert build_process(code, class_name)(None, None) == text
        code.close()
        assert set(sys.modules) == before


def test_a_module_that_fails_leaves_nothing_behind(private: bool, tmp_path: Path) -> None:
    write(tmp_path, {"broken.py": "1 / 0\n", "pkg/__init__.py": "", "pkg/broken.py": "1 / 0\n"})
    before = set(sys.modules)
    with contextlib.closing(UserCode([tmp_path], private=private)) as code:
        for name in ("broken", "pkg.broken.x"):
            assert "ZeroDivisionError: division by zero" in refusal(code, name)
    assert {name for name in set(sys.modules) - before if "broken" in name or "_pfrun_" in name} == set()


def test_a_private_module_can_have_dataclasses(tmp_path: Path) -> None:
    file = user_file(
        tmp_path,
        "from __future__ import annotations\nimport dataclasses\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int = 1\n",
    )
    assert dataclasses.asdict(UserCode([tmp_path], private=True).find_class(f"{file.stem}.Point")()) == {"x": 1}


# What is wrong with it


@pytest.mark.parametrize(
    ("class_name", "message"),
    [
        ("nowhere.Fn", "'nowhere.Fn': there is no module 'nowhere' in {0}"),
        ("nowhere", "'nowhere': there is no module 'nowhere' in {0}"),
        ("pkg.nowhere.Fn", "'pkg.nowhere.Fn': there is no module 'pkg.nowhere' in {0}"),
        ("here.Fn", "'here.Fn': module 'here' ({0}/here.py) has no 'Fn'; it has Gn, x"),
        ("empty.Fn", "'empty.Fn': module 'empty' ({0}/empty.py) has no 'Fn'; it has nothing"),
        ("needs.Fn", "'needs.Fn': importing it failed: ModuleNotFoundError: No module named 'no_such_library'"),
        ("wrong.Fn", "'wrong.Fn': importing it failed: SyntaxError: invalid syntax"),
        ("leaves.Fn", "'leaves.Fn': importing it failed: SystemExit: 3"),
        ("here.x", "'here.x' is neither a class with process(input, context) nor has it process(input)"),
        ("here.Gn", "'here.Gn' has no method process(input, context)"),
        ("pkg", "'pkg' is neither a class with process(input, context) nor has it process(input)"),
        ("", "'': importing it failed: ValueError: Empty module name"),
    ],
)
def test_an_error_tells_what_is_missing(class_name: str, message: str, private: bool, tmp_path: Path) -> None:
    write(tmp_path, {"here.py": "class Gn: pass\nx = 1\n_hidden = 2\n", "empty.py": "", "pkg/__init__.py": ""})
    write(tmp_path, {"needs.py": "import no_such_library\n", "wrong.py": "def f(:\n", "leaves.py": "exit(3)\n"})
    with contextlib.closing(UserCode([tmp_path], private=private)) as code:
        assert refusal(code, class_name) == message.format(tmp_path)


def test_a_file_named_like_a_library_is_told_apart_from_it(tmp_path: Path) -> None:
    write(tmp_path, {"string.py": ADD})
    said = refusal(UserCode([tmp_path]), "string.Add")
    assert said.startswith("'string.Add': module 'string' (")
    assert "/string.py) has no 'Add'; it has " in said
    assert str(tmp_path) not in said
    assert build_process(UserCode([tmp_path], private=True), "string.Add")(1, 2) == 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.py", "{0}/gone.py: there is no such file"),
        ("gone.zip", "{0}/gone.zip: there is no such file"),
        ("folder.py", "{0}/folder.py: there is no such file"),
        ("fn.jar", "{0}/fn.jar: a Python function's code is a .py, .zip or .whl file (got 'fn.jar')"),
    ],
)
def test_a_file_that_cannot_be_code_is_named(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "fn.jar").touch()
    with pytest.raises(LaunchError) as caught:
        load_code(str(tmp_path / path), tmp_path)
    assert str(caught.value) == message.format(tmp_path)


# How it is called


class Fails:
    def __init__(self) -> None:
        raise RuntimeError("no table of that name")


class Leaves:
    def __init__(self) -> None:
        raise SystemExit("enough")


def test_a_constructor_that_fails_is_a_clear_error() -> None:
    code = GivenCode(Fails=Fails, Leaves=Leaves)
    assert refusal(code, "Fails") == "'Fails': its constructor failed: RuntimeError: no table of that name"
    assert refusal(code, "Leaves") == "'Leaves': its constructor failed: SystemExit: enough"


@pytest.mark.parametrize(
    "function",
    [
        lambda value, context: (value, context),
        lambda value, context=None: (value, context),
        lambda *both: both,
        lambda value, *rest: (value, *rest),
        lambda value, context, more=None: (value, context),
    ],
)
def test_a_function_that_can_take_both_gets_input_and_context(function: Any) -> None:
    assert build_process(GivenCode(f=function), "f")("input", "context") == ("input", "context")


@pytest.mark.parametrize("function", [lambda value: value, lambda value, *, loud=False: value])
def test_a_function_that_takes_one_gets_the_input(function: Any) -> None:
    class Holder:
        process = staticmethod(function)

    assert build_process(GivenCode(f=Holder()), "f")("input", "context") == "input"


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        lambda value, context, more: None,
        lambda value, *, needed: None,
        lambda value, context, more, *rest: None,
        max,
    ],
)
def test_a_function_that_can_take_neither_is_refused(function: Any) -> None:
    assert refusal(GivenCode(f=function), "f") == "'f' must take (input) or (input, context)"
