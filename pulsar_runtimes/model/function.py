"""What a function is: the desired state, frozen and complete.

The classes mirror ``FunctionDetails`` of Apache Pulsar's ``Function.proto``: the same members, in the same
order, under the same words in snake case, so that :mod:`pulsar_runtimes.model.details` can write and read
Pulsar's own JSON of it by walking the fields. An empty value means what an unset protobuf field means.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .names import FunctionKey, InstanceKey


class ProcessingGuarantees(enum.Enum):
    ATLEAST_ONCE = 0
    ATMOST_ONCE = 1
    EFFECTIVELY_ONCE = 2
    MANUAL = 3


class SubscriptionType(enum.Enum):
    SHARED = 0
    FAILOVER = 1
    KEY_SHARED = 2


class SubscriptionPosition(enum.Enum):
    LATEST = 0
    EARLIEST = 1


class CompressionType(enum.Enum):
    LZ4 = 0
    NONE = 1
    ZLIB = 2
    ZSTD = 3
    SNAPPY = 4


class Language(enum.Enum):
    """``FunctionDetails.Runtime``; the numbers are those of the protobuf enum (2 was never used)."""

    JAVA = 0
    PYTHON = 1
    GO = 3


class ComponentType(enum.Enum):
    UNKNOWN = 0
    FUNCTION = 1
    SOURCE = 2
    SINK = 3


class CryptoFailureAction(enum.Enum):
    FAIL = 0
    DISCARD = 1
    CONSUME = 2
    SEND = 10


def _json(name: str | None = None, *, int64: bool = False, text: bool = False, wrapped: bool = False) -> Any:
    """Field metadata for the JSON codec: another name, a 64-bit integer, JSON kept as text, ``{"value": n}``."""
    return {"name": name, "int64": int64, "text": text, "wrapped": wrapped}


@dataclass(frozen=True, slots=True)
class Resources:
    """What one instance may use: cpu in cores, ram and disk in bytes. 0 is "not said", as in protobuf."""

    cpu: float = 0.0
    ram: int = field(default=0, metadata=_json(int64=True))
    disk: int = field(default=0, metadata=_json(int64=True))


DEFAULT_RESOURCES = Resources(cpu=1.0, ram=1 << 30, disk=10 << 30)
"""What a function config that says nothing about resources means (``FunctionConfigUtils#convert``)."""


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """``RetryDetails``: how often a message is redelivered before it goes to the dead letter topic."""

    max_message_retries: int = 0
    dead_letter_topic: str = ""


@dataclass(frozen=True, slots=True)
class CryptoSpec:
    crypto_key_reader_class_name: str = ""
    crypto_key_reader_config: Mapping[str, Any] = field(default_factory=dict, metadata=_json(text=True))
    producer_encryption_key_name: tuple[str, ...] = ()
    producer_crypto_failure_action: CryptoFailureAction = CryptoFailureAction.FAIL
    consumer_crypto_failure_action: CryptoFailureAction = CryptoFailureAction.FAIL


@dataclass(frozen=True, slots=True)
class ConsumerSpec:
    """How one input topic is read. ``receiver_queue_size`` is ``None`` when the function does not say."""

    schema_type: str = ""
    serde_class_name: str = ""
    is_regex_pattern: bool = False
    receiver_queue_size: int | None = field(default=None, metadata=_json(wrapped=True))
    schema_properties: Mapping[str, str] = field(default_factory=dict)
    consumer_properties: Mapping[str, str] = field(default_factory=dict)
    crypto_spec: CryptoSpec | None = None
    pool_messages: bool = False


@dataclass(frozen=True, slots=True)
class ProducerSpec:
    max_pending_messages: int = 0
    max_pending_messages_across_partitions: int = 0
    use_thread_local_producers: bool = False
    crypto_spec: CryptoSpec | None = None
    batch_builder: str = ""
    compression_type: CompressionType = CompressionType.LZ4


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Where a function's input comes from. ``timeout_ms`` and the redelivery delay are 0 when unset."""

    class_name: str = ""
    configs: Mapping[str, Any] = field(default_factory=dict, metadata=_json(text=True))
    subscription_type: SubscriptionType = SubscriptionType.SHARED
    topics_to_ser_de_class_name: Mapping[str, str] = field(
        default_factory=dict, metadata=_json("topicsToSerDeClassName")
    )
    type_class_name: str = ""
    timeout_ms: int = field(default=0, metadata=_json(int64=True))
    topics_pattern: str = ""
    builtin: str = ""
    subscription_name: str = ""
    input_specs: Mapping[str, ConsumerSpec] = field(default_factory=dict)
    cleanup_subscription: bool = False
    subscription_position: SubscriptionPosition = SubscriptionPosition.LATEST
    negative_ack_redelivery_delay_ms: int = field(default=0, metadata=_json(int64=True))
    skip_to_latest: bool = False


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """Where a function's output goes. No ``topic`` means that nothing is published."""

    class_name: str = ""
    configs: Mapping[str, Any] = field(default_factory=dict, metadata=_json(text=True))
    topic: str = ""
    ser_de_class_name: str = field(default="", metadata=_json("serDeClassName"))
    type_class_name: str = ""
    builtin: str = ""
    schema_type: str = ""
    forward_source_message_property: bool = False
    schema_properties: Mapping[str, str] = field(default_factory=dict)
    consumer_properties: Mapping[str, str] = field(default_factory=dict)
    producer_spec: ProducerSpec | None = None


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function as somebody wants it: ``FunctionDetails``, plus where its code lies.

    ``package`` is a path or URL of the user's code as given (``jar``, ``py`` or ``go`` of a function config, the
    ``archive`` of a connector), ``transform_package`` that of the function that a sink applies to its input; they
    are not part of ``FunctionDetails`` and so never written into its JSON.
    """

    tenant: str = ""
    namespace: str = ""
    name: str = ""
    class_name: str = ""
    log_topic: str = ""
    processing_guarantees: ProcessingGuarantees = ProcessingGuarantees.ATLEAST_ONCE
    user_config: Mapping[str, Any] = field(default_factory=dict, metadata=_json(text=True))
    language: Language = field(default=Language.JAVA, metadata=_json("runtime"))
    auto_ack: bool = False
    parallelism: int = 0
    source: SourceSpec = field(default_factory=SourceSpec)
    sink: SinkSpec = field(default_factory=SinkSpec)
    resources: Resources | None = None
    package_url: str = ""
    retry_details: RetrySpec | None = None
    secrets_map: Mapping[str, Any] = field(default_factory=dict, metadata=_json(text=True), repr=False)
    runtime_flags: str = ""
    component_type: ComponentType = ComponentType.UNKNOWN
    custom_runtime_options: str = ""
    builtin: str = ""
    retain_ordering: bool = False
    retain_key_ordering: bool = False
    subscription_position: SubscriptionPosition = SubscriptionPosition.LATEST
    package: str = field(default="", metadata={"outside": True})
    transform_package: str = field(default="", metadata={"outside": True})

    @property
    def key(self) -> FunctionKey:
        return FunctionKey(self.tenant, self.namespace, self.name)

    @property
    def subscription_name(self) -> str:
        """The subscription every instance shares: the one asked for, else ``tenant/namespace/name``."""
        return self.source.subscription_name or str(self.key)


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """How an instance proves who it is, and checks the broker. ``params`` may hold a secret: never print it."""

    plugin: str = ""
    params: str = field(default="", repr=False)
    use_tls: bool = False
    tls_allow_insecure: bool = False
    tls_hostname_verification: bool = False
    tls_trust_certs_file: str = ""


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance, complete: whoever launches it has nothing left to look up.

    ``port`` and ``metrics_port`` are 0 when the launched instance may choose its own and tell.
    ``client_memory_bytes`` bounds what the instance's Pulsar client holds; ``None`` is no bound.
    ``first_consumer_number`` is what the client's count of its consumers starts from; only a broker that cannot tell
    apart consumers with the same number needs another than 0.
    ``state_storage_url`` is the state store that the worker's configuration names, for an instance of any language;
    ``embedded_state_url`` the worker's own where it names none, which pfrun's Python instance knows only.
    ``expected_health_check_seconds`` <= 0 means that nobody promises to ask.
    ``transform_file`` is the jar of the function that a sink applies to its input, empty when there is none.
    ``code_name`` and ``transform_name`` are the names these files were given with, blank for those they have.
    ``auth_data`` is what the worker keeps of a function's own credentials, blank when it has none.
    """

    function: FunctionSpec
    instance_id: int
    function_id: str
    function_version: str
    code_file: str
    service_url: str
    web_service_url: str = ""
    cluster_name: str = "standalone"
    port: int = 0
    metrics_port: int = 0
    max_buffered_tuples: int = 1024
    expected_health_check_seconds: int = 30
    client_memory_bytes: int | None = None
    first_consumer_number: int = 0
    auth: ClientAuth | None = None
    state_storage_url: str = ""
    embedded_state_url: str = ""
    secrets_provider: str = ""
    secrets_provider_config: Mapping[str, Any] | None = field(default=None, repr=False)
    java_arguments: tuple[str, ...] = ()
    pending_async_requests: int = 1000
    expose_admin: bool = False
    ignore_unknown_config_fields: bool = False
    nar_extraction_directory: str = ""
    transform_file: str = ""
    transform_id: str = ""
    code_name: str = ""
    transform_name: str = ""
    auth_data: str = field(default="", repr=False)

    @property
    def key(self) -> InstanceKey:
        return InstanceKey(self.function.key, self.instance_id)

    @property
    def python_state_url(self) -> str:
        """The state store of pfrun's Python instance; empty when there is none."""
        return self.state_storage_url or self.embedded_state_url

    @property
    def lasting(self) -> InstanceSpec:
        """The same without what is drawn anew at each plan or start: what remains tells whether two are the same."""
        same = replace(self, function_id="", function_version="", transform_id="")
        return replace(same, port=0, metrics_port=0, first_consumer_number=0)
