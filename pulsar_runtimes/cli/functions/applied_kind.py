"""The kinds of components that a directory may hold: where their files are, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pulsar_runtimes.config.connector_update import merge_sink_update, merge_source_update
from pulsar_runtimes.config.function import PACKAGE_KEYS, parse_function_config
from pulsar_runtimes.config.function_input import INPUT_KEYS
from pulsar_runtimes.config.function_json import build_function_config
from pulsar_runtimes.config.function_update import merge_update
from pulsar_runtimes.config.section import Section
from pulsar_runtimes.config.sink import SINK_INPUT_KEYS, parse_sink_config
from pulsar_runtimes.config.sink_json import build_sink_config
from pulsar_runtimes.config.source import parse_source_config
from pulsar_runtimes.config.source_json import build_source_config
from pulsar_runtimes.model.errors import ConfigError
from pulsar_runtimes.model.function import ComponentType, FunctionSpec

from .connector_request import build_sink_request, build_source_request
from .function_request import FunctionRequest, build_request


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of component. Its files are in the subdirectory ``folder``, in the form that pulsar-admin takes.

    ``merge`` gives the config after an update, and ``kept`` are members that it leaves alone without a word.
    ``own_keys`` tell a config of this kind from the others. ``renamed`` says where a worker tells what a member of a
    file sets, if not under the same name.
    """

    type: ComponentType
    title: str
    folder: str
    request: Callable[[Section, str], FunctionRequest]
    parse: Callable[[Section], FunctionSpec]
    build: Callable[[FunctionSpec], dict[str, Any]]
    merge: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    own_keys: Collection[str]
    renamed: Mapping[str, str]
    kept: Collection[str] = ()

    def config(self, section: Section) -> dict[str, Any]:
        """What a worker would tell of the component that ``section`` describes."""
        return self.build(self.parse(replace(section, problems=[], warnings=[])))

    def member(self, key: str) -> str:
        """Where a worker tells what ``key`` of a file sets."""
        return self.renamed.get(key, key)

    def refuse_other_kinds(self, section: Section) -> None:
        """``ConfigError`` when ``section`` has what only configs of other kinds have."""
        for kind in KINDS:
            for key in section.values if kind is not self else ():
                if key in kind.own_keys and key not in self.own_keys:
                    section.problem(key, f"makes this the config of a {kind.title}, whose place is {kind.folder}/")
        if self is FUNCTION and not section.problems and "archive" in section:
            section.problem("archive", "makes this the config of a sink or source, whose place is sinks/ or sources/")
        if section.problems:
            raise ConfigError(section.problems)


FUNCTION = Kind(
    ComponentType.FUNCTION,
    "function",
    "functions",
    build_request,
    parse_function_config,
    build_function_config,
    merge_update,
    own_keys=(*PACKAGE_KEYS, "output"),
    renamed={**dict.fromkeys(INPUT_KEYS, "inputSpecs"), "batchBuilder": "producerConfig"},
    kept=("subscriptionPosition", "forwardSourceMessageProperty"),
)
SINK = Kind(
    ComponentType.SINK,
    "sink",
    "sinks",
    build_sink_request,
    parse_sink_config,
    build_sink_config,
    merge_sink_update,
    own_keys=("sinkType", "sourceSubscriptionName", "sourceSubscriptionPosition", "transformFunction"),
    renamed=dict.fromkeys(SINK_INPUT_KEYS, "inputSpecs"),
)
SOURCE = Kind(
    ComponentType.SOURCE,
    "source",
    "sources",
    build_source_request,
    parse_source_config,
    build_source_config,
    merge_source_update,
    own_keys=("sourceType", "topicName", "batchSourceConfig"),
    renamed={},
)
KINDS = (SOURCE, FUNCTION, SINK)
"""In the order in which messages go through them."""
