"""Every key of ``functions_worker.yml``: its type, its default when absent, and what pfrun makes of it.

The keys, types and defaults are those of ``WorkerConfig`` of Apache Pulsar 4.0.8. Text without a default is ``""``,
which also stands for the reference's null, but where the two mean different things.
"""

# ruff: noqa: RUF009 - key() is dataclasses.field() with this project's metadata

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulsar_runtimes.model.function import Resources

from .section import Section
from .setting import Use, Wins, key

JAVA_RUNTIMES = "org.apache.pulsar.functions.runtime"
THREAD_FACTORY = f"{JAVA_RUNTIMES}.thread.ThreadRuntimeFactory"
PROCESS_FACTORY = f"{JAVA_RUNTIMES}.process.ProcessRuntimeFactory"
KUBERNETES_FACTORY = f"{JAVA_RUNTIMES}.kubernetes.KubernetesRuntimeFactory"

MAX_PORT = 65535

# Why keys have no effect. One warning names all of them, in these groups.
NO_REST = "pfrun's admin API has no such setting"
NO_KEY_STORES = "pfrun reads PEM files, no key stores"
OWN_TLS = "pfrun takes TLS 1.2 and newer, with the ciphers of OpenSSL"
EACH_CONNECTION = "certificates are looked at again for each connection"
NO_SASL = "pfrun has no SASL authentication"
NO_METADATA = "pfrun has no use for it"
NO_METADATA_STORE = "pfrun uses no metadata store"
NO_PACKAGES = "pfrun keeps packages in its state directory, or in the packages service of the brokers"
NO_UPLOAD = "built-in archives are read where they are"
NO_CLASS_LOADING = "pfrun loads no class of a package; it reads its types only"
NO_BOOKKEEPER = "pfrun uses no BookKeeper"
UNREAD = "Apache Pulsar itself does not read it"
JVM_ONLY = "it is about the Java worker's own JVM"

_CLIENT_MEMORY = {"pulsarClientMemoryLimit": {"absoluteValue": None, "percentOfMaxDirectMemory": None}}
_THREAD_KEYS: Mapping[str, Any] = {"threadGroupName": None, **_CLIENT_MEMORY}
_PROCESS_KEYS: Mapping[str, Any] = dict.fromkeys(
    ("javaInstanceJarLocation", "pythonInstanceLocation", "logDirectory", "extraFunctionDependenciesDir")
)
_KUBERNETES_KEYS: Mapping[str, Any] = dict.fromkeys(
    (
        "k8Uri",
        "submittingInsidePod",
        "jobNamespace",
        "jobName",
        "pulsarDockerImageName",
        "functionDockerImages",
        "imagePullPolicy",
        "pulsarRootDir",
        "configAdminCLI",
        "pulsarServiceUrl",
        "pulsarAdminUrl",
        "installUserCodeDependencies",
        "pythonDependencyRepository",
        "pythonExtraDependencyRepository",
        "extraFunctionDependenciesDir",
        "customLabels",
        "expectedMetricsCollectionInterval",
        "changeConfigMap",
        "changeConfigMapNamespace",
        "percentMemoryPadding",
        "cpuOverCommitRatio",
        "memoryOverCommitRatio",
        "grpcPort",
        "metricsPort",
        "narExtractionDirectory",
        "functionInstanceClassPath",
        "gracePeriodSeconds",
        "kubernetesFunctionAuthProviderConfig",
    )
)

_NO = Use.WARNED


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """The keys of the file, parsed: old spellings resolved, defaults filled in."""

    # Identity and HTTP endpoint
    worker_id_setting: str = key("workerId", "", note="blank: <workerHostname>-<port>")
    worker_hostname: str = key("workerHostname", "", note="blank: looked up; only a part of the worker id")
    worker_port: int | None = key(
        "workerPort", note="the admin API, and a part of the worker id; null: no API", minimum=1, maximum=MAX_PORT
    )
    worker_port_tls: int | None = key(
        "workerPortTls", note="of the admin API, with tlsEnabled; a part of the worker id", minimum=1, maximum=MAX_PORT
    )
    tls_enabled: bool = key("tlsEnabled", False, note="of the admin API; only with workerPortTls")
    function_web_service_url: str = key("functionWebServiceUrl", "", _NO, NO_REST)
    num_http_server_threads: int = key("numHttpServerThreads", 8, _NO, NO_REST)
    http_server_thread_pool_queue_size: int = key("httpServerThreadPoolQueueSize", 8192, _NO, NO_REST)
    http_server_accept_queue_size: int = key("httpServerAcceptQueueSize", 8192, _NO, NO_REST)
    max_concurrent_http_requests: int = key("maxConcurrentHttpRequests", 1024, _NO, NO_REST)
    max_http_server_connections: int = key("maxHttpServerConnections", 2048, _NO, NO_REST)
    http_requests_limit_enabled: bool = key("httpRequestsLimitEnabled", False, _NO, NO_REST)
    http_requests_max_per_second: float = key("httpRequestsMaxPerSecond", 100.0, _NO, NO_REST)
    web_service_ha_proxy_protocol_enabled: bool = key("webServiceHaProxyProtocolEnabled", False, _NO, NO_REST)
    web_service_trust_x_forwarded_for: bool = key("webServiceTrustXForwardedFor", False, _NO, NO_REST)
    web_service_log_detailed_addresses: bool | None = key("webServiceLogDetailedAddresses", None, _NO, NO_REST)
    authenticate_metrics_endpoint: bool = key(
        "authenticateMetricsEndpoint", True, note="false: anybody may read /metrics"
    )
    include_standard_prometheus_metrics: bool = key("includeStandardPrometheusMetrics", False, _NO, NO_REST)
    jvm_gc_metrics_logger_class_name: str = key("jvmGCMetricsLoggerClassName", "", _NO, JVM_ONLY)

    # Brokers, metadata and coordination
    pulsar_service_url: str = key("pulsarServiceUrl", "")
    pulsar_web_service_url: str = key("pulsarWebServiceUrl", "")
    pulsar_functions_namespace: str = key("pulsarFunctionsNamespace", "", note="blank: public/functions")
    pulsar_functions_cluster: str = key("pulsarFunctionsCluster", "")
    function_metadata_topic_name: str = key("functionMetadataTopicName", "", note="blank: metadata")
    function_assignment_topic_name: str = key("functionAssignmentTopicName", "", note="blank: assignments")
    cluster_coordination_topic_name: str = key("clusterCoordinationTopicName", "", note="blank: coordinate")
    use_compacted_metadata_topic: bool = key("useCompactedMetadataTopic", False)
    scheduler_class_name: str = key("schedulerClassName", "", note="blank: every instance counts the same")
    failure_check_freq_ms: int = key("failureCheckFreqMs", 0, note="0: 30000")
    reschedule_timeout_ms: int = key("rescheduleTimeoutMs", 0, note="0: 60000")
    rebalance_check_freq_sec: int = key("rebalanceCheckFreqSec", 0, note="0 or less: only when asked for")
    worker_list_probe_interval_sec: int = key("workerListProbeIntervalSec", 60, _NO, NO_METADATA)
    initial_broker_reconnect_max_retries: int = key("initialBrokerReconnectMaxRetries", 0, note="with workerPort")
    assignment_write_max_retries: int = key("assignmentWriteMaxRetries", 0, _NO, UNREAD)
    instance_liveness_check_freq_ms: int = key(
        "instanceLivenessCheckFreqMs",
        0,
        note="in whole seconds: told to instances, which need it with strictReference only",
    )
    topic_compaction_frequency_sec: int = key("topicCompactionFrequencySec", 1800, note="0 or less: never")
    metadata_store_operation_timeout_seconds: int = key(
        "metadataStoreOperationTimeoutSeconds",
        30,
        note="how long Pulsar may take to tell who may use the admin API",
        old="zooKeeperOperationTimeoutSeconds",
        wins=Wins.OLD_WHEN_POSITIVE,
    )
    metadata_store_session_timeout_millis: int = key(
        "metadataStoreSessionTimeoutMillis",
        30000,
        _NO,
        NO_METADATA_STORE,
        old="zooKeeperSessionTimeoutMillis",
        wins=Wins.OLD_WHEN_POSITIVE,
    )
    metadata_store_cache_expiry_seconds: int = key(
        "metadataStoreCacheExpirySeconds",
        300,
        _NO,
        NO_METADATA_STORE,
        old="zooKeeperCacheExpirySeconds",
        wins=Wins.OLD_WHEN_POSITIVE,
    )
    metadata_store_allow_read_only_operations: bool = key(
        "metadataStoreAllowReadOnlyOperations",
        False,
        _NO,
        NO_METADATA_STORE,
        old="zooKeeperAllowReadOnlyOperations",
        wins=Wins.EITHER,
    )
    configuration_metadata_store_url: str = key(
        "configurationMetadataStoreUrl",
        "",
        _NO,
        NO_METADATA_STORE,
        old="configurationStoreServers",
        wins=Wins.NEW_UNLESS_BLANK,
    )
    initialized_dlog_metadata: bool = key("initializedDlogMetadata", False, _NO, NO_BOOKKEEPER)

    # Function packages, connectors, built-in functions
    num_function_package_replicas: int = key("numFunctionPackageReplicas", 0, _NO, NO_PACKAGES)
    download_directory: str = key("downloadDirectory", "", note="for Kubernetes a directory inside the pod")
    functions_worker_enable_package_management: bool = key(
        "functionsWorkerEnablePackageManagement",
        False,
        note="uploaded packages are kept by the brokers, and packages may be named as function://...; with workerPort",
    )
    upload_builtin_sinks_sources: bool = key("uploadBuiltinSinksSources", True, _NO, NO_UPLOAD)
    connectors_directory: str = key("connectorsDirectory", "./connectors")
    functions_directory: str = key("functionsDirectory", "./functions")
    nar_extraction_directory: str = key("narExtractionDirectory", "/tmp", note="only for Java functions")
    enable_classloading_of_builtin_files: bool = key("enableClassloadingOfBuiltinFiles", False, _NO, NO_CLASS_LOADING)
    enable_classloading_of_external_files: bool = key("enableClassloadingOfExternalFiles", False, _NO, NO_CLASS_LOADING)
    validate_connector_config: bool = key("validateConnectorConfig", False, _NO, NO_CLASS_LOADING)
    enable_referencing_connector_directory_files: bool = key("enableReferencingConnectorDirectoryFiles", True)
    enable_referencing_functions_directory_files: bool = key("enableReferencingFunctionsDirectoryFiles", True)
    additional_enabled_connector_url_patterns: tuple[str, ...] = key("additionalEnabledConnectorUrlPatterns", ())
    additional_enabled_functions_url_patterns: tuple[str, ...] = key("additionalEnabledFunctionsUrlPatterns", ())
    functions_worker_service_nar_package: str = key(
        "functionsWorkerServiceNarPackage", "", Use.REFUSED, "it replaces the Java worker; pfrun cannot run it"
    )
    functions_worker_service_custom_configs: Mapping[str, Any] = key(
        "functionsWorkerServiceCustomConfigs", {}, _NO, "it is for a replaced Java worker"
    )

    # Function runtime
    function_runtime_factory_class_name: str = key("functionRuntimeFactoryClassName", "")
    function_runtime_factory_configs: Section | None = key(
        "functionRuntimeFactoryConfigs", note="read by the runtime factory; absent is as empty"
    )
    thread_container_factory: Section | None = key(
        "threadContainerFactory", note="deprecated; counts only without a class name", inner=_THREAD_KEYS
    )
    process_container_factory: Section | None = key(
        "processContainerFactory", note="deprecated; counts only without a class name", inner=_PROCESS_KEYS
    )
    kubernetes_container_factory: Section | None = key(
        "kubernetesContainerFactory", note="deprecated; counts only without a class name", inner=_KUBERNETES_KEYS
    )
    secrets_provider_configurator_class_name: str = key(
        "secretsProviderConfiguratorClassName", "", note="blank: secrets reach the function as clear text"
    )
    secrets_provider_configurator_config: Mapping[str, str] = key("secretsProviderConfiguratorConfig", {})
    function_auth_provider_class_name: str = key(
        "functionAuthProviderClassName", "", note="only with authenticationEnabled; Kubernetes has a default"
    )
    runtime_customizer_class_name: str = key("runtimeCustomizerClassName", "", note="only for Kubernetes")
    runtime_customizer_config: Mapping[str, Any] = key(
        "runtimeCustomizerConfig", {}, note="only for Kubernetes, with runtimeCustomizerClassName"
    )
    function_instance_min_resources: Resources | None = key(
        "functionInstanceMinResources", note="checked for every runtime; disk is never checked"
    )
    function_instance_max_resources: Resources | None = key(
        "functionInstanceMaxResources", note="checked for every runtime; disk is never checked"
    )
    function_instance_resource_granularities: Resources | None = key(
        "functionInstanceResourceGranularities", note="checked for every runtime; disk is never checked"
    )
    function_instance_resource_change_in_lock_step: bool = key(
        "functionInstanceResourceChangeInLockStep", False, note="only with functionInstanceResourceGranularities"
    )
    additional_java_runtime_arguments: tuple[str, ...] = key(
        "additionalJavaRuntimeArguments", (), note="only for Java functions as processes or on Kubernetes"
    )
    max_pending_async_requests: int = key("maxPendingAsyncRequests", 1000, note="only for Java functions", minimum=1)
    expose_admin_client_enabled: bool = key("exposeAdminClientEnabled", False, note="only for Java and Go functions")
    forward_source_message_property: bool = key(
        "forwardSourceMessageProperty", True, note="false overrides the setting of every function"
    )
    ignore_unknown_config_fields: bool = key("ignoreUnknownConfigFields", False, note="only for Java functions")
    state_storage_service_url: str = key(
        "stateStorageServiceUrl",
        "",
        note="blank: beside the embedded broker Python functions keep state in a file, else functions have none",
    )
    state_storage_provider_implementation: str = key(
        "stateStorageProviderImplementation",
        "org.apache.pulsar.functions.instance.state.BKStateStoreProviderImpl",
        _NO,
        "the scheme of stateStorageServiceUrl says which store it is",
    )

    # Security of the worker's service
    authentication_enabled: bool = key(
        "authenticationEnabled",
        False,
        note="of the admin API; decides whether instances get credentials and TLS settings, too",
    )
    authentication_providers: tuple[str, ...] = key(
        "authenticationProviders", (), note="AuthenticationProviderToken and AuthenticationProviderTls"
    )
    authorization_enabled: bool = key("authorizationEnabled", False, note="of the admin API")
    authorization_provider: str = key(
        "authorizationProvider",
        "org.apache.pulsar.broker.authorization.PulsarAuthorizationProvider",
        note="this one only",
    )
    super_user_roles: tuple[str, ...] = key("superUserRoles", (), note="only with authorizationEnabled")
    proxy_roles: tuple[str, ...] = key("proxyRoles", (), note="only with authorizationEnabled")
    properties: Mapping[str, Any] = key("properties", {})
    sasl_jaas_client_allowed_ids: str = key("saslJaasClientAllowedIds", ".*pulsar.*", _NO, NO_SASL)
    sasl_jaas_server_section_name: str = key("saslJaasServerSectionName", "PulsarFunction", _NO, NO_SASL)
    sasl_jaas_server_role_token_signer_secret_path: str = key(
        "saslJaasServerRoleTokenSignerSecretPath", "", _NO, NO_SASL
    )
    kinit_command: str = key("kinitCommand", "/usr/bin/kinit", _NO, NO_SASL)
    tls_certificate_file_path: str = key("tlsCertificateFilePath", "", note="of the admin API; PEM")
    tls_key_file_path: str = key("tlsKeyFilePath", "", note="of the admin API; PEM")
    tls_trust_certs_file_path: str = key(
        "tlsTrustCertsFilePath", "", note="passed to instances; the admin API trusts client certificates by it"
    )
    tls_allow_insecure_connection: bool = key(
        "tlsAllowInsecureConnection", False, note="of clients; the admin API trusts no certificate for it"
    )
    tls_require_trusted_client_cert_on_connect: bool = key(
        "tlsRequireTrustedClientCertOnConnect", False, note="of the admin API"
    )
    tls_enable_hostname_verification: bool = key("tlsEnableHostnameVerification", False)
    tls_cert_refresh_check_duration_sec: int = key("tlsCertRefreshCheckDurationSec", 300, _NO, EACH_CONNECTION)
    tls_enabled_with_key_store: bool = key("tlsEnabledWithKeyStore", False, _NO, NO_KEY_STORES)
    tls_provider: str = key("tlsProvider", "", _NO, JVM_ONLY)
    tls_key_store_type: str = key("tlsKeyStoreType", "JKS", _NO, NO_KEY_STORES)
    tls_key_store: str = key("tlsKeyStore", "", _NO, NO_KEY_STORES)
    tls_key_store_password: str = key("tlsKeyStorePassword", "", _NO, NO_KEY_STORES)
    tls_trust_store_type: str = key("tlsTrustStoreType", "JKS", _NO, NO_KEY_STORES)
    tls_trust_store: str = key("tlsTrustStore", "", _NO, NO_KEY_STORES)
    tls_trust_store_password: str = key("tlsTrustStorePassword", "", _NO, NO_KEY_STORES)
    web_service_tls_protocols: tuple[str, ...] = key("webServiceTlsProtocols", (), _NO, OWN_TLS)
    web_service_tls_ciphers: tuple[str, ...] = key("webServiceTlsCiphers", (), _NO, OWN_TLS)

    # Security of the clients towards brokers and bookies
    broker_client_authentication_enabled: bool | None = key(
        "brokerClientAuthenticationEnabled", None, note="absent: as authenticationEnabled; the worker's own client"
    )
    broker_client_authentication_plugin: str | None = key(
        "brokerClientAuthenticationPlugin", None, old="clientAuthenticationPlugin"
    )
    broker_client_authentication_parameters: str | None = key(
        "brokerClientAuthenticationParameters", None, old="clientAuthenticationParameters"
    )
    broker_client_trust_certs_file_path: str = key(
        "brokerClientTrustCertsFilePath", "", note="blank: as tlsTrustCertsFilePath; not for instances"
    )
    use_tls: bool = key("useTls", False, note="deprecated; also passed to instances")
    bookkeeper_client_authentication_plugin: str = key("bookkeeperClientAuthenticationPlugin", "", _NO, NO_BOOKKEEPER)
    bookkeeper_client_authentication_parameters_name: str = key(
        "bookkeeperClientAuthenticationParametersName", "", _NO, NO_BOOKKEEPER
    )
    bookkeeper_client_authentication_parameters: str = key(
        "bookkeeperClientAuthenticationParameters", "", _NO, NO_BOOKKEEPER
    )
