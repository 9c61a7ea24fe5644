"""One line that says why an instance ended."""

from __future__ import annotations

import pytest

from pulsar_runtimes.runtimes.process.exit_reason import exit_reason

ROOT = "org.apache.pulsar.client.api.PulsarClientException$IncompatibleSchemaException: new schema type STRING"

JAVA = f"""2026-01-01 ERROR JavaInstanceRunnable - Uncaught exception in Java Instance
java.util.concurrent.CompletionException: org.apache.pulsar.Schema$WrongException: first
\tat java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:332) ~[?:?]
Caused by: {ROOT}
\tat org.apache.pulsar.client.impl.ClientCnx.handleError(ClientCnx.java:836)
\t... 24 more
2026-01-01 INFO JavaInstanceStarter - RuntimeSpawner quit, shutting down JavaInstance""".splitlines()

PYTHON = """Traceback (most recent call last):
  File "f.py", line 1, in <module>
KeyError: 'limit'
and a last word""".splitlines()

GO = """panic: assignment to entry in nil map

goroutine 1 [running]:
main.main()
exit status 2""".splitlines()


@pytest.mark.parametrize(
    ("code", "lines", "reason"),
    [
        (0, [], "it ended by itself with exit code 0"),
        (0, ["all is well"], "it ended by itself with exit code 0"),
        (
            0,
            JAVA,
            f"it ended by itself with exit code 0; the last error of its log: {ROOT}",
        ),
        (1, PYTHON, "exit code 1: KeyError: 'limit'"),
        (2, GO, "exit code 2: panic: assignment to entry in nil map"),
        (7, ["first", "last ", ""], "exit code 7: last"),
        (7, [], "exit code 7"),
        (-9, PYTHON, "killed by SIGKILL"),
        (-63, [], "killed by signal 63"),
        (None, [], "it ended"),
    ],
)
def test_the_line_that_explains_an_exit_code(code: int | None, lines: list[str], reason: str) -> None:
    assert exit_reason(code, failure="", out_of_memory=False, last_lines=lines) == reason


def test_what_is_known_for_sure_comes_first() -> None:
    assert exit_reason(1, failure="it hung", out_of_memory=True, last_lines=PYTHON) == "it hung"
    assert exit_reason(-9, failure="", out_of_memory=True, last_lines=[]).startswith("out of memory")
