"""The input topics of a function config, said in any of its five ways, and the settings of one topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pulsar_runtimes.model.function import ConsumerSpec, CryptoFailureAction, CryptoSpec, Language
from pulsar_runtimes.model.names import full_topic, topic_problem

from .section import Section, kind, one_line

MAX_INT = 2**31 - 1

INPUT_KEYS = ("inputs", "topicsPattern", "customSerdeInputs", "customSchemaInputs", "inputSpecs")
"""The five ways to name inputs; where two speak of one topic, the later counts."""

PRODUCER_ACTIONS = (CryptoFailureAction.FAIL, CryptoFailureAction.SEND)
CONSUMER_ACTIONS = (CryptoFailureAction.FAIL, CryptoFailureAction.DISCARD, CryptoFailureAction.CONSUME)


def read_input_specs(section: Section, language: Language) -> dict[str, ConsumerSpec]:
    """Every input by its complete topic name or its pattern, in the order of :data:`INPUT_KEYS`."""
    specs: dict[str, ConsumerSpec] = {}
    for index, topic in enumerate(section.texts("inputs")):
        specs[check_topic(section, f"inputs[{index}]", topic)] = ConsumerSpec()
    pattern = section.text("topicsPattern")
    if pattern:
        specs[pattern] = ConsumerSpec(is_regex_pattern=True)
    serdes = section.section("customSerdeInputs")
    for topic in serdes or ():
        assert serdes is not None
        specs[check_topic(serdes, topic, topic)] = ConsumerSpec(serde_class_name=serdes.text(topic))
    for topic, inner in _custom_schemas(section, "customSchemaInputs").items():
        specs[check_topic(section, f"customSchemaInputs.{topic}", topic)] = read_consumer(inner, language)
    specs.update(_read_specs(section, language))
    return specs


def _read_specs(section: Section, language: Language) -> dict[str, ConsumerSpec]:
    by_topic = section.section("inputSpecs")
    specs: dict[str, ConsumerSpec] = {}
    for topic in by_topic or ():
        assert by_topic is not None
        inner = by_topic.section(topic)
        spec = read_consumer(inner, language) if inner is not None else ConsumerSpec()
        specs[topic if spec.is_regex_pattern else check_topic(by_topic, topic, topic)] = spec
    return specs


def check_topic(section: Section, key: str, topic: str) -> str:
    """The complete name of ``topic``; a problem at ``key`` when it is none."""
    problem = topic_problem(topic)
    if problem:
        section.problem(key, problem)
    return full_topic(topic)


def read_topic(section: Section, key: str) -> str:
    """The complete name of the topic at ``key``, ``""`` when there is none."""
    topic = section.text(key)
    return check_topic(section, key, topic) if topic else ""


def read_custom_schema_output(section: Section, output: str) -> ConsumerSpec:
    """What ``customSchemaOutputs`` says of the topic ``output``; its entries for other topics warn."""
    found = ConsumerSpec()
    for topic, inner in _custom_schemas(section, "customSchemaOutputs").items():
        if output and full_topic(topic) == output:
            found = read_consumer(inner, Language.PYTHON)
        else:
            section.warn(f"customSchemaOutputs.{topic}", "has no effect, as it is not the output topic")
    return found


def _custom_schemas(section: Section, key: str) -> dict[str, Section]:
    """A mapping of topic to the JSON text of a consumer configuration, each entry as a section of its own."""
    texts = section.section(key)
    found: dict[str, Section] = {}
    for topic in texts or ():
        assert texts is not None
        values = _json_mapping(texts, topic)
        if values is not None:
            found[topic] = texts.inner(topic, values)
    return found


def _json_mapping(section: Section, key: str) -> Mapping[str, Any] | None:
    value = section.raw(key)
    if not isinstance(value, str):
        section.problem(key, f"must be the JSON text of a consumer configuration (got {kind(value)})")
        return None
    try:
        data = json.loads(value)
    except (ValueError, RecursionError) as error:
        reason = one_line(str(error), 100)
        section.problem(key, f"must be the JSON text of a consumer configuration ({reason})")
        return None
    if isinstance(data, dict):
        return data
    section.problem(key, f"must be the JSON text of a consumer configuration (got {kind(data)})")
    return None


def read_consumer(section: Section, language: Language) -> ConsumerSpec:
    """``ConsumerConfig``: how one topic is read. Where a schema type is given, it counts and not the serde class."""
    schema, serde = section.text("schemaType").strip(), section.text("serdeClassName").strip()
    if schema and serde:
        if language is Language.JAVA:
            section.problem("", "may have a schemaType or a serdeClassName, not both")
        else:
            section.warn("serdeClassName", "has no effect beside a schemaType")
    spec = ConsumerSpec(
        schema_type=schema,
        serde_class_name="" if schema else serde,
        is_regex_pattern=_read_is_regex(section),
        receiver_queue_size=section.optional_integer("receiverQueueSize", minimum=0, maximum=MAX_INT),
        schema_properties=section.text_mapping("schemaProperties"),
        consumer_properties=section.text_mapping("consumerProperties"),
        crypto_spec=read_crypto(section.section("cryptoConfig"), producer=False),
        pool_messages=section.boolean("poolMessages"),
    )
    section.refuse_unread()
    return spec


def _read_is_regex(section: Section) -> bool:
    """``isRegexPattern``, which the reference's own output spells ``regexPattern``."""
    usual, other = section.boolean("isRegexPattern"), section.boolean("regexPattern")
    if usual != other and "isRegexPattern" in section and "regexPattern" in section:
        section.problem("regexPattern", "contradicts isRegexPattern, which is the same setting")
    return usual or other


def read_crypto(section: Section | None, *, producer: bool) -> CryptoSpec | None:
    """``CryptoConfig``; a producer needs the name of a key at least."""
    if section is None:
        return None
    spec = CryptoSpec(
        crypto_key_reader_class_name=section.text("cryptoKeyReaderClassName").strip(),
        crypto_key_reader_config=section.mapping("cryptoKeyReaderConfig"),
        producer_encryption_key_name=section.texts("encryptionKeys"),
        producer_crypto_failure_action=_read_action(section, "producerCryptoFailureAction", PRODUCER_ACTIONS),
        consumer_crypto_failure_action=_read_action(section, "consumerCryptoFailureAction", CONSUMER_ACTIONS),
    )
    if not spec.crypto_key_reader_class_name:
        section.problem("cryptoKeyReaderClassName", "must be given")
    if producer and not spec.producer_encryption_key_name:
        section.problem("encryptionKeys", "must name a key at least")
    section.refuse_unread()
    return spec


def _read_action(section: Section, key: str, allowed: tuple[CryptoFailureAction, ...]) -> CryptoFailureAction:
    action = section.choice(key, CryptoFailureAction, CryptoFailureAction.FAIL)
    if action not in allowed:
        section.problem(key, f"must be one of {', '.join(a.name for a in allowed)} (got {action.name})")
    return action
