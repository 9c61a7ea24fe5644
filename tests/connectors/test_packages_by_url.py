"""Packages that a request names by a URL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.worker import WorkerConfig
from pulsar_runtimes.model.function import ComponentType
from pulsar_runtimes.model.names import FunctionKey
from pulsar_runtimes.model.registration import PackageLocation
from pulsar_runtimes.service.errors import RefusedError
from pulsar_runtimes.service.fetched_packages import FetchedPackages
from pulsar_runtimes.service.package_fetch import FetchLimits, fetch_package
from pulsar_runtimes.service.package_urls import UrlRules
from pulsar_runtimes.service.packages import PackageStore

from .conftest import Api
from .nars import write_connector, write_nar
from .test_connector_api import SINK, plan

NOT_VALID = (400, "Function Package url is not valid.supported url (http/https/file)")


@dataclass
class Site:
    """A web site: what is at each path, or where that leads; ``asked`` has every path that somebody asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    here = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            if self.path in here.redirects:
                self.send_response(302)
                self.send_header("Location", here.redirects[self.path])
                self.end_headers()
                return
            content = here.files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()


Serve = Callable[..., Api]


@pytest.fixture
def open_api(serve: Serve, site: Site) -> Api:
    """A worker that takes connectors from everywhere below ``/nars`` of the site."""
    return serve(additionalEnabledConnectorUrlPatterns=[f"{site.url}/nars/.*"])


def test_the_defaults_refuse_before_anybody_is_asked(api: Api, site: Site, nar: Path) -> None:
    site.files["/nars/own.nar"] = nar.read_bytes()
    for url in (f"{site.url}/nars/own.nar", nar.as_uri(), "ftp://x/y"):
        assert api.refusal("POST", "sinks/public/default/s", sinkConfig=SINK, url=url) == NOT_VALID
    assert site.asked == []


def test_a_file_of_the_connectors_directory_may_be_named(api: Api) -> None:
    url = (api.directory / "connectors" / "both.nar").as_uri()
    assert api.call("POST", "sinks/public/default/s", sinkConfig=SINK, url=url).status_code == 204
    assert api.kept.by_key[FunctionKey("public", "default", "s")].package.path == url
    assert plan(api, "s").code_file == str(api.directory / "connectors" / "both.nar")
    missing = url.replace("both", "none")
    status, reason = api.refusal("POST", "sinks/public/default/t", sinkConfig=SINK, url=missing)
    assert (status, reason[:45]) == (400, 'Encountered error "there is no such file" whe')


def test_a_package_of_a_site_is_fetched_once_and_anew_with_an_update(open_api: Api, site: Site, nar: Path) -> None:
    path, url = "sinks/public/default/s", f"{site.url}/nars/own.nar"
    site.files["/nars/own.nar"] = nar.read_bytes()
    assert open_api.call("POST", path, sinkConfig=SINK, url=url).status_code == 204
    first = plan(open_api, "s").code_file
    assert Path(first).read_bytes() == nar.read_bytes()
    assert open_api.kept.by_key[FunctionKey("public", "default", "s")].package.path == url
    assert open_api.call("PUT", path, sinkConfig={"parallelism": 2}).status_code == 204
    assert len(site.asked) == 1
    site.files["/nars/own.nar"] = write_connector(open_api.directory / "b.nar", "newer").read_bytes()
    assert open_api.call("PUT", path, sinkConfig={}, url=url).status_code == 204
    assert (len(site.asked), plan(open_api, "s").code_file == first) == (2, False)
    open_api.service.inventory.remove_unused(older_than_seconds=0)
    assert Path(plan(open_api, "s").code_file).is_file()
    open_api.kept.give(FunctionKey("public", "default", "s"))
    assert len(site.asked) == 2


def test_another_worker_sees_that_the_package_is_a_new_one(site: Site, tmp_path: Path) -> None:
    config = WorkerConfig(additional_enabled_connector_url_patterns=(f"{site.url}/nars/.*",))
    here, there = (
        FetchedPackages(PackageStore(tmp_path / name), UrlRules.from_config(config)) for name in ("here", "there")
    )
    url = f"{site.url}/nars/own.nar"
    for content in (b"old", b"new"):
        site.files["/nars/own.nar"] = content
        location = here.register(ComponentType.SINK, url)
        assert location.path == url
        assert there.path(location).read_bytes() == here.path(location).read_bytes() == content
        assert there.path(PackageLocation(url, "own.nar")).read_bytes() == content  # as Pulsar's worker registers it
    assert len(site.asked) == 4


def test_a_package_that_was_lost_is_fetched_again(open_api: Api, site: Site, nar: Path) -> None:
    site.files["/nars/own.nar"] = nar.read_bytes()
    open_api.call("POST", "sinks/public/default/s", sinkConfig=SINK, url=f"{site.url}/nars/own.nar")
    Path(plan(open_api, "s").code_file).unlink()
    open_api.kept.give(FunctionKey("public", "default", "s"))
    assert open_api.service.problem(FunctionKey("public", "default", "s")) == ""
    assert len(site.asked) == 2


def test_what_is_not_there_or_leads_elsewhere_is_refused(open_api: Api, site: Site) -> None:
    site.redirects = {"/nars/away": f"{site.url}/elsewhere", "/nars/round": "/nars/round", "/nars/odd": "file:///x"}
    wanted = {
        "gone": "the answer is 404",
        "away": "it redirects to a place that is not allowed",
        "round": "more than 5 redirects",
        "odd": "it redirects to a place that is not allowed",
    }
    for name, reason in wanted.items():
        url = f"{site.url}/nars/{name}"
        status, told = open_api.refusal("POST", "sinks/public/default/s", sinkConfig=SINK, url=url)
        assert (status, told.startswith(f'Encountered error "{reason}" when getting package from ')) == (400, True), (
            told
        )
    assert "/elsewhere" not in site.asked


def test_a_sinks_function_may_have_a_url(serve: Serve, site: Site, nar: Path, tmp_path: Path) -> None:
    api = serve(additionalEnabledFunctionsUrlPatterns=[f"{site.url}/f/.*"])
    site.files["/f/t.nar"] = write_nar(tmp_path / "t.nar", name="t", functionClass="a.Transform").read_bytes()
    config = {**SINK, "transformFunction": f"{site.url}/f/t.nar"}
    assert api.call("POST", "sinks/public/default/s", nar, sinkConfig=config).status_code == 204
    assert Path(plan(api, "s").transform_file).name == "t.nar"
    assert api.call("PUT", "sinks/public/default/s", sinkConfig={"parallelism": 2}).status_code == 204
    assert len(site.asked) == 1
    config["transformFunction"] = f"{site.url}/elsewhere/t.nar"
    assert api.refusal("POST", "sinks/public/default/t", nar, sinkConfig=config) == NOT_VALID


def test_size_and_time_are_bounded(site: Site, tmp_path: Path) -> None:
    site.files["/big"] = b"x" * 100_000
    for limits, reason in (
        (FetchLimits(max_bytes=1000), "larger than 1000 bytes"),
        (FetchLimits(seconds=-1.0), "takes too long"),
    ):
        with (tmp_path / "out").open("wb") as target, pytest.raises(RefusedError, match=reason):
            fetch_package(f"{site.url}/big", target, lambda url: True, limits)


def test_packages_are_downloaded_by_path(open_api: Api, site: Site, nar: Path) -> None:
    def get(path: str) -> tuple[int, bytes]:
        answer = open_api.http.get("/admin/v3/functions/download", params={"path": path})
        return answer.status_code, answer.content

    both = (open_api.directory / "connectors" / "both.nar").read_bytes()
    assert get("builtin://both") == (200, both)
    assert get((open_api.directory / "connectors" / "both.nar").as_uri()) == (200, both)
    site.files["/nars/own.nar"] = nar.read_bytes()
    assert get(f"{site.url}/nars/own.nar") == (200, nar.read_bytes())
    open_api.call("POST", "sinks/public/default/s", nar, sinkConfig=SINK)
    kept = open_api.kept.by_key[FunctionKey("public", "default", "s")].package.path
    assert get(kept) == (200, nar.read_bytes())
    assert get("builtin://none")[0] == 404
    for path in ("file:///etc/passwd", "/etc/passwd", "../x", "", f"{site.url}/other", nar.as_uri()):
        assert get(path)[0] == 400, path


def test_the_brokers_packages_need_their_settings(api: Api, nar: Path) -> None:
    name = "function://public/default/pkg@1"
    for status, reason in (
        api.refusal("POST", "functions/upload", nar, path=name),
        api.refusal("GET", f"functions/download?path={name}"),
        api.refusal("POST", "sinks/public/default/s", sinkConfig=SINK, url=name),
    ):
        assert status == 400 and "set functionsWorkerEnablePackageManagement" in reason
    status, reason = api.refusal("POST", "functions/upload", nar, path="a/b")
    assert (status, reason[:14]) == (400, "path: must be ")
    assert api.refusal("POST", "functions/upload", path=name) == (400, "Function Package is not provided")
