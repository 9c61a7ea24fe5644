"""``functions_worker.yml`` to a ``WorkerConfig``: defaults, coercions, old spellings, what follows from the keys."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.setting import Use, declared_keys
from pulsar_runtimes.config.worker import WorkerConfig, load_worker_config, parse_worker_config
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY, PROCESS_FACTORY, THREAD_FACTORY
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import ClientAuth, Resources

BOOKKEEPER_STATE = "org.apache.pulsar.functions.instance.state.BKStateStoreProviderImpl"
AUTHORIZATION = "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider"

PROMISED_DEFAULTS: dict[str, Any] = {
    "workerId": "",
    "workerHostname": "",
    "workerPort": None,
    "workerPortTls": None,
    "tlsEnabled": False,
    "functionWebServiceUrl": "",
    "numHttpServerThreads": 8,
    "httpServerThreadPoolQueueSize": 8192,
    "httpServerAcceptQueueSize": 8192,
    "maxConcurrentHttpRequests": 1024,
    "maxHttpServerConnections": 2048,
    "httpRequestsLimitEnabled": False,
    "httpRequestsMaxPerSecond": 100.0,
    "webServiceHaProxyProtocolEnabled": False,
    "webServiceTrustXForwardedFor": False,
    "webServiceLogDetailedAddresses": None,
    "authenticateMetricsEndpoint": True,
    "includeStandardPrometheusMetrics": False,
    "jvmGCMetricsLoggerClassName": "",
    "pulsarServiceUrl": "",
    "pulsarWebServiceUrl": "",
    "pulsarFunctionsNamespace": "",
    "pulsarFunctionsCluster": "",
    "functionMetadataTopicName": "",
    "functionAssignmentTopicName": "",
    "clusterCoordinationTopicName": "",
    "useCompactedMetadataTopic": False,
    "schedulerClassName": "",
    "failureCheckFreqMs": 0,
    "rescheduleTimeoutMs": 0,
    "rebalanceCheckFreqSec": 0,
    "workerListProbeIntervalSec": 60,
    "initialBrokerReconnectMaxRetries": 0,
    "assignmentWriteMaxRetries": 0,
    "instanceLivenessCheckFreqMs": 0,
    "topicCompactionFrequencySec": 1800,
    "metadataStoreOperationTimeoutSeconds": 30,
    "metadataStoreSessionTimeoutMillis": 30000,
    "metadataStoreCacheExpirySeconds": 300,
    "metadataStoreAllowReadOnlyOperations": False,
    "configurationMetadataStoreUrl": "",
    "initializedDlogMetadata": False,
    "numFunctionPackageReplicas": 0,
    "downloadDirectory": "",
    "functionsWorkerEnablePackageManagement": False,
    "uploadBuiltinSinksSources": True,
    "connectorsDirectory": "./connectors",
    "functionsDirectory": "./functions",
    "narExtractionDirectory": "/tmp",
    "enableClassloadingOfBuiltinFiles": False,
    "enableClassloadingOfExternalFiles": False,
    "validateConnectorConfig": False,
    "enableReferencingConnectorDirectoryFiles": True,
    "enableReferencingFunctionsDirectoryFiles": True,
    "additionalEnabledConnectorUrlPatterns": (),
    "additionalEnabledFunctionsUrlPatterns": (),
    "functionsWorkerServiceNarPackage": "",
    "functionsWorkerServiceCustomConfigs": {},
    "functionRuntimeFactoryClassName": "",
    "functionRuntimeFactoryConfigs": None,
    "threadContainerFactory": None,
    "processContainerFactory": None,
    "kubernetesContainerFactory": None,
    "secretsProviderConfiguratorClassName": "",
    "secretsProviderConfiguratorConfig": {},
    "functionAuthProviderClassName": "",
    "runtimeCustomizerClassName": "",
    "runtimeCustomizerConfig": {},
    "functionInstanceMinResources": None,
    "functionInstanceMaxResources": None,
    "functionInstanceResourceGranularities": None,
    "functionInstanceResourceChangeInLockStep": False,
    "additionalJavaRuntimeArguments": (),
    "maxPendingAsyncRequests": 1000,
    "exposeAdminClientEnabled": False,
    "forwardSourceMessageProperty": True,
    "ignoreUnknownConfigFields": False,
    "stateStorageServiceUrl": "",
    "stateStorageProviderImplementation": BOOKKEEPER_STATE,
    "authenticationEnabled": False,
    "authenticationProviders": (),
    "authorizationEnabled": False,
    "authorizationProvider": AUTHORIZATION,
    "superUserRoles": (),
    "proxyRoles": (),
    "properties": {},
    "saslJaasClientAllowedIds": ".*pulsar.*",
    "saslJaasServerSectionName": "PulsarFunction",
    "saslJaasServerRoleTokenSignerSecretPath": "",
    "kinitCommand": "/usr/bin/kinit",
    "tlsCertificateFilePath": "",
    "tlsKeyFilePath": "",
    "tlsTrustCertsFilePath": "",
    "tlsAllowInsecureConnection": False,
    "tlsRequireTrustedClientCertOnConnect": False,
    "tlsEnableHostnameVerification": False,
    "tlsCertRefreshCheckDurationSec": 300,
    "tlsEnabledWithKeyStore": False,
    "tlsProvider": "",
    "tlsKeyStoreType": "JKS",
    "tlsKeyStore": "",
    "tlsKeyStorePassword": "",
    "tlsTrustStoreType": "JKS",
    "tlsTrustStore": "",
    "tlsTrustStorePassword": "",
    "webServiceTlsProtocols": (),
    "webServiceTlsCiphers": (),
    "brokerClientAuthenticationEnabled": None,
    "brokerClientAuthenticationPlugin": None,
    "brokerClientAuthenticationParameters": None,
    "brokerClientTrustCertsFilePath": "",
    "useTls": False,
    "bookkeeperClientAuthenticationPlugin": "",
    "bookkeeperClientAuthenticationParametersName": "",
    "bookkeeperClientAuthenticationParameters": "",
}

SHIPPED = """
workerId: standalone
workerHostname: localhost
workerPort: 6750
workerPortTls: 6751
webServiceLogDetailedAddresses: null
configurationMetadataStoreUrl: zk:localhost:2181
metadataStoreSessionTimeoutMillis: 30000
numFunctionPackageReplicas: 1
downloadDirectory: download/pulsar_functions
pulsarServiceUrl: pulsar://localhost:6650
pulsarWebServiceUrl: http://localhost:8080
pulsarFunctionsNamespace: public/functions
pulsarFunctionsCluster: standalone
functionMetadataTopicName: metadata
clusterCoordinationTopicName: coordinate
numHttpServerThreads: 8
schedulerClassName: "org.apache.pulsar.functions.worker.scheduler.RoundRobinScheduler"
functionAssignmentTopicName: "assignments"
failureCheckFreqMs: 30000
rescheduleTimeoutMs: 60000
rebalanceCheckFreqSec: -1
initialBrokerReconnectMaxRetries: 60
assignmentWriteMaxRetries: 60
instanceLivenessCheckFreqMs: 30000
functionRuntimeFactoryClassName: org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory
functionRuntimeFactoryConfigs:
  logDirectory: logs/
  javaInstanceJarLocation:
authenticationProviders:
superUserRoles:
tlsProvider: Conscrypt
tlsKeyStorePassword:
additionalEnabledConnectorUrlPatterns: []
"""
"""Every setting of the configuration file in Apache Pulsar 4.0.8 whose value is not the code's default, and a few."""


def parse(text: str = "{}") -> WorkerConfig:
    return parse_worker_config(parse_document(text, "w.yml"))


def warnings_of(text: str) -> list[str]:
    return [str(warning) for warning in parse(text).warnings]


def test_the_promised_defaults() -> None:
    config = load_worker_config(None, {})
    found = {key.key.name: getattr(config, key.attribute) for key in declared_keys(WorkerConfig)}
    assert found == PROMISED_DEFAULTS
    assert config.warnings == ()
    assert config.runtime_factory == ""
    assert dict(config.runtime_section.values) == {}
    assert {setting.origin for setting in config.settings} == {"default"}
    assert [setting.key for setting in config.settings] == list(PROMISED_DEFAULTS)


def test_an_empty_mapping_means_the_defaults() -> None:
    absent = load_worker_config(None, {})
    assert dataclasses.replace(parse("{}"), file=None) == absent


def test_every_key_without_effect_says_why() -> None:
    for declared in declared_keys(WorkerConfig):
        assert declared.key.note or declared.key.use is Use.HONOURED, declared.key.name


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("workerPort: '6750'", "worker_port", 6750),
        ("workerPort: 6750.7", "worker_port", 6750),
        ("workerPort:", "worker_port", None),
        ("topicCompactionFrequencySec:", "topic_compaction_frequency_sec", 0),
        ("maxPendingAsyncRequests: 10.7", "max_pending_async_requests", 10),
        ("forwardSourceMessageProperty:", "forward_source_message_property", False),
        ("forwardSourceMessageProperty: 'FALSE'", "forward_source_message_property", False),
        ("useTls: 'true'", "use_tls", True),
        ("workerId: 007", "worker_id", "007"),
        ("narExtractionDirectory:", "nar_extraction_directory", ""),
        ("superUserRoles:", "super_user_roles", ()),
        ("superUserRoles: [a, 1, true]", "super_user_roles", ("a", "1", "true")),
        ("additionalJavaRuntimeArguments:", "additional_java_runtime_arguments", ()),
        ("properties: {a: 1, b: [x]}", "properties", {"a": 1, "b": ["x"]}),
        ("secretsProviderConfiguratorConfig: {a: 1.10}", "secrets_provider_configurator_config", {"a": "1.10"}),
        ("runtimeCustomizerConfig:", "runtime_customizer_config", {}),
        (
            "functionInstanceMinResources: {cpu: 2}",
            "function_instance_min_resources",
            Resources(2.0, 1073741824, 10737418240),
        ),
        ("functionInstanceMaxResources:", "function_instance_max_resources", None),
        ("brokerClientAuthenticationEnabled:", "broker_client_authentication_enabled", None),
        ("clientAuthenticationPlugin: p", "broker_client_authentication_plugin", "p"),
        (
            "{clientAuthenticationPlugin: p, brokerClientAuthenticationPlugin: }",
            "broker_client_authentication_plugin",
            "p",
        ),
        (
            "{clientAuthenticationPlugin: p, brokerClientAuthenticationPlugin: ''}",
            "broker_client_authentication_plugin",
            "",
        ),
        (
            "{clientAuthenticationPlugin: p, brokerClientAuthenticationPlugin: q}",
            "broker_client_authentication_plugin",
            "q",
        ),
        ("configurationStoreServers: a", "configuration_metadata_store_url", "a"),
        (
            "{configurationStoreServers: a, configurationMetadataStoreUrl: ' '}",
            "configuration_metadata_store_url",
            "a",
        ),
        ("{configurationStoreServers: a, configurationMetadataStoreUrl: b}", "configuration_metadata_store_url", "b"),
        (
            "{zooKeeperSessionTimeoutMillis: 5, metadataStoreSessionTimeoutMillis: 7}",
            "metadata_store_session_timeout_millis",
            5,
        ),
        (
            "{zooKeeperSessionTimeoutMillis: -1, metadataStoreSessionTimeoutMillis: 7}",
            "metadata_store_session_timeout_millis",
            7,
        ),
        ("zooKeeperSessionTimeoutMillis: -1", "metadata_store_session_timeout_millis", 30000),
        ("zooKeeperAllowReadOnlyOperations: true", "metadata_store_allow_read_only_operations", True),
        (
            "{zooKeeperAllowReadOnlyOperations: false, metadataStoreAllowReadOnlyOperations: true}",
            "metadata_store_allow_read_only_operations",
            True,
        ),
        ("instanceLivenessCheckFreqMs: 30999", "expected_health_check_seconds", 30),
        ("instanceLivenessCheckFreqMs: -1500", "expected_health_check_seconds", -1),
        ("{workerHostname: h, workerPort: 1, workerPortTls: 2}", "worker_id", "h-1"),
        ("{workerHostname: h, workerPortTls: 2}", "worker_id", "h-2"),
        ("{workerHostname: h}", "worker_id", "h"),
        ("{workerId: ' ', workerHostname: h, workerPort: 1}", "worker_id", "h-1"),
        ("functionAuthProviderClassName: a.B", "function_auth_provider", ""),
        ("{authenticationEnabled: true, functionAuthProviderClassName: a.B}", "function_auth_provider", "a.B"),
        ("{authenticationEnabled: true}", "function_auth_provider", ""),
        (
            f"{{authenticationEnabled: true, functionRuntimeFactoryClassName: {KUBERNETES_FACTORY}}}",
            "function_auth_provider",
            "org.apache.pulsar.functions.auth.KubernetesSecretsTokenAuthProvider",
        ),
        ("tlsTrustCertsFilePath: a", "trust_certs_file", "a"),
        ("{tlsTrustCertsFilePath: a, brokerClientTrustCertsFilePath: b}", "trust_certs_file", "b"),
    ],
)
def test_a_value_is_read_as_the_reference_reads_it(line: str, attribute: str, value: Any) -> None:
    assert getattr(parse(line), attribute) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nworkerPort: http", "w.yml:2: workerPort: must be a number (got 'http')"),
        ("workerPort: 0", "w.yml:1: workerPort: must be from 1 to 65535 (got 0)"),
        ("workerPort: {}", "w.yml:1: workerPort: must be a number (got a mapping)"),
        ("workerId: [a]", "w.yml:1: workerId: must be text (got a list)"),
        ("workerId: a:b", "w.yml:1: workerId: must not hold ':' (got 'a:b')"),
        ('workerId: "a\\0b"', "w.yml:1: workerId: must not hold a NUL character"),
        ("useTls: 'yes'", "w.yml:1: useTls: must be true or false (got 'yes')"),
        ("useTls: 1", "w.yml:1: useTls: must be true or false (got 1)"),
        ("maxPendingAsyncRequests: 0", "w.yml:1: maxPendingAsyncRequests: must be at least 1 (got 0)"),
        ("failureCheckFreqMs: .inf", "w.yml:1: failureCheckFreqMs: must be a number (got inf)"),
        (
            "failureCheckFreqMs: 9223372036854775808",
            "w.yml:1: failureCheckFreqMs: must be a number (got 9223372036854775808)",
        ),
        ("superUserRoles: a", "w.yml:1: superUserRoles: must be a list (got 'a'); write it as ['a']"),
        ("superUserRoles: [a, [b]]", "w.yml:1: superUserRoles[1]: must be text (got a list)"),
        ("properties: ''", "w.yml:1: properties: must be a mapping (got '')"),
        ("functionRuntimeFactoryConfigs: []", "w.yml:1: functionRuntimeFactoryConfigs: must be a mapping (got a list)"),
        (
            "processContainerFactory:\n  logDirectry: x",
            "w.yml:2: processContainerFactory.logDirectry: is not a known key; did you mean 'logDirectory'?",
        ),
        (
            "threadContainerFactory: {pulsarClientMemoryLimit: {bytes: 1}}",
            "w.yml:1: threadContainerFactory.pulsarClientMemoryLimit.bytes: is not a known key",
        ),
        (
            "kubernetesContainerFactory: {grpcport: 1}",
            "w.yml:1: kubernetesContainerFactory.grpcport: is not a known key; did you mean 'grpcPort'?",
        ),
        (
            "functionInstanceMaxResources: {memory: 1}",
            "w.yml:1: functionInstanceMaxResources.memory: is not a known key",
        ),
        (
            "functionInstanceMaxResources: {cpu: -1}",
            "w.yml:1: functionInstanceMaxResources.cpu: must be at least 0 (got -1)",
        ),
        (
            "tlsKeyStorePassword: [hunter2]\nclientAuthenticationParameters: {a: hunter2}",
            (
                "w.yml:1: tlsKeyStorePassword: must be text (got a list)\n"
                "w.yml:2: clientAuthenticationParameters: must be text (got a mapping)"
            ),
        ),
        (
            "functionsWorkerServiceNarPackage: x.nar",
            (
                "w.yml:1: functionsWorkerServiceNarPackage: cannot be honoured: "
                "it replaces the Java worker; pfrun cannot run it"
            ),
        ),
        (
            "workerPort: x\nworkerPort: 1\nuseTls: 3",
            "w.yml:2: workerPort: is given twice (lines 1 and 2)\nw.yml:3: useTls: must be true or false (got 3)",
        ),
    ],
)
def test_everything_that_is_wrong_is_told_at_once(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("workerID: x", ["w.yml:1: workerID: is not a known key and has no effect; did you mean 'workerId'?"]),
        ("metricsSamplingPeriodSec: 60", ["w.yml:1: metricsSamplingPeriodSec: is not a known key and has no effect"]),
        ("functionRuntimeFactoryConfigs: {other: x}", []),
        ("numHttpServerThreads: 8\nauthenticateMetricsEndpoint: true", []),
        (
            "numHttpServerThreads: 9\ntlsProvider: x\nworkerListProbeIntervalSec: 7\nmaxConcurrentHttpRequests: 9",
            [
                (
                    "w.yml: these keys have no effect: numHttpServerThreads, maxConcurrentHttpRequests (pfrun's admin "
                    "API has no such setting); workerListProbeIntervalSec (pfrun has no use for it); "
                    "tlsProvider (it is about the Java worker's own JVM)"
                )
            ],
        ),
        (
            "zooKeeperSessionTimeoutMillis: 5",
            ["w.yml: these keys have no effect: zooKeeperSessionTimeoutMillis (pfrun uses no metadata store)"],
        ),
        ("zooKeeperSessionTimeoutMillis: -1", []),
        (
            "clientAuthenticationPlugin: p",
            ["w.yml:1: clientAuthenticationPlugin: is deprecated; write brokerClientAuthenticationPlugin"],
        ),
        (
            "clientAuthenticationPlugin: p\nbrokerClientAuthenticationPlugin: q",
            [
                (
                    "w.yml:1: clientAuthenticationPlugin: is deprecated and has no effect, "
                    "as brokerClientAuthenticationPlugin is set"
                )
            ],
        ),
        (
            "processContainerFactory: {}\nfunctionRuntimeFactoryConfigs: {}",
            [
                (
                    "w.yml:1: processContainerFactory: is deprecated; write functionRuntimeFactoryClassName: "
                    f"{PROCESS_FACTORY} and move its keys to functionRuntimeFactoryConfigs"
                ),
                "w.yml:2: functionRuntimeFactoryConfigs: has no effect without functionRuntimeFactoryClassName",
            ],
        ),
        (
            "processContainerFactory: {}\nfunctionRuntimeFactoryClassName: x",
            [
                (
                    "w.yml:1: processContainerFactory: is deprecated and has no effect, "
                    "as functionRuntimeFactoryClassName names the runtime"
                )
            ],
        ),
    ],
)
def test_what_the_reference_passes_over_is_a_warning(text: str, messages: list[str]) -> None:
    assert warnings_of(text) == messages


def test_the_shipped_settings_give_one_warning() -> None:
    (warning,) = warnings_of(SHIPPED)
    assert warning.startswith("w.yml: these keys have no effect: ")
    assert parse(SHIPPED).worker_id == "standalone"


@pytest.mark.parametrize(
    ("text", "factory", "values"),
    [
        ("functionRuntimeFactoryClassName: ' a.B '", "a.B", {}),
        ("{functionRuntimeFactoryClassName: a.B, functionRuntimeFactoryConfigs: }", "a.B", {}),
        ("{functionRuntimeFactoryClassName: a.B, functionRuntimeFactoryConfigs: {x: 1}}", "a.B", {"x": 1}),
        ("threadContainerFactory: {threadGroupName: g}", THREAD_FACTORY, {"threadGroupName": "g"}),
        ("{kubernetesContainerFactory: {}, processContainerFactory: {}}", PROCESS_FACTORY, {}),
        ("{kubernetesContainerFactory: {jobName: j}}", KUBERNETES_FACTORY, {"jobName": "j"}),
        ("{functionRuntimeFactoryClassName: '', threadContainerFactory: {}}", THREAD_FACTORY, {}),
        ("{functionRuntimeFactoryClassName: a.B, threadContainerFactory: {threadGroupName: g}}", "a.B", {}),
    ],
)
def test_the_runtime_is_selected_in_the_order_of_the_reference(text: str, factory: str, values: dict[str, Any]) -> None:
    config = parse(text)
    assert (config.runtime_factory, dict(config.runtime_section.values)) == (factory, values)


def test_the_runtime_section_reports_with_the_line_of_the_file_and_apart_from_the_config() -> None:
    config = parse("workerIdd: x\nfunctionRuntimeFactoryClassName: a.B\nfunctionRuntimeFactoryConfigs:\n  port: x\n")
    config.runtime_section.integer("port")
    with pytest.raises(ConfigError) as caught:
        config.runtime_section.done()
    assert str(caught.value) == "w.yml:4: functionRuntimeFactoryConfigs.port: must be a number (got 'x')"
    assert config.runtime_section.unread() == []
    assert config.runtime_section.warnings == []
    assert len(config.warnings) == 1


AUTH = "{clientAuthenticationPlugin: p, clientAuthenticationParameters: s, tlsTrustCertsFilePath: t, useTls: true"


@pytest.mark.parametrize(
    ("text", "instances", "own"),
    [
        ("{}", None, ClientAuth()),
        (f"{AUTH}}}", None, ClientAuth(use_tls=True, tls_trust_certs_file="t")),
        (
            f"{AUTH}, authenticationEnabled: true, brokerClientTrustCertsFilePath: b}}",
            ClientAuth("p", "s", True, tls_trust_certs_file="t"),
            ClientAuth("p", "s", True, tls_trust_certs_file="b"),
        ),
        (
            f"{AUTH}, authenticationEnabled: true, brokerClientAuthenticationEnabled: false}}",
            ClientAuth("p", "s", True, tls_trust_certs_file="t"),
            ClientAuth(use_tls=True, tls_trust_certs_file="t"),
        ),
        (
            f"{AUTH}, brokerClientAuthenticationEnabled: true, brokerClientAuthenticationPlugin: ''}}",
            None,
            ClientAuth("", "s", True, tls_trust_certs_file="t"),
        ),
    ],
)
def test_credentials_go_to_instances_only_with_authentication(
    text: str, instances: ClientAuth | None, own: ClientAuth
) -> None:
    config = parse(text)
    assert (config.broker_client_auth, config.own_client_auth) == (instances, own)


def test_the_hostname_is_looked_up_once_and_only_when_needed() -> None:
    calls: list[str] = []

    def look_up() -> str:
        calls.append("x")
        return "found"

    config = dataclasses.replace(parse("workerPort: 5"), look_up_hostname=look_up)
    assert calls == []
    assert (config.worker_id, config.worker_id, config.hostname) == ("found-5", "found-5", "found")
    assert calls == ["x"]


def test_a_hostname_that_cannot_be_looked_up_is_a_config_error() -> None:
    def look_up() -> str:
        raise OSError("no such host")

    config = dataclasses.replace(parse(), look_up_hostname=look_up)
    with pytest.raises(ConfigError) as caught:
        config.worker_id  # noqa: B018 - reading it is the act
    assert str(caught.value) == "workerHostname: cannot be looked up (no such host); set it"


def test_no_secret_is_shown() -> None:
    config = parse(
        "tlsKeyStorePassword: hunter2\n"
        "clientAuthenticationParameters: hunter2\n"
        "properties: {tokenSecretKey: hunter2, nested: {password: hunter2}, plain: open}\n"
        "runtimeCustomizerConfig: {list: [{password: hunter2}, 'token:hunter2']}\n"
        "secretsProviderConfiguratorConfig: {address: hunter2}\n"
        "additionalJavaRuntimeArguments: [-Dpassword=hunter2, -Dx=y]\n"
    )
    shown = {setting.key: setting.value for setting in config.settings}
    assert "hunter2" not in str(config.settings) + str(config.warnings)
    assert shown["properties.plain"] == "open"
    assert shown["runtimeCustomizerConfig.list"] == '[{"password": "***"}, "***"]'
    assert shown["additionalJavaRuntimeArguments"] == '["-Dpassword=***", "-Dx=y"]'


def test_an_old_spelling_is_told_in_the_origin() -> None:
    config = parse("zooKeeperCacheExpirySeconds: 4")
    (setting,) = (s for s in config.settings if s.key == "metadataStoreCacheExpirySeconds")
    assert (setting.value, setting.origin) == ("4", "w.yml:1, as zooKeeperCacheExpirySeconds")


def test_the_file_is_the_one_given_else_the_one_of_the_environment(tmp_path: Path) -> None:
    given, named = tmp_path / "given.yml", tmp_path / "named.yml"
    given.write_text("workerId: given")
    named.write_text("workerId: named")
    environ = {"PULSAR_WORKER_CONF": str(named), "PF_pulsarServiceUrl": "pulsar://x"}
    assert load_worker_config(given, environ).worker_id == "given"
    assert load_worker_config(str(given), {}).file == str(given)
    assert load_worker_config(None, environ).worker_id == "named"
    assert load_worker_config(None, environ).pulsar_service_url == "pulsar://x"
    assert load_worker_config(None, {"PULSAR_WORKER_CONF": " "}).file is None


def test_the_process_environment_is_used_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSAR_WORKER_CONF", str(tmp_path / "none.yml"))
    with pytest.raises(ConfigError, match="there is no such file"):
        load_worker_config(None)


@pytest.mark.parametrize("where", ["functionRuntimeFactoryConfigs", "kubernetesContainerFactory"])
def test_a_setting_of_the_runtime_without_a_value_is_as_one_that_is_not_there(where: str) -> None:
    config = parse(f"{where}:\n  grpcPort:\n  customLabels:\n    team:\n    stage: test\n")
    assert config.runtime_section.values == {"customLabels": {"stage": "test"}}
