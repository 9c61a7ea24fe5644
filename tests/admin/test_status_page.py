"""The status page in a real browser, and what it is made of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pulsar_runtimes.admin.server import AdminServer
from pulsar_runtimes.model.observation import InstanceStats
from pulsar_runtimes.model.registration import Registration
from pulsar_runtimes.testing import FakeRuntime, Script, function_spec
from tests.admin.browser import browser
from tests.admin.fake_worker import Served, serve_fakes
from tests.waiting import until

ATTACK = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
ATTACKING_NAME = "<script>window.hacked=3<script>"
PAGE = ("/", "/status.html", "/status.css", "/status.js")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Functions f0 and f1, of which f0 runs, and others as a test registers them."""
    with serve_fakes(tmp_path, functions=2, running=1) as served:
        yield served


@pytest.fixture
def page(served: Served, tmp_path: Path) -> Iterator[Any]:
    """The browser, showing the page once it has figures."""
    with browser(tmp_path / "profile") as driver:
        driver.get(served.url)
        until(lambda: text_of(driver, "#live"), lambda text: text == "live")
        yield driver


def register(served: Served, name: str, *scripts: Script, parallelism: int = 1) -> None:
    """One more function, whose first instance plays ``scripts``."""
    served.factory.play(f"public/default/{name}:0", *scripts)
    package = next(iter(served.kept.registrations().values())).package
    registration = Registration(function_spec(name=name, package="", parallelism=parallelism), package)
    served.kept.put(registration)
    served.service.worker.submit(replace(registration.function, package=str(served.service.packages.path(package))))


def text_of(driver: Any, selector: str) -> str:
    text: str = driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)
    return text


def row_of(driver: Any, name: str) -> list[str]:
    """The texts of a function's row: name and news, state, rates and so on."""
    script = """
        const names = [...document.querySelectorAll('tbody th button')];
        const named = names.find((each) => each.textContent === arguments[0]);
        return named ? [...named.closest('tr').children].map((cell) => cell.innerText) : [];
    """
    cells: list[str] = driver.execute_script(script, f"public/default/{name}")
    return cells


def names_of(driver: Any) -> list[str]:
    script = "return [...document.querySelectorAll('tbody th button')].map((each) => each.textContent)"
    names: list[str] = driver.execute_script(script)
    return names


def errors_of(driver: Any) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser")]


@pytest.mark.parametrize("path", PAGE)
def test_its_files_forbid_what_they_do_not_need(served: Served, path: str) -> None:
    answer = served.http.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGE)
def test_its_files_name_no_other_place(served: Served, path: str) -> None:
    text = served.http.get(path).text
    assert set(re.findall(r"(?:https?:)?//[a-z][\w.]*", text)) <= {"http://www.w3.org"}  # the name of a namespace
    assert "innerHTML" not in text
    assert not re.search(r"\son\w+=|style=|<script>|<style", text)


def test_it_shows_functions_and_instances_as_they_are(served: Served, page: Any) -> None:
    until(lambda: row_of(page, "f0"), lambda row: row[1:2] == ["1 of 1 running"])
    until(lambda: row_of(page, "f1"), lambda row: row[1:2] == ["stopped"])
    register(served, "new", Script(memory_bytes=5 << 20, stats=InstanceStats(average_latency_ms=1.25)), parallelism=2)
    row = until(lambda: row_of(page, "new"), lambda row: row[-1:] == ["5 MiB"])
    assert (row[1], row[4], row[5]) == ("2 of 2 running", "\N{EN DASH}", "1.25 ms")
    served.service.worker.remove("public/default/new")
    served.kept.delete(next(each for key, each in served.kept.registrations().items() if key.name == "new"))
    until(lambda: row_of(page, "new"), lambda row: not row)
    assert errors_of(page) == []


def test_rates_are_differences_of_what_was_counted(served: Served, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()

    def stats(runtime: FakeRuntime) -> InstanceStats:
        count = int((time.monotonic() - began) * 100)
        return InstanceStats(received=count, processed=count // 2)

    monkeypatch.setattr(FakeRuntime, "stats", stats)
    row = until(lambda: row_of(page, "f0"), lambda row: all(text[:1].isdigit() for text in row[2:4]) and bool(row))
    assert 50 < float(row[2]) < 200
    assert 25 < float(row[3]) < 100


def test_how_instances_ended_is_shown_when_a_function_is_opened(served: Served, page: Any) -> None:
    end = Script(run_for=0.01, exit_code=-9, reason="it was killed", log=("line one", "line two"))
    register(served, "crash", end)
    row = until(lambda: row_of(page, "crash"), lambda row: bool(row) and "it was killed" in row[0])
    assert row[1] in ("backoff", "starting", "waiting")
    open_function(page, "crash")
    shown = until(lambda: text_of(page, "tr.more"), lambda text: "(signal 9)" in text)
    assert "line one\nline two" in shown
    until(lambda: row_of(page, "crash"), lambda row: int(row[7]) > 0)


def open_function(driver: Any, name: str) -> None:
    """As somebody does who has no mouse."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    (button,) = [each for each in driver.find_elements(By.CSS_SELECTOR, "tbody th button") if name in each.text]
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-expanded") == "true"


def test_nothing_that_it_is_told_can_run(served: Served, page: Any) -> None:
    failing = Script(stats=InstanceStats(user_exceptions=1, latest_user_exceptions=((ATTACK, 1),)))
    register(served, ATTACKING_NAME, failing)
    register(served, "crash", Script(run_for=0.01, reason=ATTACK, log=(ATTACK,)))
    until(lambda: row_of(page, ATTACKING_NAME), lambda row: bool(row) and ATTACK in row[0])
    until(lambda: row_of(page, "crash"), lambda row: bool(row) and ATTACK in row[0])
    for name in ("script", "crash"):
        open_function(page, name)
    until(lambda: text_of(page, "tbody"), lambda text: text.count(ATTACK) >= 5)
    assert page.execute_script("return [window.hacked, document.querySelectorAll('body script, body img').length]") == [
        None,
        0,
    ]
    assert errors_of(page) == []


def test_the_policy_stops_a_script_that_got_into_the_page(page: Any) -> None:
    page.execute_script(
        "const made = document.createElement('div'); made.innerHTML = arguments[0]; document.body.append(made)", ATTACK
    )
    until(lambda: errors_of(page), lambda errors: any("Content Security Policy" in error for error in errors))
    assert page.execute_script("return window.hacked") is None


def test_it_finds_functions_by_their_names_and_by_their_trouble(served: Served, page: Any) -> None:
    from selenium.webdriver.common.by import By

    register(served, "crash", Script(start_error="no such module"))
    until(lambda: names_of(page), lambda names: len(names) == 3)
    field = page.find_element(By.ID, "filter")
    field.send_keys("F1")
    assert names_of(page) == ["public/default/f1"]
    field.clear()
    field.send_keys("nosuch")
    assert names_of(page) == []
    assert page.find_element(By.ID, "none").is_displayed()
    field.clear()
    page.find_element(By.ID, "troubled").click()
    until(lambda: names_of(page), lambda names: names == ["public/default/crash"])


def test_it_tells_when_nobody_answers_any_more(tmp_path: Path) -> None:
    with browser(tmp_path / "profile") as driver:
        with serve_fakes(tmp_path, functions=1, running=1) as served:
            driver.get(served.url)
            until(lambda: text_of(driver, "#live"), lambda text: text == "live")
        shown = until(lambda: text_of(driver, "#live"), lambda text: text.startswith("no answer"))
        assert "old" in shown
        assert names_of(driver) == ["public/default/f0"]


def test_it_asks_nothing_while_nobody_sees_it(served: Served, page: Any) -> None:
    page.execute_script(
        """
        window.asked = 0;
        const before = window.fetch;
        window.fetch = (...all) => { window.asked += 1; return before(...all); };
        Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});
        document.dispatchEvent(new Event('visibilitychange'));
        """
    )
    time.sleep(3)
    assert page.execute_script("return window.asked") == 0
    assert text_of(page, "#live") == "paused"
    page.execute_script("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: text_of(page, "#live"), lambda text: text == "live")


def test_it_fits_on_a_phone(served: Served, page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    )
    open_function(page, "f0")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_it_says_can_be_told_from_its_ground(page: Any, scheme: str) -> None:
    """Texts have the contrast that WCAG asks for."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    colors: dict[str, str] = page.execute_script(
        """
        const style = getComputedStyle(document.documentElement);
        const names = ['back', 'panel', 'text', 'quiet', 'link', 'good', 'wait', 'bad'];
        names.push('good-back', 'wait-back', 'bad-back');
        return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
        """
    )
    pairs = [(text, ground) for text in ("text", "quiet", "link", "bad") for ground in ("back", "panel")]
    pairs += [(name, f"{name}-back") for name in ("good", "wait", "bad")]
    too_low = [pair for pair in pairs if contrast(*(colors[name] for name in pair)) < 4.5]
    assert too_low == []


def contrast(one: str, other: str) -> float:
    low, high = sorted(luminance(each) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class Doorkeeper:
    """Lets nobody have figures who does not bring the token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "/admin/" in scope.get("path", "") and Headers(scope=scope).get("authorization") != "Bearer sesame":
            await JSONResponse({"reason": "who are you"}, 401)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def test_it_asks_for_a_token_where_one_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from selenium.webdriver.common.by import By

    plain: Callable[..., None] = AdminServer.__init__

    def guarded(server: AdminServer, app: ASGIApp, *more: Any, **options: Any) -> None:
        plain(server, Doorkeeper(app), *more, **options)

    monkeypatch.setattr(AdminServer, "__init__", guarded)
    with serve_fakes(tmp_path, functions=1, running=1) as served, browser(tmp_path / "profile") as driver:
        driver.get(served.url)
        field = driver.find_element(By.ID, "token")
        until(field.is_displayed)
        field.send_keys("sesame\n")
        until(lambda: text_of(driver, "#live"), lambda text: text == "live")
        assert not field.is_displayed()


def test_2000_functions_are_shown_in_parts(tmp_path: Path) -> None:
    with serve_fakes(tmp_path, functions=2000, running=100) as served, browser(tmp_path / "profile") as driver:
        driver.get(served.url)
        until(lambda: len(names_of(driver)), lambda count: count == 200)
        assert "1,800" in text_of(driver, "#more")
        answer = httpx.get(f"{served.url}/admin/v3/overview")
        assert answer.elapsed.total_seconds() < 1
