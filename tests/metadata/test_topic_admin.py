"""The brokers' admin REST API: with a small server that says what it was asked, and with a real Pulsar."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulsar
import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.worker import parse_worker_config
from pulsar_runtimes.metadata.admin_client import AdminClient, AdminError
from pulsar_runtimes.metadata.registrations import RegistrationTable
from pulsar_runtimes.metadata.topic_admin import compact, compaction_status, ensure_topics, topic_stats
from pulsar_runtimes.metadata.topic_names import TopicNames
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import ClientAuth
from tests.metadata.registered import registered
from tests.standalone.standalone import Standalone
from tests.waiting import until

TOKEN = ClientAuth(plugin="org.apache.pulsar.client.impl.auth.AuthenticationToken", params="token:abc")


class Server(ThreadingHTTPServer):
    """Answers what ``answers`` has for a method and a path: status, JSON, location."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, Any, str]] = {}
        self.asked: list[tuple[str, str | None, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((asked, self.headers.get("Authorization"), json.loads(body) if body else None))
        status, content, location = self.server.answers.get(asked, (204, None, ""))
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(data)

    do_PUT = do_GET  # noqa: N815 - the name is the library's

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        threading.Thread(target=started.serve_forever, args=(0.01,)).start()
        yield started
        started.shutdown()


@pytest.fixture
def admin(server: Server) -> Iterator[AdminClient]:
    client = AdminClient(server.url, seconds=5)
    yield client
    client.close()


def test_the_names_are_those_that_are_shipped_unless_others_are_given() -> None:
    names = TopicNames.from_config(parse_worker_config(parse_document("{}"), {}))
    assert (names.metadata, names.assignments, names.coordination) == (
        "persistent://public/functions/metadata",
        "persistent://public/functions/assignments",
        "persistent://public/functions/coordinate",
    )
    document = {"pulsarFunctionsNamespace": "a/b", "functionMetadataTopicName": "m", "pulsarFunctionsCluster": "c"}
    names = TopicNames.from_config(parse_worker_config(parse_document(json.dumps(document)), {}))
    assert (names.metadata, names.cluster) == ("persistent://a/b/m", "c")


def test_the_namespace_forgets_nothing(server: Server, admin: AdminClient) -> None:
    ensure_topics(admin, TopicNames(cluster="c"))
    assert server.asked == [
        (
            "PUT /admin/v2/namespaces/public/functions",
            None,
            {
                "replication_clusters": ["c"],
                "retention_policies": {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1},
                "inactive_topic_policies": {"maxInactiveDurationSeconds": 0, "deleteWhileInactive": False},
            },
        ),
        ("PUT /admin/v2/persistent/public/functions/metadata", None, None),
        ("PUT /admin/v2/persistent/public/functions/assignments", None, None),
        ("PUT /admin/v2/persistent/public/functions/coordinate", None, None),
    ]


@pytest.mark.parametrize(
    ("kept", "is_told"),
    [
        ({"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}, False),
        ({"retentionTimeInMinutes": 5, "retentionSizeInMB": -1}, True),
        (None, True),
    ],
)
def test_a_namespace_that_forgets_is_told(
    server: Server, admin: AdminClient, caplog: pytest.LogCaptureFixture, kept: Any, is_told: bool
) -> None:
    server.answers = {
        "PUT /admin/v2/namespaces/public/functions": (409, {"reason": "Namespace already exists"}, ""),
        "GET /admin/v2/namespaces/public/functions/retention": (200, kept, ""),
    }
    ensure_topics(admin, TopicNames())
    assert ("set-retention public/functions --time -1 --size -1" in caplog.text) == is_told


def test_a_refusal_has_its_reason(server: Server, admin: AdminClient) -> None:
    server.answers["PUT /admin/v2/namespaces/public/functions"] = (404, {"reason": "Tenant does not exist"}, "")
    with pytest.raises(AdminError, match=r"PUT http.*/public/functions: 404: Tenant does not exist") as caught:
        ensure_topics(admin, TopicNames())
    assert caught.value.status == 404


def test_a_topic_that_does_not_exist_has_no_statistics(server: Server, admin: AdminClient) -> None:
    path = "GET /admin/v2/persistent/a/b/c/stats"
    server.answers[path] = (404, {"reason": "Topic not found"}, "")
    assert topic_stats(admin, "persistent://a/b/c") == {}
    server.answers[path] = (401, None, "")
    with pytest.raises(AdminError, match="401: Unauthorized"):
        topic_stats(admin, "persistent://a/b/c")


def test_a_compaction_that_runs_already_is_no_error(server: Server, admin: AdminClient) -> None:
    path = "/admin/v2/persistent/a/b/c/compaction"
    server.answers = {
        f"PUT {path}": (409, {"reason": "Compaction already in progress"}, ""),
        f"GET {path}": (200, {"status": "ERROR", "lastError": "no space"}, ""),
    }
    compact(admin, "persistent://a/b/c")
    assert compaction_status(admin, "persistent://a/b/c") == "ERROR: no space"


def test_the_broker_that_it_is_sent_to_gets_the_token_too(server: Server) -> None:
    server.answers["PUT /a"] = (307, None, f"http://localhost:{server.server_port}/b")
    AdminClient(server.url, TOKEN).put("/a", {"x": 1})
    assert server.asked == [("PUT /a", "Bearer abc", {"x": 1}), ("PUT /b", "Bearer abc", {"x": 1})]


def test_a_circle_of_brokers_ends(server: Server, admin: AdminClient) -> None:
    server.answers["GET /a"] = (307, None, "/a")
    with pytest.raises(AdminError, match="307"):
        admin.get("/a")


def test_a_token_file_is_read_each_time(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    client = AdminClient(server.url, ClientAuth(plugin="token", params=f"file://{file}"))
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        client.get("/a")
    assert [asked[1] for asked in server.asked] == ["Bearer one", "Bearer two"]
    file.unlink()
    with pytest.raises(MetadataError, match=r"brokerClientAuthenticationParameters: .*No such file"):
        client.get("/a")


def test_a_host_that_is_not_there_is_passed_over(server: Server) -> None:
    hosts = f"127.0.0.1:1,127.0.0.1:{server.server_port}"
    AdminClient(f"http://{hosts}").get("/a")
    assert len(server.asked) == 1
    with pytest.raises(MetadataError, match=r"GET http://127.0.0.1:1/a: nobody answers"):
        AdminClient("http://127.0.0.1:1").get("/a")


@pytest.mark.parametrize("url", ["", "localhost:8080", "pulsar://localhost:6650", "http://", "http://a,,b"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(MetadataError, match="pulsarWebServiceUrl: must be"):
        AdminClient(url)


def test_credentials_of_another_kind_are_refused() -> None:
    with pytest.raises(MetadataError, match=r"must be one of .*AuthenticationToken.*got 'org.x.Kerberos'"):
        AdminClient("http://localhost:8080", ClientAuth(plugin="org.x.Kerberos", params="secret"))


@pytest.mark.slow
@pytest.mark.standalone
def test_a_real_pulsar_makes_the_topics_and_compacts_them(pulsar_standalone: Standalone) -> None:
    admin = AdminClient(pulsar_standalone.admin_url)
    names = TopicNames(namespace="public/pfrun-topics")
    for _ in range(2):
        ensure_topics(admin, names)
    policies = admin.get("/admin/v2/namespaces/public/pfrun-topics")
    assert policies["retention_policies"] == {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}
    assert policies["inactive_topic_policies"] == {"maxInactiveDurationSeconds": 0, "deleteWhileInactive": False}
    assert policies["replication_clusters"] == ["standalone"]
    topics = admin.get("/admin/v2/persistent/public/pfrun-topics")
    assert sorted(topics) == sorted([names.assignments, names.coordination, names.metadata])

    logger = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
    client = pulsar.Client(pulsar_standalone.service_url, logger=logger)
    leader = RegistrationTable(client, names.metadata, worker_id="one", compacted=True)
    leader.load()
    leader.lead()
    for version in range(100):
        for name in ("kept", "gone"):
            leader.put(registered(name=name, version=version))
    leader.delete(registered(name="gone").key, 100)  # the last record of the topic is one that compaction removes
    assert compaction_status(admin, names.metadata) == "NOT_RUN"
    compact(admin, names.metadata)
    until(lambda: compaction_status(admin, names.metadata), "SUCCESS".__eq__)

    wanted = {registered(name="kept").key: registered(name="kept", version=99)}
    seen = client.create_reader(names.metadata, pulsar.MessageId.earliest, is_read_compacted=True)
    assert seen.read_next(10_000).data() and not seen.has_message_available()
    reader = RegistrationTable(client, names.metadata, worker_id="two", compacted=True)
    reader.load()
    assert reader.registrations() == leader.registrations() == wanted
    told: list[int] = []
    reader.follow(lambda _, found: told.append(found.version if found else -1))
    leader.put(registered(name="gone"))
    leader.put(registered(name="kept", version=100))
    until(lambda: list(told), [0, 100].__eq__)
    leader.resign()
    reader.lead()
    reader.put(registered(name="kept", version=101))
    client.close()
    admin.close()
