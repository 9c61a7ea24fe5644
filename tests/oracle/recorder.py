"""What Apache Pulsar's own classes do with a launch case: the program they start, the objects they post, their errors.

Only the two ends are not theirs: an HTTP server keeps what is posted to the Kubernetes API, and ``launched.py`` stands
in for ``java``, ``python3`` and a Go program.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.standalone.distribution import fetch, find_java
from tests.standalone.java_source import compile_source
from tests.waiting import until

HERE = Path(__file__).parent
SOURCE = HERE / "Recorder.java"
HOME = "@PULSAR_HOME@"

DEFAULT_DIRECT_MEMORY = 268435456
DEFAULT_CLASS_PATH = "/pulsar/lib/*"

_DEPRECATED = "kubernetesContainerFactory"
_RUNTIME = "functionRuntimeFactoryConfigs"
_CLASS = "functionRuntimeFactoryClassName"
_TIMEOUT_SECONDS = 120.0
_RUN_BY_NAME = ("java", "python3")
_OPENS = ("java.lang", "java.util", "java.util.zip", "java.nio", "jdk.internal.misc")

# What bin/pulsar makes of a variable, with its default below the installation.
_PROPERTIES = {
    "pulsar.functions.process.container.log.dir": ("PULSAR_LOG_DIR", "logs"),
    "pulsar.functions.java.instance.jar": ("PULSAR_JAVA_INSTANCE_JAR", "instances/java-instance.jar"),
    "pulsar.functions.python.instance.file": (
        "PULSAR_PY_INSTANCE_FILE",
        "instances/python-instance/python_instance_main.py",
    ),
    "pulsar.functions.extra.dependencies.dir": ("PULSAR_FUNCTIONS_EXTRA_DEPS_DIR", "instances/deps"),
    "pulsar.functions.log.conf": ("FUNCTIONS_LOG_CONF", "conf/functions_log4j2.xml"),
}


class Written(NamedTuple):
    """One request that changes something, by the path of the collection or object."""

    path: str
    body: dict[str, Any]


@contextmanager
def kubernetes_api() -> Iterator[tuple[str, list[Written]]]:
    """The URL of an API server that has nothing, takes everything, and what it has taken."""
    written: list[Written] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            written.append(Written(self.path.partition("?")[0], body))
            self._answer(201, body)

        def do_PUT(self) -> None:
            self.do_POST()

        def do_GET(self) -> None:
            self._answer(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})

        def do_DELETE(self) -> None:
            self.do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", written
        finally:
            server.shutdown()
            thread.join()


class Recorder:
    """``classes`` has the compiled :data:`SOURCE`, ``pulsar_home`` the distribution."""

    def __init__(self, java: str, classes: Path, pulsar_home: Path) -> None:
        self._java = java
        self._class_path = f"{classes}:{pulsar_home}/lib/*"

    def answer(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """One result, in the words of ``README.md``, with ``@PULSAR_HOME@`` for the made-up installation."""
        with tempfile.TemporaryDirectory(prefix="pfrun-oracle-") as home, kubernetes_api() as (url, written):
            case = json.loads(json.dumps(case).replace(HOME, home))
            result = self._answer(case, Path(home), Path(home, ".recorder"), url)
            kept, secret_id = result.pop("kept", ""), (case.get("functionAuth") or {}).get("secretId")
            result |= _objects(written)
            text = json.dumps({"name": case["name"], **result}).replace(home, HOME)
        if kept and secret_id:  # five letters drawn at random, or the token itself
            text = text.replace(f"pf-secret-{kept}", f"pf-secret-{secret_id}")
        answered: dict[str, Any] = json.loads(text)
        return answered

    def _answer(self, case: Mapping[str, Any], home: Path, place: Path, url: str) -> dict[str, Any]:
        record, result = place / "launched", place / "result.json"
        environment = {
            "PATH": f"{place}:{os.environ['PATH']}",
            "PULSAR_HOME": str(home),
            "PFRUN_RECORD": str(record),
            "LC_ALL": "C.UTF-8",  # else the interpreter of the stand-in adds a variable
            **(case.get("environment") or {}),
        }
        self._lay_out(case, home, place, url)
        options = [
            "-XX:TieredStopAtLevel=1",
            f"-XX:MaxDirectMemorySize={case.get('maxDirectMemory', DEFAULT_DIRECT_MEMORY)}",
            f"-Dpulsar.functions.instance.classpath={case.get('workerClassPath', DEFAULT_CLASS_PATH)}",
            f"-Dlog4j.configurationFile={place}/log4j2.xml",
        ]
        options += [
            f"-D{name}={environment.get(variable) or home / usual}" for name, (variable, usual) in _PROPERTIES.items()
        ]
        for package in _OPENS:
            options += ["--add-opens", f"java.base/{package}=ALL-UNNAMED"]
        files = [str(place / name) for name in ("case.json", "worker.yml", result.name)]
        log = place / "log"
        with log.open("wb") as output:  # a pipe would be held by what is launched, too
            subprocess.run(
                [self._java, *options, "-cp", self._class_path, "org.apache.pulsar.functions.worker.Recorder", *files],
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_TIMEOUT_SECONDS,
            )
        assert result.exists(), log.read_text("utf-8", "replace")
        told: dict[str, Any] = json.loads(result.read_text("utf-8"))
        if "Process" in case["workerConfig"].get(_CLASS, "") and not told.keys() & {"startError", "admissionError"}:
            until(record.exists)
            launched = json.loads(record.read_text("utf-8"))
            command, seen = launched["command"], launched["environment"]
            by_name = command[0] in [str(place / name) for name in _RUN_BY_NAME]
            told["processCommand"] = [Path(command[0]).name if by_name else command[0], *command[1:]]
            told["processEnv"] = {name: value for name, value in seen.items() if environment.get(name) != value}
            told["processEnv"] |= dict.fromkeys(environment.keys() - seen.keys())
        return told

    @staticmethod
    def _lay_out(case: Mapping[str, Any], home: Path, place: Path, url: str) -> None:
        """Write the files of the case, those that the recorder reads, and the stand-ins of programs."""
        worker = dict(case["workerConfig"])
        section = _RUNTIME if worker.get(_CLASS) else _DEPRECATED
        if section == _DEPRECATED or "Kubernetes" in worker[_CLASS]:
            worker[section] = {**(worker.get(section) or {}), "k8Uri": url, "submittingInsidePod": None}
        for name, text in (case.get("files") or {}).items():
            file = home / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        place.mkdir()
        (place / "case.json").write_text(json.dumps(case), "utf-8")
        (place / "worker.yml").write_text(json.dumps(worker), "utf-8")
        (place / "log4j2.xml").write_text("<Configuration><Loggers><Root level='error'/></Loggers></Configuration>")
        programs = [place / name for name in _RUN_BY_NAME]
        if (code := Path(case.get("codeFile") or "")).is_relative_to(home):
            code.parent.mkdir(parents=True, exist_ok=True)
            programs.append(code)
        for program in programs:
            body = (HERE / "launched.py").read_text("utf-8").partition("\n")[2]
            program.write_text(f"#!{sys.executable}\n{body}", "utf-8")
            program.chmod(0o755)


def _objects(written: list[Written]) -> dict[str, Any]:
    """The last of each kind: a name that was taken is drawn again."""
    found: dict[str, Any] = {}
    for path, body in written:
        parts = path.split("/")
        if "statefulsets" in parts:
            found["statefulSet"] = body
        elif "services" in parts:
            found["service"] = body
        elif "secrets" in parts:
            found |= {"secret": body, "secretNamespace": parts[parts.index("namespaces") + 1]}
    return found


def main() -> None:
    """``CASES_DIR OUT_DIR``: a result for each case."""
    if len(sys.argv) != 3:
        sys.exit("usage: scripts/oracle-record CASES_DIR OUT_DIR")
    cases, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    pulsar_home = fetch(os.environ)
    with tempfile.TemporaryDirectory(prefix="pfrun-recorder-") as classes:
        compile_source(SOURCE, Path(classes), pulsar_home, os.environ)
        recorder = Recorder(find_java(os.environ), Path(classes), pulsar_home)
        for path in sorted(cases.glob("*.json")):
            case = json.loads(path.read_text("utf-8"))
            result = recorder.answer(case)
            if "ignored" in case:
                result["ignored"] = case["ignored"]
            (out / path.name).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(path.stem)


if __name__ == "__main__":
    main()
