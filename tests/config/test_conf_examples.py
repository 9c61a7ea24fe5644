"""The files in ``conf/`` are right, and say nothing that only holds on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulsar_runtimes.config.document import read_document
from pulsar_runtimes.config.function import parse_function_config, read_function_config
from pulsar_runtimes.config.worker import load_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY, PROCESS_FACTORY, THREAD_FACTORY
from pulsar_runtimes.model.function import Language

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("name", "factory"),
    [
        ("thread", THREAD_FACTORY),
        ("process", PROCESS_FACTORY),
        ("kubernetes", KUBERNETES_FACTORY),
        ("kubernetes-pfrun", KUBERNETES_FACTORY),
    ],
)
def test_a_worker_example_parses_without_a_warning(name: str, factory: str) -> None:
    config = load_worker_config(CONF / f"functions_worker.{name}.yml", {})
    assert config.warnings == ()
    assert config.runtime_factory == factory
    assert config.runtime_section.values


@pytest.mark.parametrize("name", ["thread", "process"])
def test_a_local_example_runs_on_the_embedded_broker(name: str) -> None:
    section = read_document(CONF / f"functions_worker.{name}.yml")
    assert not {"pulsarServiceUrl", "pulsarWebServiceUrl"} & set(section)


def test_the_function_example_parses_without_a_warning() -> None:
    section = read_function_config(CONF / "function-config.yml")
    spec = parse_function_config(section)
    assert section.warnings == []
    assert spec.language is Language.PYTHON
    assert (CONF.parent / spec.package).is_file()
    assert spec.class_name == f"{Path(spec.package).stem}.Exclamation"


@pytest.mark.parametrize("path", sorted(CONF.iterdir(), key=str), ids=lambda path: path.name)
def test_no_example_names_a_place_of_one_machine(path: Path) -> None:
    if path.is_file():
        text = path.read_text()
        assert not [place for place in ("/home", "/root", "/work", "/Users") if place in text]
