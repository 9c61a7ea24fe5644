"""Built-in archives: found, named, refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.worker.archives import Archives, scan_archives

from .nars import write_connector, write_function, write_nar


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "connectors").mkdir()
    (tmp_path / "functions").mkdir()
    return tmp_path


def scan(directory: Path) -> Archives:
    return scan_archives(directory / "connectors", directory / "functions")


def test_nars_are_found_by_the_names_they_give_themselves(directory: Path) -> None:
    path = write_connector(directory / "connectors" / "some-file.nar", "mine")
    write_function(directory / "functions" / "f.nar", "turn")
    write_connector(directory / "connectors" / "not-a-nar.jar", "other")
    found = scan(directory)
    assert (list(found.connectors), list(found.functions), found.failures) == (["mine"], ["turn"], ())
    assert found.find(ComponentType.SINK, "mine").path == path
    assert found.find(ComponentType.FUNCTION, "turn").definition.function_class == "a.Transform"


def test_directories_that_are_not_there_have_nothing(tmp_path: Path) -> None:
    assert scan(tmp_path) == Archives()


@pytest.mark.parametrize("kind", [ComponentType.SINK, ComponentType.SOURCE, ComponentType.FUNCTION])
def test_what_is_not_there_is_named_with_its_kind(kind: ComponentType, directory: Path) -> None:
    with pytest.raises(AdmissionError, match=f"Built-in {kind.name.lower()} is not available: builtin://none"):
        scan(directory).find(kind, "none")


def test_a_connector_is_only_what_it_has_a_class_for(directory: Path) -> None:
    write_nar(directory / "connectors" / "s.nar", name="only", sinkClass="a.Sink")
    found = scan(directory)
    assert found.find(ComponentType.SINK, "only")
    with pytest.raises(AdmissionError, match="Built-in source is not available"):
        found.find(ComponentType.SOURCE, "only")


def test_hostile_archives_are_left_out_and_told(directory: Path) -> None:
    connectors = directory / "connectors"
    write_connector(connectors / "good.nar", "good")
    (connectors / "a-broken.nar").write_bytes(b"PK\3\4 no zip")
    write_nar(connectors / "b-nameless.nar")
    with zipfile.ZipFile(connectors / "c-bomb.nar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/services/pulsar-io.yaml", b"#" * (8 << 20))
    with zipfile.ZipFile(connectors / "d-binary.nar", "w") as archive:
        archive.writestr("META-INF/services/pulsar-io.yaml", b"\xff\xfe")
    write_nar(connectors / "e-list.nar", name=["x"])  # type: ignore[arg-type]
    (connectors / "f-directory.nar").mkdir()
    found = scan(directory)
    assert list(found.connectors) == ["good"]
    told = [failure.replace(f"{connectors}/", "")[:60] for failure in found.failures]
    assert [name[:1] for name in told] == ["a", "b", "c", "d", "e"], told
    assert "is larger than" in found.failures[2]
