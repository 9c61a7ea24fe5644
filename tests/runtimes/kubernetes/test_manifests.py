"""The manifests of a function, as reviewed, and as the client of Kubernetes takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.worker import (
    KUBERNETES_SECRETS_CONFIGURATOR,
    SERVICE_ACCOUNT_AUTH_PROVIDER,
    parse_worker_config,
)
from pulsar_runtimes.config.worker_settings import KUBERNETES_FACTORY
from pulsar_runtimes.model.errors import AdmissionError, ConfigError, LaunchError
from pulsar_runtimes.model.function import ClientAuth, InstanceSpec, Language
from pulsar_runtimes.runtimes.base import FactoryContext
from pulsar_runtimes.runtimes.kubernetes.factory import KubernetesRuntimeFactory
from pulsar_runtimes.testing import function_spec, instance_spec
from pulsar_runtimes.testing.golden import Golden

BASIC = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"
SIDECAR = "tests.runtimes.kubernetes.sidecar:Sidecar"
URLS = {"pulsarServiceUrl": "pulsar://broker:6650", "pulsarWebServiceUrl": "http://broker:8080"}
CLEAR_TEXT = "org.apache.pulsar.functions.auth.ClearTextFunctionTokenAuthProvider"

Make = Callable[..., KubernetesRuntimeFactory]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(Path(__file__).parent / "golden", bool(request.config.getoption("--update-golden")))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """``make({"jobName": ...}, authenticationEnabled=True)``: a factory of that section in that configuration."""

    def make(section: dict[str, Any] | None = None, **top: Any) -> KubernetesRuntimeFactory:
        keys = {**URLS, "functionRuntimeFactoryClassName": KUBERNETES_FACTORY, **top}
        values = {**keys, "functionRuntimeFactoryConfigs": section or {}}
        config = parse_worker_config(Section(values), {})
        context = FactoryContext(tmp_path, 1 << 30, {}, worker=config)
        return KubernetesRuntimeFactory.from_config(config.runtime_section, context)

    return make


def _spec(auth: bool = False, **changes: Any) -> InstanceSpec:
    of_function = {key: changes.pop(key) for key in list(changes) if hasattr(function_spec(), key)}
    credentials = ClientAuth(plugin="P", params="token:s3cret") if auth else None
    return instance_spec(instance_id=-1, auth=credentials, function=function_spec(**of_function), **changes)


def _container(factory: KubernetesRuntimeFactory, spec: InstanceSpec) -> dict[str, Any]:
    pod = factory.manifests(spec).stateful_set["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["containers"][0]
    return found


# As reviewed


def test_a_java_function_with_a_token_and_options(make: Make, golden: Golden) -> None:
    factory = make(
        {"jobNamespace": "jobs", "percentMemoryPadding": 10, "customLabels": {"team": "My Team!"}},
        authenticationEnabled=True,
        useTls=True,
        runtimeCustomizerClassName=BASIC,
        runtimeCustomizerConfig={"nodeSelectorLabels": {"disk": "ssd"}},
        additionalJavaRuntimeArguments=["-XX:+ExitOnOutOfMemoryError"],
    )
    spec = _spec(
        auth=True,
        language=Language.JAVA,
        parallelism=3,
        runtime_flags='-Dgreeting="good day"',
        custom_runtime_options="{extraLabels: {tier: gold}, resourceRequirements: {limits: {cpu: 2}}}",
        auth_data="x7k2q",
    )
    golden("java.yml", factory.render(spec))


def test_a_python_function_with_references_and_a_service_account(make: Make, golden: Golden) -> None:
    factory = make(
        {"kubernetesFunctionAuthProviderConfig": {"brokerClientTrustCertsSecretName": "certs"}},
        authenticationEnabled=True,
        functionAuthProviderClassName=SERVICE_ACCOUNT_AUTH_PROVIDER,
        secretsProviderConfiguratorClassName=KUBERNETES_SECRETS_CONFIGURATOR,
        downloadDirectory="download/pulsar_functions",
    )
    spec = _spec(auth=True, secrets_map={"PASSWORD": {"path": "database", "key": "password"}})
    golden("python.yml", factory.render(spec))


def test_a_go_function(make: Make, golden: Golden) -> None:
    factory = make({"functionDockerImages": {"GO": "registry.example/go:1"}, "pulsarRootDir": "/opt/pulsar"})
    golden(
        "go.yml", factory.render(_spec(language=Language.GO, user_config={"k": "it's"}, secrets_map={"K": "s3cret"}))
    )


# As the client takes them


@pytest.fixture(scope="module")
def models() -> Any:
    """Imported late: it is a large library, and only tests use it."""
    return pytest.importorskip("kubernetes.client")


def test_the_client_takes_every_member_as_it_is(make: Make, models: Any) -> None:
    factory = make(
        {"kubernetesFunctionAuthProviderConfig": {"brokerClientTrustCertsSecretName": "certs"}},
        authenticationEnabled=True,
        functionAuthProviderClassName=SERVICE_ACCOUNT_AUTH_PROVIDER,
        secretsProviderConfiguratorClassName=KUBERNETES_SECRETS_CONFIGURATOR,
        runtimeCustomizerClassName=BASIC,
        runtimeCustomizerConfig={
            "extraAnnotations": {"a": "b"},
            "nodeSelectorLabels": {"disk": "ssd"},
            "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": "60"}],
        },
    )
    made = factory.manifests(_spec(auth=True, secrets_map={"S": {"path": "p", "key": "k"}}))
    assert _through(models, models.V1StatefulSet, made.stateful_set) == made.stateful_set
    assert _through(models, models.V1Service, made.service) == made.service


def test_the_client_takes_the_secret_of_a_token(make: Make, models: Any) -> None:
    kept = make(authenticationEnabled=True).plan_token(_spec(auth=True), "t0ken", "x7k2q")
    assert kept.secret is not None
    assert _through(models, models.V1Secret, kept.secret) == kept.secret


def _through(models: Any, model: Any, manifest: dict[str, Any]) -> Any:
    """What the client would send of ``manifest`` after it has checked it."""
    return models.ApiClient().sanitize_for_serialization(model.from_dict(manifest))


def test_the_client_takes_the_secret_of_options(make: Make, models: Any) -> None:
    made = make().manifests(_spec(secrets_map={"K": "s3cret"}))
    assert made.secret is not None
    assert _through(models, models.V1Secret, made.secret) == made.secret


# Put together


def test_secrets_in_clear_text_are_in_a_secret_that_the_pods_mount(make: Make) -> None:
    made = make().manifests(_spec(secrets_map={"K": "s3cret"}))
    assert "s3cret" not in str(made.stateful_set) + repr(made)
    assert [document["kind"] for document in made.documents] == ["Service", "Secret", "StatefulSet"]
    assert made.secret is not None
    assert (made.secret["metadata"]["name"], made.secret["metadata"]["namespace"]) == (
        "pf-public-default-exclaim-options",
        "default",
    )
    assert "s3cret" in made.secret["stringData"]["options"]
    pod = made.stateful_set["spec"]["template"]["spec"]
    assert pod["volumes"] == [
        {"name": "function-options", "secret": {"secretName": "pf-public-default-exclaim-options"}}
    ]
    assert pod["containers"][0]["volumeMounts"] == [
        {"name": "function-options", "mountPath": "/etc/function", "readOnly": True}
    ]


def test_a_password_in_a_repository_is_there_as_well(make: Make) -> None:
    factory = make({"pythonDependencyRepository": "https://u:s3cret@index"})
    made = factory.manifests(_spec())
    assert "s3cret" not in str(made.stateful_set)
    assert factory.manifests(_spec(language=Language.JAVA)).secret is None


def test_strictly_secrets_are_on_the_command_line(make: Make) -> None:
    made = make({"strictReference": True}).manifests(_spec(secrets_map={"K": "s3cret"}))
    assert made.secret is None
    assert "s3cret" in str(made.stateful_set)


def test_references_and_files_are_no_secrets(make: Make) -> None:
    factory = make(authenticationEnabled=True, secretsProviderConfiguratorClassName=KUBERNETES_SECRETS_CONFIGURATOR)
    spec = _spec(auth=True, auth_data="x7k2q", secrets_map={"S": {"path": "p", "key": "k"}})
    assert factory.manifests(spec).secret is None


def test_pods_get_what_the_section_says_over_what_the_worker_says(make: Make) -> None:
    factory = make(
        {
            "pulsarServiceUrl": "pulsar://inside:6650",
            "pulsarAdminUrl": "http://inside:8080",
            "grpcPort": 1,
            "metricsPort": 2,
            "narExtractionDirectory": "/nar",
            "functionInstanceClassPath": "/cp",
        },
        downloadDirectory="/dl",
    )
    spec = _spec(language=Language.JAVA, port=7, metrics_port=8, expose_admin=True, first_consumer_number=9)
    container = _container(factory, spec)
    command = container["command"][2]
    for part in (
        "--pulsar_serviceurl pulsar://inside:6650",
        "--admin-url http://inside:8080",
        "--web_serviceurl http://inside:8080 --expose_pulsaradmin",
        "--port 1 --metrics_port 2",
        "--nar_extraction_directory /nar",
        "-Dpulsar.functions.instance.classpath=/cp ",
        "--destination-file /dl/exclaim.py",
        "--expected_healthcheck_interval -1",
    ):
        assert part in command
    assert "first_consumer_number" not in command
    assert [port["containerPort"] for port in container["ports"]] == [1, 2]


def test_the_class_path_is_that_of_the_image(make: Make) -> None:
    command = _container(make({"pulsarRootDir": "/opt/p"}), _spec(language=Language.JAVA))["command"][2]
    assert "'-Dpulsar.functions.instance.classpath=/opt/p/lib/*'" in command
    assert "--destination-file /opt/p/exclaim.py" in command


def test_strictly_metrics_may_be_switched_off_by_a_port_that_is_none(make: Make) -> None:
    factory = make({"strictReference": True, "metricsPort": 0})
    template = factory.manifests(_spec(metrics_port=45002)).stateful_set["spec"]["template"]
    assert template["metadata"]["annotations"] == {}
    assert template["spec"]["containers"][0]["ports"][1] == {"name": "prometheus"}


def test_strictly_a_language_may_have_no_image(make: Make) -> None:
    factory = make({"strictReference": True, "functionDockerImages": {"JAVA": "j"}})
    factory.check(_spec())
    assert "image" not in _container(factory, _spec())


def test_a_customizer_of_a_third_party_cannot_rename_and_keeps_its_volumes(make: Make) -> None:
    factory = make(authenticationEnabled=True, runtimeCustomizerClassName=SIDECAR)
    made = factory.manifests(_spec(auth=True, auth_data="x7k2q"))
    assert (made.name, made.namespace) == ("pf-public-default-exclaim", "default-public")
    assert made.stateful_set["metadata"] == {"name": made.name, "namespace": made.namespace}
    pod = made.stateful_set["spec"]["template"]["spec"]
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch", "function-auth"]
    assert [len(container["volumeMounts"]) for container in pod["containers"]] == [1, 2]
    kept = factory.plan_token(_spec(auth=True), "t0ken", "x7k2q")
    assert kept.secret is not None
    assert kept.secret["metadata"]["namespace"] == "default-public"


def test_without_authentication_there_are_no_credentials(make: Make) -> None:
    factory = make()
    made = factory.manifests(_spec(auth_data="x7k2q"))
    assert "volumes" not in made.stateful_set["spec"]["template"]["spec"]
    assert factory.plan_token(_spec(), "t0ken", "x7k2q").secret is None
    assert "--use_tls" not in made.stateful_set["spec"]["template"]["spec"]["containers"][0]["command"][2]


def test_certificates_of_the_worker_go_along(make: Make, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    factory = make(
        authenticationEnabled=True,
        brokerClientTrustCertsFilePath=str(tmp_path / "ca.pem"),
        tlsTrustCertsFilePath="/elsewhere.pem",
    )
    command = _container(factory, _spec(auth=True, auth_data="x"))["command"][2]
    assert "--tls-trust-cert-path /etc/auth/ca.pem" in command


# Admission


@pytest.mark.parametrize(
    ("section", "top", "changes", "why"),
    [
        ({}, {}, {"name": "f-"}, "must begin and end with a letter or digit"),
        ({}, {}, {"name": "a.b"}, "hold no dot"),
        ({}, {}, {"name": "n" * 60}, "53 are the most"),
        ({}, {}, {"runtime_flags": "-Dx='"}, "a single quote is not closed"),
        ({}, {}, {"custom_runtime_options": "{}"}, "has no runtimeCustomizerClassName"),
        ({"functionDockerImages": {"GO": "x"}}, {}, {}, "there is no image for its language"),
        (
            {},
            {"secretsProviderConfiguratorClassName": KUBERNETES_SECRETS_CONFIGURATOR},
            {"secrets_map": {"S": {"path": "p"}}},
            "secret 'S' lacks its key",
        ),
        (
            {},
            {"runtimeCustomizerClassName": BASIC},
            {"custom_runtime_options": "{resourceRequirements: {limits: {memory: 512Mi}}}"},
            "memory: the request of 1073741824 is more than the limit of 512Mi",
        ),
        (
            {"customLabels": {"team": "a"}},
            {"runtimeCustomizerClassName": BASIC},
            {"custom_runtime_options": "{extraLabels: {team: b}}"},
            "must leave the labels that find the pods as they are: team",
        ),
        ({}, {"runtimeCustomizerClassName": BASIC}, {"custom_runtime_options": "x"}, "must be a JSON object"),
    ],
)
def test_what_could_not_run_is_refused(
    make: Make, section: dict[str, Any], top: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    factory = make(section, **top)
    spec = _spec(**changes)
    with pytest.raises(AdmissionError) as refusal:
        factory.check(spec)
    assert why in str(refusal.value)
    assert str(refusal.value).startswith(str(spec.function.key))


def test_all_that_is_wrong_with_a_function_is_told(make: Make) -> None:
    factory = make(secretsProviderConfiguratorClassName=KUBERNETES_SECRETS_CONFIGURATOR)
    with pytest.raises(AdmissionError) as refusal:
        factory.check(_spec(name="f-", runtime_flags="'", secrets_map={"A": 1, "B": {}}))
    assert len(str(refusal.value).splitlines()) == 5


def test_an_ordinary_function_is_admitted(make: Make) -> None:
    for language in Language:
        make().check(_spec(language=language))


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"name": "f-"}, True),
        ({"name": "n" * 60}, True),
        ({"name": "a.b"}, False),
        ({"runtime_flags": "-Dx='"}, False),
        ({"custom_runtime_options": "{}"}, False),
    ],
)
def test_strictly_only_what_the_reference_refuses_is_refused(
    make: Make, changes: dict[str, Any], refused: bool
) -> None:
    factory = make({"strictReference": True})
    if refused:
        with pytest.raises(AdmissionError):
            factory.check(_spec(**changes))
    else:
        factory.check(_spec(**changes))
        factory.manifests(_spec(**changes))


# Configuration


def _problems(make: Make, section: dict[str, Any] | None = None, **top: Any) -> list[str]:
    with pytest.raises(ConfigError) as error:
        make(section, **top)
    return [str(problem) for problem in error.value.problems]


def test_everything_that_is_wrong_comes_at_once_with_its_line(tmp_path: Path) -> None:
    text = f"""\
functionRuntimeFactoryClassName: {KUBERNETES_FACTORY}
authenticationEnabled: true
functionAuthProviderClassName: {CLEAR_TEXT}
secretsProviderConfiguratorClassName: com.example.Secrets
runtimeCustomizerClassName: nobody
functionRuntimeFactoryConfigs:
  imagePullPolicy: Sometimes
"""
    config = parse_worker_config(parse_document(text, "worker.yml"), {})
    with pytest.raises(ConfigError) as error:
        KubernetesRuntimeFactory.from_config(
            config.runtime_section, FactoryContext(tmp_path, 1 << 30, {}, worker=config)
        )
    found = sorted(": ".join(str(problem).split(": ")[:2]) for problem in error.value.problems)
    assert found == [
        "worker.yml: pulsarServiceUrl",
        "worker.yml:3: functionAuthProviderClassName",
        "worker.yml:4: secretsProviderConfiguratorClassName",
        "worker.yml:5: runtimeCustomizerClassName",
        "worker.yml:6: functionRuntimeFactoryConfigs.pulsarAdminUrl",
        "worker.yml:7: functionRuntimeFactoryConfigs.imagePullPolicy",
    ]


def test_options_of_the_customizer_have_their_lines(tmp_path: Path) -> None:
    text = f"""\
pulsarServiceUrl: pulsar://b
pulsarWebServiceUrl: http://b
functionRuntimeFactoryClassName: {KUBERNETES_FACTORY}
runtimeCustomizerClassName: {BASIC}
runtimeCustomizerConfig:
  jobNamespace: My_NS
  nodeSelectorLabls: {{a: b}}
  resourceRequirements:
    limits:
      cpu: much
"""
    config = parse_worker_config(parse_document(text, "worker.yml"), {})
    section = config.runtime_section
    with pytest.raises(ConfigError) as error:
        KubernetesRuntimeFactory.from_config(section, FactoryContext(tmp_path, 1 << 30, {}, worker=config))
    assert [problem.line for problem in error.value.problems] == [6, 10]
    assert [(warning.path, warning.line) for warning in section.warnings] == [
        ("runtimeCustomizerConfig.nodeSelectorLabls", 7)
    ]


@pytest.mark.parametrize(
    ("section", "top", "key"),
    [
        ({}, {"runtimeCustomizerConfig": {"jobName": "x"}}, "runtimeCustomizerConfig"),
        ({}, {"functionAuthProviderClassName": CLEAR_TEXT}, "functionAuthProviderClassName"),
        ({"kubernetesFunctionAuthProviderConfig": {"a": 1}}, {}, "kubernetesFunctionAuthProviderConfig"),
        (
            {"kubernetesFunctionAuthProviderConfig": {"a": 1}},
            {"authenticationEnabled": True},
            "kubernetesFunctionAuthProviderConfig",
        ),
        ({}, {"secretsProviderConfiguratorConfig": {"a": "b"}}, "secretsProviderConfiguratorConfig"),
        ({}, {"authenticationEnabled": True, "tlsTrustCertsFilePath": "/no/ca.pem"}, "tlsTrustCertsFilePath"),
    ],
)
def test_what_has_no_effect_is_told(tmp_path: Path, section: dict[str, Any], top: dict[str, Any], key: str) -> None:
    config = parse_worker_config(Section({**URLS, **top, "functionRuntimeFactoryConfigs": section}), {})
    own = config.runtime_section if section else replace(config.runtime_section, warnings=[])
    KubernetesRuntimeFactory.from_config(own, FactoryContext(tmp_path, 1 << 30, {}, worker=config))
    assert [warning.path.rpartition(".")[2] for warning in own.warnings] == [key]


def test_an_unknown_class_names_the_choices(make: Make) -> None:
    (problem,) = _problems(make, authenticationEnabled=True, functionAuthProviderClassName=CLEAR_TEXT)
    assert "KubernetesSecretsTokenAuthProvider" in problem
    assert "KubernetesServiceAccountTokenAuthProvider" in problem
    (problem,) = _problems(make, runtimeCustomizerClassName=f"{BASIC}x")
    assert f"did you mean {BASIC!r}?" in problem


# Rendering and launching


def test_rendering_shows_no_secret(make: Make) -> None:
    factory = make(
        {
            "pythonDependencyRepository": "http://u:s3cret@index",
            "pythonExtraDependencyRepository": "http://u:s3cret@more",
        },
        authenticationEnabled=True,
    )
    shown = factory.render(_spec(auth=True, secrets_map={"K": "s3cret"}, auth_data="x7k2q"))
    assert "s3cret" not in shown
    assert "kind: Secret" in shown
    assert "file:///etc/auth/token" in shown
    references = make(secretsProviderConfiguratorClassName=KUBERNETES_SECRETS_CONFIGURATOR)
    shown = references.render(_spec(secrets_map={"K": {"path": "database", "key": "password", "hint": "s3cret"}}))
    assert "s3cret" not in shown
    assert "name: database" in shown


def test_without_an_api_server_nothing_is_launched(make: Make, tmp_path: Path) -> None:
    factory = KubernetesRuntimeFactory(make().settings, {"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(LaunchError, match=r"no way to a Kubernetes API server: .*; set KUBECONFIG, k8Uri, or"):
        factory.open()
    with pytest.raises(LaunchError, match=r"public/default/exclaim:-1: the worker has not begun"):
        factory.create(_spec()).start()


def test_what_the_client_would_not_send_is_not_rendered(make: Make) -> None:
    factory = make(runtimeCustomizerClassName="tests.runtimes.kubernetes.sidecar:Misshapen")
    with pytest.raises(AdmissionError, match=r"exclaim: StatefulSet V1PodSpec.terminationGracePeriodSeconds: Input"):
        factory.render(_spec())
