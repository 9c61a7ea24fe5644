"""The bytes of the state of record, and what comes back from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pulsar_runtimes.metadata import function_proto as proto
from pulsar_runtimes.metadata.messages import (
    decode_assignment,
    decode_registration,
    decode_request,
    encode_assignment,
    encode_registration,
    encode_request,
)
from pulsar_runtimes.metadata.records import Assignment, RequestKind, ServiceRequest, UnreadableRegistration
from pulsar_runtimes.model.details import details_json
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import FunctionSpec, RetrySpec
from pulsar_runtimes.model.names import FunctionKey, InstanceKey
from pulsar_runtimes.model.registration import FunctionAuth, PackageLocation, Registration, change
from pulsar_runtimes.testing import function_spec
from tests.metadata.registered import FULL, registered
from tests.model.test_details import FULL as EVERY_SETTING


@pytest.mark.parametrize("registration", [registered(), FULL], ids=["plain", "full"])
def test_a_registration_survives_the_way_there_and_back(registration: Registration) -> None:
    assert decode_registration(encode_registration(registration)) == registration


def test_the_bytes_are_those_of_the_protocol() -> None:
    """Field number and wire type, then the value; written by hand from the protobuf encoding."""
    registration = Registration(
        FunctionSpec(tenant="t", namespace="n", name="f"),
        PackageLocation("p", "o"),
        version=300,
        created_ms=1,
        stopped={1: True},
        auth=FunctionAuth(b"\xff", "A"),
        transform_package=PackageLocation("q"),
    )
    assert encode_registration(registration) == (
        b"\x0a\x0d\x0a\x01t\x12\x01n\x1a\x01f\x5a\x00\x62\x00"
        b"\x12\x06\x0a\x01p\x12\x01o\x18\xac\x02\x20\x01"
        b"\x2a\x04\x08\x01\x10\x01"
        b"\x32\x06\x0a\x01\xff\x12\x01A\x3a\x03\x0a\x01q"
    )


def test_the_path_of_the_code_is_no_part_of_a_record() -> None:
    decoded = decode_registration(encode_registration(registered(package="somewhere/f.py")))
    assert isinstance(decoded, Registration) and decoded.function.package == ""


def test_a_number_that_does_not_fit_is_named_with_its_function() -> None:
    with pytest.raises(MetadataError, match=r"public/default/exclaim: cannot be written: .*maxMessageRetries"):
        encode_registration(registered(retry_details=RetrySpec(1 << 40)))


@pytest.mark.parametrize("kind", list(RequestKind))
def test_a_request_survives_the_way_there_and_back(kind: RequestKind) -> None:
    request = ServiceRequest(kind, FULL, "an-id", "worker-1")
    assert decode_request(encode_request(request)) == request


@pytest.mark.parametrize("instance_id", [-1, 0, 7])
def test_an_assignment_survives_the_way_there_and_back(instance_id: int) -> None:
    assignment = Assignment(FULL, instance_id, "worker-1")
    decoded = decode_assignment(encode_assignment(assignment))
    assert decoded == assignment
    assert decoded.key == InstanceKey(FULL.key, instance_id)


# What newer workers write


def test_what_this_version_does_not_know_is_written_again() -> None:
    """Field 1000 with the number 5, at every depth, maps included."""
    newer = proto.FunctionMetaData.FromString(encode_registration(FULL))
    for message in (
        newer,
        newer.functionDetails,
        newer.functionDetails.source.inputSpecs["in"].cryptoSpec,
        newer.functionDetails.sink.producerSpec,
        newer.packageLocation,
    ):
        message.MergeFromString(b"\xc0\x3e\x05")
    data = newer.SerializeToString(deterministic=True)

    registration = decode_registration(data)

    assert isinstance(registration, Registration)
    assert encode_registration(registration) == data
    stopped = change(registration, 0, stop=True)
    assert encode_registration(stopped).count(b"\xc0\x3e\x05") == 5
    moved = replace(registration, function=replace(registration.function, source=function_spec().source))
    assert encode_registration(moved).count(b"\xc0\x3e\x05") == 4  # what they belonged to is gone


def test_what_this_version_knows_is_not_kept_twice() -> None:
    decoded = decode_registration(encode_registration(FULL))
    assert isinstance(decoded, Registration) and decoded.unknown == b""


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (lambda message: setattr(message.functionDetails, "runtime", 9), "runtime: cannot be read (got 9)"),
        (
            lambda message: setattr(message.functionDetails.source, "subscriptionType", 7),
            "source.subscriptionType: cannot be read (got 7)",
        ),
        (lambda message: message.instanceStates.update({3: 2}), "instanceStates.3: cannot be read (got 2)"),
    ],
)
def test_an_enum_number_that_nobody_knows_leaves_name_and_version(alter: Callable[[object], None], reason: str) -> None:
    newer = proto.FunctionMetaData.FromString(encode_registration(replace(FULL, version=4)))
    alter(newer)
    decoded = decode_registration(newer.SerializeToString())
    assert decoded == UnreadableRegistration(FULL.key, 4, reason)
    with pytest.raises(MetadataError, match="cannot be written, as it cannot be read"):
        encode_request(ServiceRequest(RequestKind.UPDATE, decoded, "id", "worker"))


def test_a_secret_is_not_in_the_reason() -> None:
    newer = proto.FunctionMetaData.FromString(encode_registration(FULL))
    newer.functionDetails.secretsMap = "hunter2"
    decoded = decode_registration(newer.SerializeToString())
    assert isinstance(decoded, UnreadableRegistration)
    assert "secretsMap" in decoded.reason and "hunter2" not in decoded.reason


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\xff", b"", encode_registration(Registration(FunctionSpec()))])
def test_what_is_no_function_is_an_error(data: bytes) -> None:
    with pytest.raises(MetadataError):
        decode_registration(data)


def test_a_request_of_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(MetadataError, match="unknown kind 5"):
        decode_request(proto.ServiceRequest(serviceRequestType=5).SerializeToString())


# The same with the classes of Apache Pulsar


@pytest.fixture(scope="module")
def java(run_java: Callable[..., Callable[..., str]]) -> Callable[..., str]:
    return run_java(Path(__file__).parent / "Records.java")


@pytest.mark.slow
@pytest.mark.standalone
class TestAgainstTheReference:
    @pytest.mark.parametrize("registration", [registered(), FULL], ids=["plain", "full"])
    def test_it_reads_what_is_written_here(
        self, java: Callable[..., str], tmp_path: Path, registration: Registration
    ) -> None:
        (tmp_path / "registration").write_bytes(encode_registration(registration))
        (tmp_path / "request").write_bytes(
            encode_request(ServiceRequest(RequestKind.DELETE, registration, "an-id", "worker-1"))
        )
        (tmp_path / "assignment").write_bytes(encode_assignment(Assignment(registration, -1, "worker-1")))

        printed = java("read", str(tmp_path)).splitlines()

        key, states = registration.key, {n: "STOPPED" if s else "RUNNING" for n, s in registration.stopped.items()}
        auth = registration.auth or FunctionAuth()
        package, transform = registration.package, registration.transform_package
        assert printed[:2] == [
            f"{key.tenant}|{key.namespace}|{key.name}|{registration.version}|{registration.created_ms}",
            "|".join((package.path, package.original_file_name, transform.path, auth.data.hex(), auth.provider)),
        ]
        assert printed[2] == ",".join(f"{number}={states[number]}" for number in sorted(states))
        # No field that only one of the two knows, and every byte the same when the reference writes it again.
        assert printed[3:6] == ["unknown fields: 0", "same bytes: true", "same details: true"]
        assert printed[6:] == ["DELETE|an-id|worker-1|true", "-1|worker-1|true"]

    def test_what_it_writes_is_read_here(self, java: Callable[..., str], tmp_path: Path) -> None:
        template = replace(EVERY_SETTING, tenant="", namespace="", name="")
        (tmp_path / "details.json").write_text(details_json(template), encoding="utf-8")
        java("write", str(tmp_path))
        registration = decode_registration((tmp_path / "registration").read_bytes())
        assert isinstance(registration, Registration)
        assert registration.function == replace(EVERY_SETTING, tenant="t", namespace="n", name="f")
        assert registration.key == FunctionKey("t", "n", "f")
        assert registration.package == PackageLocation("path", "name.jar")
        assert registration.transform_package == PackageLocation("other", "transform.jar")
        assert (registration.version, registration.created_ms) == ((1 << 63) - 1, 1_700_000_000_000)
        assert registration.stopped == {0: False, 1: True}
        assert registration.auth == FunctionAuth(b"\x00\xff", "Provider")
        assert registration.unknown == b""
        request = decode_request((tmp_path / "request").read_bytes())
        assert request == ServiceRequest(RequestKind.UPDATE, registration, "an-id", "worker-1")
        assignment = decode_assignment((tmp_path / "assignment").read_bytes())
        assert assignment == Assignment(registration, 3, "worker-1")
