"""``pfrun factories``."""

from __future__ import annotations

from typing import Any

import click

from pulsar_runtimes.plug_point import Plugin
from pulsar_runtimes.runtimes.registry import RUNTIME_FACTORIES
from pulsar_runtimes.worker.broker_keeper import BROKERS

from .options import output_option
from .output import print_json, print_table, print_title


@click.command("factories")
@output_option("table")
def command(output: str) -> None:
    """List the installed runtimes and brokers, each with the reason when it cannot be used.

    The name is what functionRuntimeFactoryClassName, or --broker, takes.
    """
    factories = [_described(plugin, _factory_languages(plugin)) for plugin in RUNTIME_FACTORIES.describe()]
    brokers = [_described(plugin, _broker_languages(plugin)) for plugin in BROKERS.describe()]
    if output == "json":
        print_json({"runtime_factories": factories, "brokers": brokers})
        return
    print_table(*_table("runtime factory", factories))
    print_title("Brokers to start when pulsarServiceUrl is not set")
    print_table(*_table("broker", brokers))


def _factory_languages(plugin: Plugin) -> list[str]:
    return [] if plugin.error else _names(RUNTIME_FACTORIES.find(plugin.name).capabilities.languages)


def _broker_languages(plugin: Plugin) -> list[str]:
    return [] if plugin.error else _names(BROKERS.find(plugin.name).limits.languages)


def _names(languages: Any) -> list[str]:
    return sorted(language.name for language in languages)


def _described(plugin: Plugin, languages: list[str]) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "target": plugin.target,
        "languages": languages,
        "error": plugin.error or None,
    }


def _table(first: str, described: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            plugin["name"],
            f"{plugin['distribution']} {plugin['version']}",
            ", ".join(plugin["languages"]),
            plugin["target"],
            f"cannot be used: {plugin['error']}" if plugin["error"] else "",
        ]
        for plugin in described
    ]
    return [first, "distribution", "languages", "class", "problem"], rows
