"""Which state stores the runtimes take for which instances, before anything starts."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.model.errors import AdmissionError
from pulsar_runtimes.model.function import InstanceSpec, Language
from pulsar_runtimes.runtimes.base import FactoryContext, RuntimeFactory
from pulsar_runtimes.runtimes.process.factory import ProcessRuntimeFactory
from pulsar_runtimes.runtimes.thread.factory import ThreadRuntimeFactory
from pulsar_runtimes.testing import function_spec, instance_spec


def process(directory: Path, **keys: Any) -> ProcessRuntimeFactory:
    """With programs and files that are there, as they are looked for as well."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("java", "python3", "java-instance.jar", "python_instance_main.py"):
        (programs / name).touch(0o755)
    section = Section(
        {"logDirectory": str(directory), "javaInstanceJarLocation": f"{programs}/java-instance.jar", **keys}
    )
    return ProcessRuntimeFactory.from_config(section, FactoryContext(directory, 8 << 30, {"PATH": str(programs)}))


def thread(directory: Path) -> ThreadRuntimeFactory:
    return ThreadRuntimeFactory.from_config(Section({}), FactoryContext(directory, 8 << 30, os.environ))


def spec(url: str, language: Language = Language.PYTHON) -> InstanceSpec:
    return replace(instance_spec(function=function_spec(language=language)), state_storage_url=url)


@pytest.mark.parametrize("factory", [process, thread])
def test_a_python_function_is_refused_when_there_is_no_such_store(factory: Any, tmp_path: Path) -> None:
    made: RuntimeFactory = factory(tmp_path)
    with pytest.raises(AdmissionError, match="stateStorageServiceUrl: no state store named 'redsi'; installed: "):
        made.check(spec("redsi://h"))
    with pytest.raises(AdmissionError, match="stateStorageServiceUrl: must be scheme://place"):
        made.check(spec("h:4181"))
    for url in ("", "sqlite:///state.db", "bk://h:4181"):
        made.check(spec(url))


@pytest.mark.parametrize("factory", [process, thread])
def test_a_python_function_is_refused_when_the_client_of_bookkeeper_is_not_installed(
    factory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bookkeeper" else find(name))
    with pytest.raises(AdmissionError, match=r"install pulsar-runtimes\[bookkeeper\]"):
        factory(tmp_path).check(spec("bk://h:4181"))
    process(tmp_path).check(spec("bk://h:4181", Language.JAVA))


def test_apache_pulsar_s_own_instances_take_bookkeeper_only(tmp_path: Path) -> None:
    java = process(tmp_path)
    python = process(tmp_path, pythonInstanceLocation=str(tmp_path / "bin" / "python_instance_main.py"))
    for factory, language in ((java, Language.JAVA), (python, Language.PYTHON)):
        factory.check(spec("bk://h:4181", language))
        with pytest.raises(AdmissionError, match="Apache Pulsar's own instance knows bk://host:port only"):
            factory.check(spec("sqlite:///state.db", language))
        factory.check(replace(spec("", language), embedded_state_url="sqlite:///state.db"))
