"""From a function to its instances."""

from __future__ import annotations

import pytest

from pulsar_runtimes.model.function import Language
from pulsar_runtimes.model.observation import Capabilities
from pulsar_runtimes.runtimes.plan import InstanceDefaults, plan_instances
from pulsar_runtimes.testing import function_spec

EACH = Capabilities(frozenset(Language))
ALL_AS_ONE = Capabilities(frozenset(Language), runs_all_replicas=True)
DEFAULTS = InstanceDefaults("pulsar://h:6650")


@pytest.mark.parametrize("parallelism", [0, 1, 3])
def test_each_number_below_the_parallelism_is_an_instance(parallelism: int) -> None:
    specs = plan_instances(function_spec(parallelism=parallelism), EACH, DEFAULTS)
    assert [spec.instance_id for spec in specs] == list(range(parallelism))


def test_a_backend_that_runs_all_replicas_gets_one_instance() -> None:
    (spec,) = plan_instances(function_spec(parallelism=3), ALL_AS_ONE, DEFAULTS)
    assert spec.instance_id == -1


def test_the_instances_of_one_plan_share_ids_that_are_new_each_time() -> None:
    one, two = (plan_instances(function_spec(parallelism=2), EACH, DEFAULTS) for _ in range(2))
    assert len({(spec.function_id, spec.function_version) for spec in one}) == 1
    assert one[0].function_id != one[0].function_version
    assert one[0].function_id != two[0].function_id


def test_given_ids_make_equal_plans() -> None:
    plans = [plan_instances(function_spec(), EACH, DEFAULTS, new_id=lambda: "id") for _ in range(2)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("language", "provider"),
    [
        (Language.JAVA, "org.apache.pulsar.functions.secretsprovider.ClearTextSecretsProvider"),
        (Language.PYTHON, "secretsprovider.ClearTextSecretsProvider"),
        (Language.GO, ""),
    ],
)
def test_secrets_are_clear_text_in_each_language(language: Language, provider: str) -> None:
    (spec,) = plan_instances(function_spec(language=language), EACH, DEFAULTS)
    assert spec.secrets_provider == provider


def test_the_instance_loads_the_function_s_package() -> None:
    (spec,) = plan_instances(function_spec(package="/somewhere/f.py"), EACH, DEFAULTS)
    assert (spec.code_file, spec.service_url) == ("/somewhere/f.py", "pulsar://h:6650")
