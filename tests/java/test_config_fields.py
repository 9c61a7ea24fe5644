"""Fields of a class and what is said of them, from damaged class files as well; real ones are in tests/connectors."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pulsar_runtimes.java.class_file import ClassFileError, parse_fields
from pulsar_runtimes.java.config_fields import config_fields
from pulsar_runtimes.java.jar import Jar, JarError
from tests.java.class_bytes import class_bytes


def test_a_class_that_is_cut_off_is_an_error_and_nothing_else() -> None:
    whole = class_bytes("a.Config")
    for length in range(len(whole)):
        try:
            parse_fields(whole[:length])
        except ClassFileError:
            continue
    assert [field.name for field in parse_fields(whole)] == ["x"]


def test_a_class_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.nar"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/Config.class", class_bytes("a.Config"))
    with Jar(path) as jar:
        with pytest.raises(JarError, match=r"class a\.None is not in the package"):
            config_fields(jar, "a.None")
        with pytest.raises(ClassFileError):  # its only field has no type
            config_fields(jar, "a.Config")
