"""Whatever a file holds, reading it ends in a configuration or in a ``ConfigError`` that a person can read."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pulsar_runtimes.config.document import parse_document
from pulsar_runtimes.config.function import parse_function_config
from pulsar_runtimes.config.setting import key_names
from pulsar_runtimes.config.worker import WorkerConfig, parse_worker_config
from pulsar_runtimes.model.errors import ConfigError, Problem
from pulsar_runtimes.model.function import FunctionSpec

DOCUMENTS = 10_000

WORKER_KEYS = [*key_names(WorkerConfig), "unknown", "workerid", "containerFactory"]
FUNCTION_KEYS = [
    *("tenant", "namespace", "name", "fqfn", "className", "inputs", "topicsPattern", "customSerdeInputs"),
    *("customSchemaInputs", "customSchemaOutputs", "inputSpecs", "output", "logTopic", "producerConfig", "runtime"),
    *("processingGuarantees", "retainOrdering", "userConfig", "secrets", "autoAck", "maxMessageRetries", "subName"),
    *("deadLetterTopic", "parallelism", "resources", "windowConfig", "timeoutMs", "jar", "py", "go", "unknown"),
    *("subscriptionPosition", "batchBuilder", "inputTypeClassName", "retainKeyOrdering", "skipToLatest"),
]
INNER_KEYS = [
    *("cpu", "ram", "disk", "logDirectory", "pulsarClientMemoryLimit", "absoluteValue", "jobNamespace", "grpcPort"),
    *("schemaType", "serdeClassName", "receiverQueueSize", "cryptoConfig", "isRegexPattern", "compressionType"),
    *("windowLengthCount", "persistent://public/default/in", "a.b", "password", '"a\\nb"', '"\\0"', "''", "x y"),
]
HOSTILE = [
    *("", "~", "null", "true", "'yes'", "-1", "0", "1", "10.7", "'10'", "1e400", ".inf", "-.nan", "0x", "1_", "12:30"),
    *("0o7", "0b2", "._", "=", "<<", "2024-13-45", "9" * 5000, "-" + "9" * 300, "1" + "0" * 400 + ".5", "x" * 3000),
    *('"\\0"', '"\\x1b[31m"', '"\\u202e"', '"\\uD800"', '"\\n\\r\\t"', "'\u2028'", "\ufeff", "\ud800", "\x00", "\x1b"),
    *("!!python/object:os.system x", "!!binary =", "!!int x", "!!float x", "!!null x", "! x", "!<> x", "&a x", "*a"),
    *("[", "]", "{", "}", "'", '"', "|", ">", "%", "@", "`", ":", "- ", "? x", "--- x", "...", "\t", "# c", ", ,"),
    *(
        "[[[]]]",
        "{{}: 1}",
        "[*a, *a]",
        "{<<: *a}",
        "persistent://a/b/c",
        "a/b",
        "public/default",
        "é/ü/ß",
        "\U0001f600",
    ),
    *(
        "[" * 200,
        "{a: " * 200,
        "[" * 90 + "]" * 90,
        "'{\"schemaType\": 1e999}'",
        "'{}'",
        "EARLIEST",
        "EFFECTIVELY_ONCE",
    ),
]


TAME = [
    "",
    "1",
    "8080",
    "true",
    "'false'",
    "0.5",
    "x",
    "a.b.C",
    "[a, b]",
    "[]",
    "{cpu: 2}",
    "{a: 1, b: {c: [x]}}",
    "{}",
]


def value(random_: random.Random, depth: int = 0) -> str:
    if random_.randrange(3):
        return random_.choice(TAME)
    kind = random_.randrange(8) if depth < 3 else 0
    if kind == 6:
        return "[" + ", ".join(value(random_, depth + 1) for _ in range(random_.randrange(4))) + "]"
    if kind == 7:
        keys = random_.choices(INNER_KEYS, k=random_.randrange(4))
        return "{" + ", ".join(f"{key}: {value(random_, depth + 1)}" for key in keys) + "}"
    if kind == 5:
        return "".join(
            chr(random_.choice((random_.randrange(0x20, 0x7F), random_.randrange(0x3000)))) for _ in range(5)
        )
    return random_.choice(HOSTILE)


def document(random_: random.Random, keys: list[str]) -> str:
    lines = [f"{key}: {value(random_)}" for key in random_.choices(keys, k=random_.randrange(1, 6))]
    if keys is FUNCTION_KEYS and random_.randrange(4):  # else hardly one would be complete
        lines = ["py: f.py", "className: m.Fn", "inputs: [in]", *lines[:2]]
    text = "\n".join(lines)
    match random_.randrange(12):
        case 0:
            text = text[: random_.randrange(len(text) + 1)]
        case 1:
            place = random_.randrange(len(text) + 1)
            text = text[:place] + chr(random_.randrange(0x10FFFF)) + text[place:]
        case 2:
            text = "{" + ", ".join(lines) + "}"
        case 3:
            text = random_.choice(("\ufeff", "%YAML 1.2\n---\n", "--- ", "&a ", "\x00")) + text
    return text


def environment(random_: random.Random) -> dict[str, str]:
    if random_.randrange(4):
        return {}
    key = random_.choice([*WORKER_KEYS, "", "_", "é", "\udcff", "a\nb", *INNER_KEYS])
    return {f"PF_{key}{random_.choice(('', '_x', '_workerPort'))}": random_.choice(HOSTILE)}


def assert_readable(problem: Problem) -> None:
    text = str(problem)
    assert text.isprintable(), ascii(text)
    assert len(text) < 1200, len(text)
    assert problem.message


def assert_ends_well(read: Callable[[], object], outcome: type[object]) -> bool:
    try:
        found = read()
    except ConfigError as error:
        assert error.problems
        assert len(str(error).splitlines()) == len(error.problems)
        for problem in error.problems:
            assert_readable(problem)
        return False
    assert isinstance(found, outcome)
    if isinstance(found, WorkerConfig):
        for problem in found.warnings:
            assert_readable(problem)
        for setting in found.settings:
            assert f"{setting.value} {setting.origin}".isprintable(), ascii(setting)
    return True


@pytest.mark.parametrize(
    ("keys", "outcome", "documents", "least"),
    [(WORKER_KEYS, WorkerConfig, DOCUMENTS, 500), (FUNCTION_KEYS, FunctionSpec, DOCUMENTS // 5, 50)],
    ids=["worker", "function"],
)
def test_any_text_gives_a_config_or_a_readable_error(
    keys: list[str], outcome: type[object], documents: int, least: int
) -> None:
    random_ = random.Random(20261121)
    good = 0
    for _ in range(documents):
        text, environ = document(random_, keys), environment(random_)

        def read(text: str = text, environ: dict[str, str] = environ) -> object:
            section = parse_document(text, "fuzz.yml")
            return parse_worker_config(section, environ) if outcome is WorkerConfig else parse_function_config(section)

        try:
            good += assert_ends_well(read, outcome)
        except BaseException:
            print(ascii(text), ascii(environ))  # what to add to a table of cases
            raise
    assert good >= least, "the generator makes nothing but broken documents"
