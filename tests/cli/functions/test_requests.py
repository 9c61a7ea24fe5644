"""What is sent for a command line, and what is refused before anything is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.daemon import Ran
from tests.cli.functions.fake_worker import FakeWorker

Pfrun = Callable[..., Ran]
Write = Callable[[str, str], str]

CODE = ("--py", "samples.py", "--classname", "samples.Exclaim", "--inputs", "a,b")


def test_the_config_has_the_types_that_flags_mean(asking: Pfrun, fake: FakeWorker, place: Path) -> None:
    flags = "--output o --parallelism 2 --cpu 0.5 --ram 1024 --auto-ack false --processing-guarantees MANUAL"
    ran = asking("create", *CODE, *flags.split(), "--user-config", '{"k": [1]}', "--name", "f")
    assert ran.code == 0, ran.err
    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("POST", "/admin/v3/functions/public/default/f")
    parts = asked.parts()
    assert parts["functionConfig"][:2] == (None, "application/json")
    assert parts["data"] == ("samples.py", "application/octet-stream", (place / "samples.py").read_bytes())
    assert asked.config == {
        "tenant": "public",
        "namespace": "default",
        "name": "f",
        "className": "samples.Exclaim",
        "inputs": ["a", "b"],
        "output": "o",
        "processingGuarantees": "MANUAL",
        "userConfig": {"k": [1]},
        "parallelism": 2,
        "autoAck": False,
        "resources": {"cpu": 0.5, "ram": 1024},
        "runtime": "PYTHON",
    }


def test_flags_come_before_the_file_and_names_from_either(asking: Pfrun, fake: FakeWorker, write: Write) -> None:
    file = write("f.yml", "name: f\ntenant: t\nclassName: a.B\npy: samples.py\ninputs: [a]\nparallelism: 4\n")
    asking("create", "--function-config-file", file, "--parallelism", "5")
    asking("create", "--functionConfigFile", file, "--fqfn", "x/y/z")
    first, second = fake.asked
    assert (first.path, first.config["parallelism"]) == ("/admin/v3/functions/t/default/f", 5)
    assert second.path == "/admin/v3/functions/x/y/z"
    assert [second.config[part] for part in ("tenant", "namespace", "name")] == ["x", "y", "z"]


def test_the_code_lies_beside_its_config(asking: Pfrun, fake: FakeWorker, place: Path) -> None:
    (place / "sub").mkdir()
    (place / "sub" / "mine.py").write_text("class F: pass")
    (place / "sub" / "f.yml").write_text("className: mine.F\npy: mine.py\ninputs: [a]\n")
    assert asking("create", "--function-config-file", "sub/f.yml").code == 0
    assert fake.asked[0].parts()["data"][2] == b"class F: pass"


@pytest.mark.parametrize(
    ("flags", "url", "jar", "runtime"),
    [
        (("--jar", "function://public/default/p@v1"), b"function://public/default/p@v1", None, "JAVA"),
        (("--py", "https://example.org/f.py"), b"https://example.org/f.py", None, "PYTHON"),
        (("--go", "file:/there/f"), b"file:/there/f", None, "GO"),
        (("--jar", "builtin://exclaim"), None, "builtin://exclaim", "JAVA"),
        (("--function-type", "exclaim"), None, "builtin://exclaim", "JAVA"),
        (("-t", "exclaim"), None, "builtin://exclaim", "JAVA"),
    ],
)
def test_code_that_is_elsewhere_is_named(
    asking: Pfrun, fake: FakeWorker, flags: tuple[str, ...], url: bytes | None, jar: str | None, runtime: str
) -> None:
    ran = asking("create", *flags, "--classname", "x.Y", "--inputs", "a", "--name", "f")
    assert ran.code == 0, ran.err
    parts, config = fake.asked[0].parts(), fake.asked[0].config
    assert "data" not in parts
    assert (parts["url"][2] if "url" in parts else None) == url
    assert (config.get("jar"), config["runtime"]) == (jar, runtime)


def test_an_update_sends_what_is_given_and_no_more(asking: Pfrun, fake: FakeWorker) -> None:
    names = {"tenant": "public", "namespace": "default", "name": "f"}
    assert asking("update", "--name", "f", "--timeout-ms", "10").code == 0
    assert asking("update", "--name", "f", "--dead-letter-topic", "d", "--update-auth-data").code == 0
    assert asking("update", "--name", "f", "--py", "samples.py").code == 0
    assert asking("update", "--classname", "samples.Exclaim").code == 0
    first, second, third, fourth = fake.asked
    assert (first.method, first.path) == ("PUT", "/admin/v3/functions/public/default/f")
    assert first.config == {**names, "timeoutMs": 10}
    assert first.parts().keys() == {"functionConfig"}
    assert second.config == {**names, "deadLetterTopic": "d"}
    assert second.parts()["updateOptions"][1:] == ("application/json", b'{"updateAuthData": true}')
    assert third.config == {**names, "runtime": "PYTHON"}
    assert third.parts()["data"][0] == "samples.py"
    assert fourth.config == {**names, "name": "Exclaim", "className": "samples.Exclaim"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            "create --py gone.py --inputs a --parallelism 0 --cpu x --name f",
            {
                "--py: py: there is no such file (got 'gone.py'); looked in {place}",
                "--parallelism: parallelism: must be ",
                "--cpu: resources.cpu: must be a number (got 'x')",
                "className: must be given for a Python function",
            },
        ),
        ("create --function-config-file gone.yml", {"gone.yml: there is no such file"}),
        ("create --function-config-file broken.yml", {"broken.yml:3: is not valid YAML: "}),
        (
            "create --py builtin://x --classname a.B --inputs a",
            {"--py: py: builtin:// is for functions in Java, with jar"},
        ),
        ("update --parallelism 0", {"name: must be given: it says which function to update", "--parallelism"}),
        ("create --fqfn a/b --py samples.py", {"must be tenant/namespace/name (got 'a/b')"}),
        ("create --fqfn a/b/c --name d", {"--fqfn cannot be given together with --name"}),
        ("create --jar x.jar -t y", {"--function-type cannot be given together with --jar"}),
        ("get", {"the function must be named: give --name or --fqfn"}),
        ("get --name a/b", {"must be a name without slashes (got 'a/b')"}),
        ("status --name f --instance-id -1", {"-1 is not in the range x>=0"}),
        ("trigger --name f", {"give the message as --trigger-value or as --trigger-file"}),
        ("trigger --name f --trigger-file gone", {"gone: cannot be read: no such file or directory"}),
        ("list --url ftp://x", {"--url: must be the address of a worker", "(got 'ftp://x')"}),
        ("list --url http://u:p@x", {"--url: must not hold a user or password; give a token in a file"}),
        ("list --token-file gone", {"gone: there is no such file"}),
        ("list --token-file samples.py", {"samples.py: must hold a token and nothing else"}),
        ("list --tls-trust-cert-path gone", {"--tls-trust-cert-path: there is no such file (got 'gone')"}),
        ("list --tls-trust-cert-path samples.py", {"samples.py: holds no certificates in PEM form"}),
    ],
)
def test_what_can_be_told_without_the_worker_is_told_before(
    asking: Pfrun, fake: FakeWorker, write: Write, place: Path, arguments: str, told: set[str]
) -> None:
    write("broken.yml", "name: f\ninputs: [a\n")
    ran = asking(*arguments.split())
    assert (ran.code, ran.out) == (2, "")
    for each in told:
        assert each.format(place=place) in ran.err
    assert "Traceback" not in ran.err
    assert not fake.asked


def test_odd_names_are_quoted(asking: Pfrun, fake: FakeWorker) -> None:
    asking("delete", "--name", "bad name?#%", "--tenant", "größe")
    assert fake.asked[0].path == "/admin/v3/functions/gr%C3%B6%C3%9Fe/default/bad%20name%3F%23%25"


def test_a_message_from_a_file_goes_as_text_if_it_is_text(asking: Pfrun, fake: FakeWorker, place: Path) -> None:
    (place / "text").write_text("größe")
    (place / "bytes").write_bytes(b"\xff\x00")
    for file in ("text", "bytes"):
        assert asking("trigger", "--name", "f", "--trigger-file", file, "--topic", "t").code == 0
    text, data = (asked.parts() for asked in fake.asked)
    assert (text["data"][2].decode(), text["topic"][2]) == ("größe", b"t")
    assert data["dataStream"] == ("bytes", "application/octet-stream", b"\xff\x00")
