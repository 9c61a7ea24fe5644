"""Where an installation of Apache Pulsar keeps what local instances need, and where their logs go.

Source: ``ProcessRuntimeFactory`` and the launch script ``bin/pulsar functions-worker`` of Apache Pulsar 4.0.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulsar_runtimes.config.section import Section
from pulsar_runtimes.runtimes.java_command import JavaPlaces

NO_HOME = "null"
"""What Java makes of a variable that is not set; so nothing is found by chance below the root directory."""

_DEPENDENCIES = "extraFunctionDependenciesDir"
_CONSOLE_LOG4J = "kubernetes_instance_log4j2.xml"
_FILE_LOG4J = "java_instance_log4j2.xml"
"""Both are inside java-instance.jar."""


@dataclass(frozen=True, slots=True)
class Places:
    """``python_instance`` is Apache Pulsar's own Python instance, empty when nobody asked for it."""

    log_directory: str
    extra_dependencies: str
    java: JavaPlaces
    python_instance: str
    python_log_config: str


def read_places(section: Section, environment: Mapping[str, str], *, reference: bool = False) -> Places:
    """Read the keys of ``functionRuntimeFactoryConfigs`` and the variables that stand in for them.

    With ``reference`` everything is where Apache Pulsar's worker looks for it, down to its spelling of paths.
    Without, paths do not depend on the working directory, instances log to standard output, which the launcher
    keeps, and Apache Pulsar's Python instance is used only where somebody names it. ``extraFunctionDependenciesDir`` is
    no directory when it is blank; the other keys cannot be.
    """

    def place(key: str, variable: str, default: str) -> str:
        may_be_blank = reference or key == _DEPENDENCIES
        if may_be_blank and key in section:
            return section.text(key)
        return section.text(key) or environment.get(variable, "") or default

    home = environment.get("PULSAR_HOME") or NO_HOME
    jar = place("javaInstanceJarLocation", "PULSAR_JAVA_INSTANCE_JAR", f"{home}/instances/java-instance.jar")
    class_path = place(
        "functionInstanceClassPath", "PULSAR_FUNCTION_INSTANCE_CLASSPATH", f"{Path(jar).parent.parent}/lib/*"
    )
    own_script = f"{home}/instances/python-instance/python_instance_main.py"
    script = place("pythonInstanceLocation", "PULSAR_PY_INSTANCE_FILE", own_script if reference else "")
    named_log4j = environment.get("FUNCTIONS_LOG_CONF", "")
    log_configs = f"{home}/conf/functions-logging"
    deps = f"{home}/instances/deps"
    if reference:
        logs = place("logDirectory", "PULSAR_LOG_DIR", f"{home}/logs") + "/functions"
        extra = place(_DEPENDENCIES, "PULSAR_FUNCTIONS_EXTRA_DEPS_DIR", deps)
        log4j = named_log4j or f"{home}/conf/functions_log4j2.xml"
        if not Path(log4j).is_file():
            log4j = _FILE_LOG4J
        python_log_config = f"{log_configs}/logging_config.ini"
    else:
        logs = str(Path(place("logDirectory", "PULSAR_LOG_DIR", "logs")).absolute() / "functions")
        extra = place(_DEPENDENCIES, "PULSAR_FUNCTIONS_EXTRA_DEPS_DIR", deps if Path(deps).is_dir() else "")
        log4j = named_log4j or _CONSOLE_LOG4J
        python_log_config = f"{log_configs}/console_logging_config.ini"
    return Places(logs, extra, JavaPlaces(jar, class_path, log4j, logs, extra), script, python_log_config)
