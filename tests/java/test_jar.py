"""Packages: where classes are found, that hostile ones are refused, and the types of small ones without a compiler."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from pulsar_runtimes.java import jar as jar_module
from pulsar_runtimes.java.jar import Jar, JarError
from pulsar_runtimes.java.type_arguments import JavaTypeError, check_serde, function_types, sink_type, source_type
from tests.java.class_bytes import class_bytes

BUNDLED = "META-INF/bundled-dependencies"


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def package(directory: Path, files: dict[str, bytes]) -> Jar:
    path = directory / "package.jar"
    path.write_bytes(zipped(files))
    return Jar(path)


def classes(*each: bytes, names: str) -> dict[str, bytes]:
    return {f"{name}.class": data for name, data in zip(names.split(), each, strict=True)}


@pytest.mark.parametrize(
    "files",
    [
        {"a/B.class": class_bytes("a.B")},
        {f"{BUNDLED}/a/B.class": class_bytes("a.B")},
        {f"{BUNDLED}/x.jar": zipped({}), f"{BUNDLED}/y.jar": zipped({"a/B.class": class_bytes("a.B")})},
    ],
    ids=["at the root", "in a nar's folder", "in a jar of a nar"],
)
def test_a_class_is_found(tmp_path: Path, files: dict[str, bytes]) -> None:
    with package(tmp_path, files) as jar:
        found = jar.find_class("a.B")
        assert found is not None
        assert found.name == "a.B"
        assert jar.find_class("a.C") is None


def test_other_files_are_read_too(tmp_path: Path) -> None:
    with package(tmp_path, {"META-INF/services/pulsar-io.yaml": b"name: x"}) as jar:
        assert jar.read("META-INF/services/pulsar-io.yaml") == b"name: x"
        assert jar.read("META-INF/services/other") is None
        with pytest.raises(JarError, match="is larger than 3 bytes"):
            jar.read("META-INF/services/pulsar-io.yaml", max_bytes=3)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/B.class": b"not a class"}, r"package\.jar: class a\.B: does not begin with CAFEBABE"),
        ({"a/B.class": class_bytes("a.C")}, r"class a\.B: its file holds a\.C"),
        ({"a/B.class": class_bytes("a.B") + bytes(9 << 20)}, r"a/B\.class: is larger than 8388608 bytes"),
        ({f"{BUNDLED}/x.jar": b"not a jar"}, r"package\.jar!/META-INF/.*/x\.jar: cannot be read as a jar"),
        ({f"{BUNDLED}/x.jar": zipped({"a/B.class": b""})}, r"x\.jar: class a\.B: ends too early, after 0 bytes"),
    ],
)
def test_a_damaged_class_is_refused(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    with package(tmp_path, files) as jar, pytest.raises(JarError, match=message):
        jar.find_class("a.B")


def test_what_is_no_jar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JarError, match=r"missing\.jar: cannot be read as a jar \(No such file or directory\)"):
        Jar(tmp_path / "missing.jar")
    (tmp_path / "text.jar").write_text("text")
    with pytest.raises(JarError, match=r"text\.jar: cannot be read as a jar"):
        Jar(tmp_path / "text.jar")


def test_damage_gives_no_other_error(tmp_path: Path) -> None:
    data = zipped({"a/B.class": class_bytes("a.B"), f"{BUNDLED}/x.jar": zipped({"a/C.class": class_bytes("a.C")})})
    path = tmp_path / "damaged.jar"
    refused = 0
    for position in range(len(data)):
        for value in (0, 1, 9, 99, 255):
            path.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
            try:
                with Jar(path) as jar:
                    jar.find_class("a.B")
                    jar.find_class("a.C")
            except JarError:
                refused += 1
    assert refused > len(data)


def test_a_nar_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jar_module, "MAX_NESTED_TOTAL_BYTES", 1 << 20)
    nested = zipped({"x": bytes(400 << 10)}, zipfile.ZIP_STORED)
    with (
        package(tmp_path, {f"{BUNDLED}/{number}.jar": nested for number in range(3)}) as jar,
        pytest.raises(JarError, match="bundles more than 1 MiB of jars"),
    ):
        jar.find_class("a.B")


FUNCTION = "Lorg/apache/pulsar/functions/api/Function<{}>;"


def function(name: str, arguments: str) -> bytes:
    interface = "org.apache.pulsar.functions.api.Function"
    return class_bytes(name, interfaces=(interface,), signature="Ljava/lang/Object;" + FUNCTION.format(arguments))


def test_the_types_of_a_function(tmp_path: Path) -> None:
    with package(tmp_path, {"F.class": function("F", "[BLjava/util/List<Ljava/lang/Long;>;")}) as jar:
        types = function_types(jar, "F")
        assert (types.input_class, types.output_class) == ("[B", "java.util.List")


def test_pulsars_own_functions_need_no_package(tmp_path: Path) -> None:
    with package(tmp_path, {}) as jar:
        types = function_types(jar, "org.apache.pulsar.functions.api.utils.IdentityFunction")
        assert types.input_class == types.output_class == "java.lang.Object"


def test_what_is_not_there_or_something_else_is_said(tmp_path: Path) -> None:
    files = classes(class_bytes("A", super_name="lib.Base"), class_bytes("B"), names="A B")
    with package(tmp_path, files) as jar:
        for kind, find in (("Function", function_types), ("Source", source_type), ("Sink", sink_type)):
            with pytest.raises(JavaTypeError, match=f"^{kind} class C must be in class path$"):
                find(jar, "C")
            with pytest.raises(JavaTypeError, match=f"^{kind} class B does not implement the correct interface$"):
                find(jar, "B")
            with pytest.raises(JavaTypeError, match=r"interface; not in the package: its supertype lib\.Base$"):
                find(jar, "A")


def test_a_serde_that_cannot_be_judged_is_let_through(tmp_path: Path) -> None:
    interface = "org.apache.pulsar.functions.api.SerDe"
    signature = "Ljava/lang/Object;Lorg/apache/pulsar/functions/api/SerDe<Llib/Cat;>;"
    files = {
        "F.class": function("F", "Llib/Animal;Llib/Animal;"),
        "S.class": class_bytes("S", interfaces=(interface,), signature=signature),
    }
    with package(tmp_path, files) as jar:
        check_serde(jar, "S", function_types(jar, "F").input, is_input=True)


def test_classes_that_extend_each_other_end(tmp_path: Path) -> None:
    files = classes(class_bytes("A", super_name="B"), class_bytes("B", super_name="A"), names="A B")
    with package(tmp_path, files) as jar, pytest.raises(JavaTypeError, match="does not implement"):
        function_types(jar, "A")


def test_a_parameter_that_is_its_own_bound_ends(tmp_path: Path) -> None:
    signature = "<T:TU;U:TT;>Ljava/lang/Object;" + FUNCTION.format("TT;TU;")
    with package(tmp_path, {"A.class": class_bytes("A", signature=signature)}) as jar:
        assert function_types(jar, "A").input_class == "java.lang.Object"


def test_types_that_double_at_each_step_end(tmp_path: Path) -> None:
    """60 superclasses, each of which hands on twice what it got."""
    files = {}
    for number in range(60):
        signature = f"<T:Ljava/lang/Object;>LC{number + 1}<Lx/Pair<TT;TT;>;>;"
        files[f"C{number}.class"] = class_bytes(f"C{number}", super_name=f"C{number + 1}", signature=signature)
    signature = "<T:Ljava/lang/Object;>Ljava/lang/Object;" + FUNCTION.format("TT;TT;")
    files["C60.class"] = class_bytes("C60", signature=signature)
    with package(tmp_path, files) as jar:
        assert function_types(jar, "C0").output_class == "x.Pair"
