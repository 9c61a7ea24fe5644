"""From one function to its instances: everything an instance is told is decided here. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pulsar_runtimes.model.function import ClientAuth, FunctionSpec, InstanceSpec, Language
from pulsar_runtimes.model.names import ALL_REPLICAS
from pulsar_runtimes.model.observation import Capabilities

_CLEAR_TEXT_PROVIDERS = {
    Language.JAVA: "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider",
    Language.PYTHON: "secretsprovider.ClearTextSecretsProvider",
    Language.GO: "",
}
"""What ``DefaultSecretsProviderConfigurator`` names for each language."""


def _random_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class InstanceDefaults:
    """What the worker adds to each function to make its instances."""

    service_url: str
    web_service_url: str = ""
    cluster_name: str = "standalone"
    expected_health_check_seconds: int = 30
    auth: ClientAuth | None = None
    state_storage_url: str = ""
    embedded_state_url: str = ""
    java_arguments: tuple[str, ...] = ()
    pending_async_requests: int = 1000
    expose_admin: bool = False
    ignore_unknown_config_fields: bool = False
    nar_extraction_directory: str = ""


def plan_instances(
    function: FunctionSpec,
    capabilities: Capabilities,
    defaults: InstanceDefaults,
    *,
    auth_data: str = "",
    new_id: Callable[[], str] = _random_id,
) -> tuple[InstanceSpec, ...]:
    """The instances of ``function``: one for each number below its parallelism, or one for all replicas.

    ``function.package`` is the file the instances load, ``function.transform_package`` that of a sink's function.
    ``auth_data`` is what is kept of the function's own credentials.
    ``new_id`` gives the function's id and version, random at every start as in the reference; all instances of one plan
    share them.
    """
    function_id, function_version = new_id(), new_id()
    transform_id = new_id() if function.transform_package else ""
    numbers = (ALL_REPLICAS,) if capabilities.runs_all_replicas else range(function.parallelism)
    return tuple(
        InstanceSpec(
            function=function,
            instance_id=number,
            function_id=function_id,
            function_version=function_version,
            code_file=function.package,
            service_url=defaults.service_url,
            web_service_url=defaults.web_service_url,
            cluster_name=defaults.cluster_name,
            expected_health_check_seconds=defaults.expected_health_check_seconds,
            auth=defaults.auth,
            state_storage_url=defaults.state_storage_url,
            embedded_state_url=defaults.embedded_state_url if function.language is Language.PYTHON else "",
            secrets_provider=_CLEAR_TEXT_PROVIDERS[function.language],
            java_arguments=defaults.java_arguments,
            pending_async_requests=defaults.pending_async_requests,
            expose_admin=defaults.expose_admin,
            ignore_unknown_config_fields=defaults.ignore_unknown_config_fields,
            nar_extraction_directory=defaults.nar_extraction_directory,
            transform_file=function.transform_package,
            transform_id=transform_id,
            auth_data=auth_data,
        )
        for number in numbers
    )
