"""What a deleted function leaves with the brokers, and who takes it away."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from pulsar_runtimes.metadata.admin_client import AdminError
from pulsar_runtimes.model.component import BATCH_CONFIG_KEY
from pulsar_runtimes.model.errors import MetadataError
from pulsar_runtimes.model.function import ConsumerSpec, FunctionSpec, SourceSpec
from pulsar_runtimes.service.leftovers import Cleaner, leftovers
from pulsar_runtimes.testing import function_spec
from pulsar_runtimes.testing.clock import FakeClock

PLAIN = "DELETE /admin/v2/persistent/public/default/in/subscription/public%2Fdefault%2Fexclaim"


def reading(**inputs: ConsumerSpec) -> FunctionSpec:
    return function_spec(source=SourceSpec(input_specs=inputs or {"in": ConsumerSpec()}, cleanup_subscription=True))


class Brokers:
    """Answers with what it was given, then with success."""

    def __init__(self, *answers: Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.clock = FakeClock()

    def post(self, path: str) -> Any:
        self._answer(f"POST {path}")

    def delete(self, path: str) -> Any:
        self._answer(f"DELETE {path}")

    def _answer(self, request: str) -> None:
        self.asked.append(request)
        if self.answers:
            raise self.answers.pop(0)

    def cleaner(self) -> Cleaner:
        return Cleaner(self, clock=self.clock, sleep=self.clock.advance)


def requests(function: FunctionSpec) -> list[str]:
    return [f"{each.method} {each.path}" for each in leftovers(function)]


def test_each_input_leaves_the_subscription_of_the_function() -> None:
    assert requests(reading()) == [PLAIN]
    assert requests(replace(reading(), source=replace(reading().source, cleanup_subscription=False))) == []
    named = replace(reading(), source=replace(reading().source, subscription_name="../a b"))
    assert requests(named) == ["DELETE /admin/v2/persistent/public/default/in/subscription/..%2Fa%20b"]


def test_a_pattern_leaves_it_in_the_whole_namespace() -> None:
    function = reading(**{"persistent://acme/shop/in-.*/x": ConsumerSpec(is_regex_pattern=True)})
    assert requests(function) == ["POST /admin/v2/namespaces/acme/shop/unsubscribe/public%2Fdefault%2Fexclaim"]


def test_a_name_never_leads_out_of_its_place() -> None:
    function = reading(
        **{"persistent://public/default/..": ConsumerSpec(), "non-persistent://a/b/c/d?": ConsumerSpec()}
    )
    named = replace(function, source=replace(function.source, subscription_name=".."))
    assert requests(named) == [
        "DELETE /admin/v2/persistent/public/default/%2E%2E/subscription/%2E%2E",
        "DELETE /admin/v2/non-persistent/a/b/c%2Fd%3F/subscription/%2E%2E",
    ]


def test_a_batch_source_leaves_the_topic_between_its_halves_in_any_case() -> None:
    function = function_spec(source=SourceSpec(configs={BATCH_CONFIG_KEY: "{}"}))
    topic = "/admin/v2/persistent/public/default/exclaim-intermediate"
    assert requests(function) == [
        f"DELETE {topic}/subscription/BatchSourceExecutor-public%2Fdefault%2Fexclaim",
        f"DELETE {topic}?force=true",
    ]


def test_what_is_still_connected_is_tried_again_and_what_is_missing_is_gone() -> None:
    brokers = Brokers(AdminError(412, "still connected"), MetadataError("nobody answers"), AdminError(404, "no topic"))
    started = brokers.clock()
    brokers.cleaner().clean(reading())
    assert brokers.asked == [PLAIN] * 3
    assert brokers.clock() - started == 2


def test_what_stays_is_logged_and_does_not_fail(caplog: pytest.LogCaptureFixture) -> None:
    connected = [AdminError(412, "still connected") for _ in range(100)]
    brokers = Brokers(*connected)
    brokers.cleaner().clean(reading())
    assert 10 <= len(brokers.asked) <= 20
    (record,) = caplog.records
    assert record.getMessage().endswith(
        "exclaim: subscription public/default/exclaim of persistent://public/default/in stays: still connected"
    )


def test_a_worker_that_may_not_do_it_says_so_and_does_not_try_again(caplog: pytest.LogCaptureFixture) -> None:
    brokers = Brokers(AdminError(401, "who are you"))
    brokers.cleaner().clean(reading())
    assert len(brokers.asked) == 1
    assert "stays: who are you" in caplog.text


def test_a_function_that_is_there_again_keeps_its_subscription(caplog: pytest.LogCaptureFixture) -> None:
    brokers = Brokers()
    brokers.cleaner().clean(reading(), is_back=lambda: True)
    assert brokers.asked == []
    assert "stays: the function is there again" in caplog.text


def test_without_an_admin_api_nothing_can_be_done_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert not Cleaner().has_work(reading())
    Cleaner().clean(reading())
    assert "stays: this broker has no admin API" in caplog.text
