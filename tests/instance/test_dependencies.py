"""What functions need installed: from their packages, from repositories, once for each content, or not at all.

Nothing here leaves the machine: pip's own repository is a port on which nobody listens.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import http.server
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pulsar_runtimes.instance.archive import unpack_package
from pulsar_runtimes.instance.code import load_code
from pulsar_runtimes.instance.control import check_health
from pulsar_runtimes.instance.dependencies import (
    Environment,
    Sources,
    needs_of_zip,
    provide_environment,
    remove_unused,
)
from pulsar_runtimes.instance.environment import CODE_CACHE_VARIABLE, LOGGING_CONFIG_FILE
from pulsar_runtimes.instance.import_path import add_dependencies
from pulsar_runtimes.instance.requirements import not_plain, read_requirements, without_credentials
from pulsar_runtimes.model.errors import LaunchError
from pulsar_runtimes.model.function import ClientAuth
from pulsar_runtimes.runtimes.command import python_arguments
from tests.instance.test_archive import make_zip
from tests.instance.wheels import make_sdist, make_wheel
from tests.instance.workbench import Workbench
from tests.waiting import is_alive, until

ANYWHERE = Sources(anywhere=True)


@pytest.fixture(autouse=True)
def same_interpreter_afterwards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """What a test imports does not stay; and pip is as if nobody had ever configured or used it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip-cache"))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


class Bench:
    """Packages of functions, and the caches they are loaded with."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environments = directory / "environments"
        self.files = directory / "files"
        self.stack = contextlib.ExitStack()

    def package(self, *bundled: Path, requirements: str = "", name: str = "fn", **more: str) -> Path:
        """A zip with a module ``main`` and wheels and sdists in ``deps``."""
        files: dict[str, str | bytes] = {f"{name}/src/main.py": "def process(value): return value\n"}
        files |= {f"{name}/{path}": content for path, content in more.items()}
        files |= {f"{name}/deps/{file.name}": file.read_bytes() for file in bundled}
        if requirements:
            files[f"{name}/requirements.txt"] = requirements
        return make_zip(self.directory / f"{name}.zip", files)

    def provide(self, package: Path, sources: Sources = Sources()) -> Environment:  # noqa: B008 - it is frozen
        needs = needs_of_zip(unpack_package(package, self.directory / "code"))
        environment = provide_environment(needs, sources, self.environments)
        self.stack.callback(environment.close)
        return environment

    def refusal(self, package: Path, sources: Sources = Sources()) -> str:  # noqa: B008
        with pytest.raises(LaunchError) as caught:
            self.provide(package, sources)
        return str(caught.value)

    def made(self) -> list[Path]:
        """What is there beside locks."""
        found = self.environments.iterdir() if self.environments.is_dir() else ()
        return [path for path in found if path.suffix != ".lock"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with bench.stack:
        yield bench


def installed(environment: Environment) -> set[str]:
    """The names and versions in it, ``needed-1.0``."""
    return {path.name.removesuffix(".dist-info") for path in environment.site_packages.glob("*.dist-info")}


@dataclass
class Running:
    """An instance that runs as a process."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int
    workbench: Workbench

    def text(self) -> str:
        return self.log.read_text()


StartInstance = Callable[..., Running]


@pytest.fixture
def start_instance(workbench: Workbench, tmp_path: Path) -> Iterator[StartInstance]:
    """``start_instance(package, class_name, *options)`` runs an instance with the reference's command line."""
    with contextlib.ExitStack() as stack:

        def start(package: Path, class_name: str, *options: str) -> Running:
            with socket.create_server(("", 0)) as free:
                port = free.getsockname()[1]
            spec = workbench.spec()
            spec = replace(
                spec,
                function=replace(spec.function, class_name=class_name),
                code_file=str(package),
                port=port,
                metrics_port=0,
                auth=ClientAuth(),
                secrets_provider="secretsprovider.ClearTextSecretsProvider",
            )
            arguments = python_arguments(
                spec, logging_directory=str(tmp_path / "logs"), logging_config_file=LOGGING_CONFIG_FILE
            )
            log = tmp_path / "log"
            with open(log, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "pulsar_runtimes.instance", *arguments, *options],
                    stdout=file,
                    stderr=file,
                    env=os.environ | {CODE_CACHE_VARIABLE: str(tmp_path / "code")},
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Running(process, log, port, workbench)

        yield start


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory in which each directory ``name`` holds files of a project, and the URL it has as a repository."""
    directory = tmp_path / "simple"
    directory.mkdir()
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield directory, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# From the package alone


def test_wheels_sdists_and_requirements_are_installed_from_the_package_alone(bench: Bench) -> None:
    bundled = [
        make_wheel(bench.files, "needed", requires=["further>=1"]),
        make_wheel(bench.files, "further", "1.5"),
        make_wheel(bench.files, "never_named"),
        make_sdist(bench.files, "built", "2.0"),
    ]
    package = bench.package(*bundled, requirements="needed>=0.9  # as it has what we need\n")
    environment = bench.provide(package)
    assert installed(environment) == {"needed-1.0", "further-1.5", "never_named-1.0", "built-2.0"}


def test_requirements_may_stand_beside_the_code(bench: Bench) -> None:
    package = bench.package(**{"src/requirements.txt": "absent\n"})
    assert "No matching distribution found for absent" in bench.refusal(package)


def test_a_wheel_is_preferred_to_an_sdist_and_to_wheels_of_other_platforms(bench: Bench) -> None:
    wheel = make_wheel(bench.files, "needed")
    other = wheel.with_name("needed-1.0-cp27-cp27m-win32.whl")
    other.write_bytes(b"not for us")
    sdist = make_sdist(bench.files, "needed", before="raise SystemExit('must not be built')")
    assert installed(bench.provide(bench.package(wheel, other, sdist))) == {"needed-1.0"}


def test_nothing_is_made_for_a_function_that_needs_nothing(bench: Bench) -> None:
    package = bench.package(requirements="# nothing yet\n")
    with contextlib.closing(load_code(str(package), bench.directory / "code")) as code:
        assert code.find_class("main.process")(1) == 1
    assert bench.made() == []


def test_what_is_bundled_is_not_taken_from_a_repository(bench: Bench, repository: tuple[Path, str]) -> None:
    directory, url = repository
    make_wheel(directory / "needed", "needed", "9.0")
    package = bench.package(make_wheel(bench.files, "needed", "1.0"), requirements="needed\n")
    assert installed(bench.provide(package, Sources(anywhere=True, repository=url))) == {"needed-1.0"}


def test_hashes_are_kept_to(bench: Bench) -> None:
    wheel = make_wheel(bench.files, "needed")
    good, bad = hashlib.sha256(wheel.read_bytes()).hexdigest(), "0" * 64
    environment = bench.provide(bench.package(wheel, requirements=f"needed==1.0 \\\n --hash=sha256:{good}\n"))
    assert installed(environment) == {"needed-1.0"}
    bench.refusal(bench.package(wheel, requirements=f"needed==1.0 --hash=sha256:{bad}\n"))


@pytest.mark.parametrize("name", ["needed.whl", "needed-1.0.whl", "ne eded-1.0-py3-none-any.whl", "-r-1.0.tar.gz"])
def test_a_file_in_deps_with_no_proper_name_is_named(name: str, bench: Bench) -> None:
    package = bench.package(**{f"deps/{name}": ""})
    expected = f"fn.zip: deps/{name}: this is no name of a wheel or an sdist (name-version…)"
    assert bench.refusal(package) == expected


# From repositories


def test_what_is_not_bundled_comes_from_the_repositories(bench: Bench, repository: tuple[Path, str]) -> None:
    directory, url = repository
    make_wheel(directory / "one" / "needed", "needed", requires=["further", "bundled"])
    make_wheel(directory / "two" / "further", "further")
    sources = Sources(repository=f"{url}/one", extra_repository=f"{url}/two")
    package = bench.package(make_wheel(bench.files, "bundled"), requirements="needed\n")
    assert installed(bench.provide(package, sources)) == {"needed-1.0", "further-1.0", "bundled-1.0"}


def test_pip_s_own_settings_hold_where_no_repository_is_given(
    bench: Bench, repository: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(repository[0] / "needed", "needed")
    monkeypatch.setenv("PIP_INDEX_URL", repository[1])
    for name in ("PIP_TARGET", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.setenv(name, str(bench.directory / "elsewhere"))
    assert installed(bench.provide(bench.package(requirements="needed\n"))) == {"needed-1.0"}


def test_a_whl_package_is_installed_with_what_it_depends_on(bench: Bench, repository: tuple[Path, str]) -> None:
    directory, url = repository
    make_wheel(directory / "further", "further")
    wheel = make_wheel(bench.directory, "lonely_fn", requires=["further"], files={"lonely_fn.py": "import further\n"})
    make_wheel(bench.directory, "further", "6.6")  # somebody else's package, which lies in the same directory
    sources = Sources(anywhere=True, repository=url)
    with contextlib.closing(load_code(str(wheel), bench.directory / "code", sources=sources)) as code:
        assert code.find_class("lonely_fn").further.VERSION == "1.0"


def test_credentials_of_a_repository_are_shown_to_nobody(bench: Bench, repository: tuple[Path, str]) -> None:
    directory, url = repository
    seen = bench.directory / "seen"
    before = f"import os, shutil; shutil.copy(f'/proc/{{os.getppid()}}/cmdline', {str(seen)!r})"
    make_sdist(directory / "needed", "needed", before=before)
    secret = url.replace("//", "//user:s3cr@t@")
    sources = Sources(anywhere=True, repository=secret, extra_repository=secret)
    assert "s3cr" not in repr(sources)
    bench.provide(bench.package(requirements="needed\n"), sources)
    assert b"requirements.txt" in seen.read_bytes()
    assert b"s3cr" not in seen.read_bytes()
    said = bench.refusal(bench.package(requirements=f"--extra-index-url {secret}/more\nabsent\n"), sources)
    assert "No matching distribution found for absent" in said
    assert "s3cr" not in said


# What pip says when it fails


def test_a_failure_tells_the_installer_s_last_lines_and_leaves_nothing(bench: Bench) -> None:
    sdist = make_sdist(bench.files, "built", before="raise SystemExit('the compiler is missing')")
    said = bench.refusal(bench.package(sdist))
    assert said.splitlines()[0].startswith("fn.zip: its dependencies cannot be installed: error: ")
    assert "the compiler is missing" in said
    assert len(said.splitlines()) <= 21
    assert bench.made() == []


def test_a_start_after_a_failure_tries_again(bench: Bench, repository: tuple[Path, str]) -> None:
    directory, url = repository
    package, sources = bench.package(requirements="needed==1.0\n"), Sources(repository=url)
    assert bench.refusal(package, sources).splitlines()[0] == (
        "fn.zip: its dependencies cannot be installed: ERROR: No matching distribution found for needed==1.0"
    )
    make_wheel(directory / "needed", "needed")
    assert installed(bench.provide(package, sources)) == {"needed-1.0"}


def test_a_directory_that_cannot_be_made_is_an_error_that_names_it(bench: Bench) -> None:
    bench.environments.touch()
    said = bench.refusal(bench.package(make_wheel(bench.files, "needed")))
    assert said.startswith(f"fn.zip: its dependencies cannot be installed to {bench.environments} (")


@pytest.mark.slow
def test_an_interpreter_without_pip_puts_one_into_the_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    environment = bench.provide(bench.package(make_wheel(bench.files, "needed")))
    assert "needed-1.0" in installed(environment)


# Hostile requirements


@pytest.mark.parametrize(
    "line",
    [
        "--index-url http://evil.example/simple",
        "-i http://evil.example/simple",
        "--extra-index-url=http://evil.example",
        "--find-links /srv",
        "-f/srv",
        "--trusted-host evil.example",
        "-e .",
        "--editable=git+https://evil.example/x",
        "-r /etc/passwd",
        "-c more.txt",
        "file:///etc/passwd",
        "git+ssh://git@evil.example/x",
        "https://evil.example/x-1.0.tar.gz",
        "needed @ git+ssh://git@evil.example/x",
        "needed@https://evil.example/x.whl",
        "needed[extra] @ file:///srv/x.whl",
        "/srv/x.whl",
        "./x",
        "../x",
        "src/x.whl",
        "needed --config-settings=a=b",
        "needed --global-option=x",
        "needed; python_version > '3' --install-option=x",
        "needed\t--index-url=http://evil.example",
        "needed==1.0 -i http://evil.example",
        "${HOME}",
        "needed==${TOKEN}",
        "needed; extra == '${TOKEN}'",
        "--pre --index-url http://evil.example",
        "--no-binary :all: -e .",
        "needed further",
        "=1.0",
    ],
)
def test_a_line_that_is_more_than_a_name_is_refused(line: str, bench: Bench) -> None:
    assert not_plain([line]) == [line]
    said = bench.refusal(bench.package(requirements=f"fine==1.0\n{line}\n"))
    assert said == (
        "fn.zip: requirements.txt may name distributions and versions only, "
        f"unless installUserCodeDependencies is on (got {without_credentials(repr(line))})"
    )
    assert bench.made() == []


@pytest.mark.parametrize(
    "line",
    [
        "needed",
        "Needed_2.x-y",
        "needed==1.0",
        "needed == 1.0",
        "needed>=1,<2",
        "needed >= 1.0 , != 1.5.* , < 2",
        "needed~=1.4.2",
        "needed===1.0+local",
        "needed (>=1,<2)",
        "needed[extra]",
        "needed [one, two] >= 1!2.0rc1",
        'needed; python_version < "3.12" and sys_platform == "linux"',
        'needed>=1 ; (extra == "a@b")',
        "needed==1.0 --hash=sha256:00ff --hash=sha256:11ee",
        "--pre",
        "--require-hashes",
        "--only-binary :all:",
        "--no-binary=needed,further",
    ],
)
def test_a_plain_line_is_taken(line: str) -> None:
    assert not_plain([line]) == []


@pytest.mark.parametrize("line", ["a" + " " * 100_000 + "!", "a" + "==1" * 30_000, "a" + " ==1," * 30_000 + "@"])
def test_a_line_that_is_hard_to_read_takes_no_time(line: str) -> None:
    begun = time.monotonic()
    assert not_plain([line]) == [line]
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ()),
        ("a\n\n  b  \r\nc", ("a", "b", "c")),
        ("# all\na # comment\nb#c\n", ("a", "b#c")),
        ("a \\\n  --hash=sha256:00 \\\n  --hash=sha256:11\nb\n", ("a   --hash=sha256:00   --hash=sha256:11", "b")),
        ("a\\\n# between\nb\n", ("a", "b")),
        ("needed \\\n--index-url x", ("needed --index-url x",)),
        ("a\\", ("a",)),
        ("\ufeffa", ("a",)),
        ("a\x0c-e .\u2028b", ("a", "-e .", "b")),
    ],
)
def test_requirements_are_read_as_pip_reads_them(text: str, lines: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(text, encoding="utf-8", newline="")
    assert read_requirements(file) == lines


def test_requirements_in_another_encoding_than_we_look_at_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("needed", encoding="utf-16")
    with pytest.raises(LaunchError, match=r"^requirements.txt must be UTF-8 text \("):
        read_requirements(file)


def test_any_line_is_taken_where_user_code_dependencies_are_installed(bench: Bench) -> None:
    outside = make_wheel(bench.directory / "outside", "outside")
    linked = make_wheel(bench.directory / "links", "linked")
    requirements = f"-r src/more.txt\noutside @ file://{outside}\n--find-links {linked.parent}\n--no-index\nlinked\n"
    more = {"src/more.txt": "./deps/needed-1.0-py3-none-any.whl\n"}
    package = bench.package(make_wheel(bench.files, "needed"), requirements=requirements, **more)
    assert installed(bench.provide(package, ANYWHERE)) == {"needed-1.0", "outside-1.0", "linked-1.0"}


# One for each content


def test_packages_with_the_same_needs_share_an_environment(bench: Bench) -> None:
    wheel = make_wheel(bench.files, "needed")
    first = bench.provide(bench.package(wheel, requirements="needed\n"))
    again = bench.provide(bench.package(wheel, requirements="needed # the same\n", name="other"))
    assert again.site_packages == first.site_packages
    assert len(bench.made()) == 1


def test_other_needs_and_other_repositories_are_other_environments(bench: Bench) -> None:
    wheel = make_wheel(bench.files, "needed")
    plain = bench.package(wheel)
    others = [
        bench.provide(plain),
        bench.provide(plain, Sources(repository="http://127.0.0.1:9/other")),
        bench.provide(bench.package(wheel, requirements="needed\n")),
        bench.provide(bench.package(make_wheel(bench.files, "needed", files={"needed.py": "other bytes"}))),
        bench.provide(bench.package(wheel, requirements="./deps/needed-1.0-py3-none-any.whl\n"), ANYWHERE),
        bench.provide(bench.package(wheel, requirements="./deps/needed-1.0-py3-none-any.whl\n", a="b"), ANYWHERE),
    ]
    assert len({environment.site_packages for environment in others}) == len(others)


_LOAD = """
import sys
from pathlib import Path
from pulsar_runtimes.instance.code import load_code
print("begins", flush=True)
load_code(sys.argv[1], Path(sys.argv[2]))
import built
print(built.__file__)
"""


def loading(bench: Bench, package: Path) -> subprocess.Popen[str]:
    """A process that loads ``package``."""
    command = [sys.executable, "-c", _LOAD, str(package), str(bench.directory / "code")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_many_processes_at_once_make_one_environment(bench: Bench) -> None:
    count = bench.directory / "count"
    sdist = make_sdist(bench.files, "built", before=f"open({str(count)!r}, 'a').write('x')")
    package = bench.package(sdist)
    processes = [loading(bench, package) for _ in range(10)]
    said = {process.communicate()[0] for process in processes}
    (home,) = bench.made()
    assert said == {f"begins\n{home}/lib/python3.{sys.version_info.minor}/site-packages/built.py\n"}
    assert count.read_text() == "x"


def test_a_killed_installer_takes_pip_along_and_leaves_nothing_that_is_used(bench: Bench) -> None:
    pids = bench.directory / "pids"
    before = (
        f"import os, pathlib, time; p = pathlib.Path({str(pids)!r}); old = p.exists();"
        "p.write_text(f'{os.getppid()} {os.getpid()} '); old or time.sleep(60)"
    )
    package = bench.package(make_sdist(bench.files, "built", before=before))
    process = loading(bench, package)
    pip, backend = map(
        int, until(lambda: pids.read_text() if pids.is_file() else "", lambda t: t.endswith(" ")).split()
    )
    (half_made,) = bench.made()
    process.kill()
    process.communicate()
    until(lambda: not is_alive(pip))
    os.kill(backend, signal.SIGKILL)
    (half_made / "lib" / "rubbish").touch()
    process = loading(bench, package)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert bench.made() == [half_made]
    assert not (half_made / "lib" / "rubbish").exists()


# Old ones


def age(environment: Environment, days: float) -> Path:
    home = environment.site_packages.parents[2]
    os.utime(home / "complete", times=(time.time() - days * 86400,) * 2)
    return home


def test_environments_that_nobody_used_for_long_are_removed_when_another_is_made(bench: Bench) -> None:
    old, recent, used = (bench.provide(bench.package(make_wheel(bench.files, name))) for name in ("a", "b", "c"))
    age(old, 31)
    age(recent, 29)
    age(used, 31)
    old.close()
    recent.close()
    half_made = bench.environments / ("0" * 32)
    (half_made / "lib").mkdir(parents=True)
    (bench.environments / ".gone-x").mkdir()
    somebody_s = bench.environments / "notes"
    somebody_s.mkdir()
    being_made = bench.environments / ("1" * 32)
    being_made.mkdir()
    with open(bench.environments / f".{being_made.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new = bench.provide(bench.package(make_wheel(bench.files, "d")))
    assert set(bench.made()) == {somebody_s, being_made, *(e.site_packages.parents[2] for e in (recent, used, new))}


def test_to_use_one_keeps_it(bench: Bench) -> None:
    package = bench.package(make_wheel(bench.files, "needed"))
    environment = bench.provide(package)
    home = age(environment, 31)
    environment.close()
    bench.provide(package).close()
    remove_unused(bench.environments)
    assert bench.made() == [home]


# Who is used: the function's, or pfrun's


def distribution(directory: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """An installed distribution."""
    info = directory / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)
    return directory


def test_dependencies_stand_behind_the_standard_library_and_in_front_of_pfrun_s(tmp_path: Path) -> None:
    env = distribution(tmp_path / "env", "backport", "1", {"antigravity.py": "", "click/__init__.py": ""})
    (env / "more.pth").write_text(f"{tmp_path}\n")
    assert add_dependencies(env, last=False) == []
    assert sys.path.index(json.__file__.rpartition("/json/")[0]) < sys.path.index(str(env))
    ours = next(entry for entry in sys.path if entry.endswith("site-packages"))
    assert sys.path.index(str(env)) < sys.path.index(str(tmp_path)) < sys.path.index(ours)


def test_in_a_shared_interpreter_they_stand_last(tmp_path: Path) -> None:
    env = distribution(tmp_path / "env", "Click", "0.1", {"click/__init__.py": ""})
    (told,) = add_dependencies(env, last=True)
    assert sys.path[-1] == str(env)
    assert told.startswith("click 0.1 (there is 8.")


def test_a_version_that_is_loaded_already_overrules_the_function_s(tmp_path: Path) -> None:
    from google import protobuf

    env = distribution(tmp_path / "env", "protobuf", "3.1", {"google/protobuf/__init__.py": "raise ImportError\n"})
    distribution(env, "pip", "1.0", {"pip/__init__.py": ""})  # there is another one, but nobody has loaded it
    distribution(env, "mine", "1.0", {"mine.py": ""})
    assert add_dependencies(env, last=False) == [f"protobuf 3.1 (there is {protobuf.__version__})"]


# A whole instance

_FUNCTION = """
import google.protobuf
import needed

def process(value, context):
    return f"{value} {needed.VERSION} {google.protobuf.__version__}"
"""


@pytest.mark.broker
def test_an_instance_is_ready_with_its_dependencies_and_pfrun_keeps_its_own(
    bench: Bench, start_instance: StartInstance, repository: tuple[Path, str]
) -> None:
    """pfrun's control service answers, though the function pins a protobuf that nobody can import."""
    from google import protobuf

    directory, url = repository
    make_wheel(directory / "needed", "needed")
    broken = {"google/protobuf/__init__.py": "raise ImportError('too old')\n"}
    bundled = make_wheel(bench.files, "protobuf", "3.1", files=broken)
    package = bench.package(
        bundled, requirements="needed\nprotobuf==3.1\n", name="deps_fn", **{"src/deps_main.py": _FUNCTION}
    )
    instance = start_instance(
        package,
        "deps_main",
        *("--install_usercode_dependencies", "True"),
        *("--dependency_repository", url),
    )
    said = until(instance.text, lambda text: "is ready" in text or instance.process.poll() is not None)
    assert instance.process.poll() is None, said
    assert said.index("deps_fn.zip: dependencies installed in ") < said.index("is ready")
    version = protobuf.__version__
    assert f"not used, as this interpreter has another version already: protobuf 3.1 (there is {version})" in said
    assert check_health(instance.port)
    instance.workbench.publish("hello")
    assert instance.workbench.outputs(1) == [f"hello 1.0 {version}"]
    instance.process.terminate()
    assert instance.process.wait(20) == 0
    assert "Traceback" not in instance.text()


@pytest.mark.broker
def test_an_instance_that_cannot_install_never_gets_ready(bench: Bench, start_instance: StartInstance) -> None:
    instance = start_instance(bench.package(requirements="absent\n"), "main")
    assert instance.process.wait(20) == 1
    assert "fn.zip: its dependencies cannot be installed: ERROR: No matching distribution found" in instance.text()
    assert "is ready" not in instance.text()
    assert "Traceback" not in instance.text()


@pytest.mark.broker
def test_an_instance_can_be_stopped_while_it_installs(bench: Bench, start_instance: StartInstance) -> None:
    mark = bench.directory / "pid"
    before = f"import os, time; open({str(mark)!r}, 'w').write(f'{{os.getppid()}} {{os.getpid()}} '); time.sleep(60)"
    instance = start_instance(bench.package(make_sdist(bench.files, "built", before=before)), "main")
    pip, backend = map(
        int, until(lambda: mark.read_text() if mark.is_file() else "", lambda t: t.endswith(" ")).split()
    )
    instance.process.terminate()
    assert instance.process.wait(5) == 0
    until(lambda: not is_alive(pip))
    os.kill(backend, signal.SIGKILL)
