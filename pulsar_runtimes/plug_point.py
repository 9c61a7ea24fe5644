"""Finding a plug-in class by the name that a configuration gives.

One look-up serves every plug point. A name is, in this order, the Java class name of something built in, the
name of an entry point, or a path to a class (``module:Class`` or ``module.Class``). Built-in and third-party
classes stand in the same entry-point group, so they are equals. Nothing is scanned or imported before it is
asked for.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pulsar_runtimes.config.section import nearest, shown
from pulsar_runtimes.model.errors import RegistryError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

_JAVA_PACKAGE = "org.apache.pulsar."


@dataclass(frozen=True, slots=True)
class Plugin:
    """One name that an installed distribution registers.

    ``target`` is the class as ``module:Class``. ``error`` says why the plug-in cannot be used; it is empty
    when it can, and also when nobody has tried (see :meth:`PlugPoint.describe`).
    """

    name: str
    distribution: str
    version: str
    target: str
    error: str = ""

    @property
    def source(self) -> str:
        """The distribution with its version, as messages name it."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class PlugPoint(Generic[T]):
    """One kind of thing that third parties may bring.

    ``group`` is the entry-point group, ``base`` the class to subclass, ``what`` its name in a sentence,
    ``setting`` the configuration key that holds the name. ``aliases`` leads from the Java class names of
    existing configurations to entry point names.
    """

    group: str
    base: type[T]
    what: str
    setting: str
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> type[T]:
        """The class that ``name`` stands for, imported and checked. ``RegistryError`` says why there is none."""
        plugin = self._plugin(self.aliases.get(name, name))
        if plugin is not None:
            return self._use(plugin)
        if name in self.aliases:
            raise self._error(
                f"{name} is built in as {self.aliases[name]!r}, but nothing installed registers that name; "
                "reinstall pulsar-runtimes"
            )
        if name.startswith(_JAVA_PACKAGE):
            raise self._error(
                f"a Java class cannot be loaded (got {shown(name, 200)}); {self._choices(name, self.aliases)}"
            )
        if ":" in name or "." in name:
            return self._checked(self._load(name, f"{self.what} {name!r}", "; is it on PYTHONPATH?"), name)
        raise self._error(f"no {self.what} named {shown(name)}; {self._choices(name)}")

    def installed(self) -> tuple[Plugin, ...]:
        """Every registered plug-in, by name; nothing is imported. A name claimed twice is there twice."""
        from importlib.metadata import entry_points  # costs milliseconds, and most imports never need it

        return _distinct(_plugin(entry) for entry in entry_points(group=self.group))

    def describe(self) -> tuple[Plugin, ...]:
        """:meth:`installed`, each one tried: ``error`` says why it cannot be used. Imports them all."""
        return tuple(replace(plugin, error=self._trouble(plugin)) for plugin in self.installed())

    def _trouble(self, plugin: Plugin) -> str:
        try:
            self._plugin(plugin.name)
            self._use(plugin)
        except RegistryError as error:
            return str(error).removeprefix(f"{self.setting}: ")
        return ""

    def _plugin(self, name: str) -> Plugin | None:
        claims = [plugin for plugin in self.installed() if plugin.name == name]
        if len(claims) > 1:
            listed = " and by ".join(f"{claim.source} ({claim.target})" for claim in claims)
            raise self._error(
                f"the {self.what} {name!r} is claimed by {listed}; uninstall all but one, or write module:Class"
            )
        return claims[0] if claims else None

    def _use(self, plugin: Plugin) -> type[T]:
        where = f"{self.what} {plugin.name!r} of {plugin.source}"
        return self._checked(
            self._load(plugin.target, where, f"; reinstall {plugin.distribution}"),
            f"{plugin.target} of {plugin.source}",
        )

    def _load(self, target: str, where: str, remedy: str) -> object:
        """What ``target`` names. ``where`` begins each message, ``remedy`` ends that of an absent module."""
        module_name, _, path = target.partition(":") if ":" in target else target.rpartition(".")
        if not module_name or not path:
            raise self._error(f"{where}: must be module:Class (got {shown(target)})")
        found: Any = self._import(module_name, where, remedy)
        for name in path.split("."):
            if not hasattr(found, name):
                hint = nearest(name, [known for known in dir(found) if not known.startswith("_")])
                raise self._error(f"{where}: {module_name} has no {path!r}{hint}")
            found = getattr(found, name)
        return found

    def _import(self, module_name: str, where: str, remedy: str) -> object:
        try:
            return importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and f"{module_name}.".startswith(f"{error.name}."):
                raise self._error(f"{where}: there is no module {error.name!r}{remedy}") from error
            raise self._error(
                f"{where}: {module_name} is there, but it imports {error.name!r}, which is not; "
                f"install what provides {error.name!r}"
            ) from error
        except (Exception, SystemExit) as error:  # whatever a stranger's module does, it is about that module
            cause = " ".join(str(error).split())
            raise self._error(f"{where}: {module_name} cannot be imported ({type(error).__name__}: {cause})") from error

    def _checked(self, found: object, where: str) -> type[T]:
        if not inspect.isclass(found):
            raise self._error(f"{where}: must be a subclass of {_full_name(self.base)} (got {_described(found)})")
        if not issubclass(found, self.base):
            raise self._error(
                f"{where}: must be a subclass of {_full_name(self.base)} (got the class {_full_name(found)})"
            )
        missing = _missing_members(found, self.base)
        if missing:
            raise self._error(
                f"{where}: the class leaves out {', '.join(missing)}; define what {_full_name(self.base)} asks for"
            )
        return found

    def _choices(self, name: str, known: Iterable[str] = ()) -> str:
        names = sorted({plugin.name for plugin in self.installed()})
        return f"installed: {', '.join(names) or 'none'}{nearest(name, [*names, *known])}"

    def _error(self, message: str) -> RegistryError:
        return RegistryError(f"{self.setting}: {message}")


def _plugin(entry: EntryPoint) -> Plugin:
    name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("an unnamed distribution", "?")
    return Plugin(entry.name, name, version, entry.value.partition("[")[0].strip())


def _distinct(plugins: Iterable[Plugin]) -> tuple[Plugin, ...]:
    """One plug-in per name and distribution, the first on ``sys.path``.

    A checkout on ``sys.path`` has its egg-info beside the dist-info of its editable install: that is one
    distribution seen twice, not two.
    """
    first: dict[tuple[str, str], Plugin] = {}
    for plugin in plugins:
        first.setdefault((plugin.name, re.sub(r"[-_.]+", "-", plugin.distribution).lower()), plugin)
    return tuple(first[key] for key in sorted(first))


def _missing_members(found: type[Any], base: type[Any]) -> list[str]:
    """Abstract methods not written, and class variables that ``base`` declares but ``found`` does not set."""
    declared = [
        name
        for name, annotation in inspect.get_annotations(base).items()
        if "ClassVar" in str(annotation) and not hasattr(found, name)
    ]
    return declared + sorted(getattr(found, "__abstractmethods__", ()))


def _full_name(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _described(value: object) -> str:
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {value.__name__}"
    return f"a value of type {type(value).__name__}"
