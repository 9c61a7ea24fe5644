"""The user's code: where it is found, and how the function in it is called."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import itertools
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pulsar_runtimes.model.errors import LaunchError

from .archive import unpack_package
from .dependencies import Environment, Sources, needs_of_wheel, needs_of_zip, provide_environment

Process = Callable[[Any, Any], Any]
"""The function as an instance calls it: input and context to output, ``None`` for no output."""

_private_names = itertools.count()
_IMPORTLIB = str(Path(importlib.__file__).parent)


class UserCode:
    """One function's code, importable.

    In an interpreter of its own its directories stand first on ``sys.path`` and its modules have their own
    names. In a shared interpreter (``private``) a module or package is loaded under a name of its own each time,
    so that two functions may both be called ``main.py``, and a new version is really the new one; what such a
    module imports by its whole name is still shared with the other functions. So are its dependencies, which
    stand in ``environment``.
    """

    def __init__(
        self, directories: Sequence[Path], *, private: bool = False, environment: Environment | None = None
    ) -> None:
        self._environment = environment
        self._directories = (*directories, *([environment.site_packages] if environment else ()))
        self._private = private
        self._modules: dict[str, ModuleType] = {}
        self._private_tops: dict[str, str] = {}
        for directory in reversed(directories):
            text = str(directory)
            if private:
                if text not in sys.path:
                    sys.path.append(text)
            else:
                sys.path.insert(0, text)
        if environment:
            environment.make_importable(last=private)
        importlib.invalidate_caches()

    def find_class(self, name: str) -> Any:
        """What ``className`` names: the last segment of a module, or a whole module when there is no dot.

        ``LaunchError`` says whether the module, the name in it, or the module's own import is the trouble.
        """
        module_name, _, attribute = name.rpartition(".")
        if not module_name:
            return self._module(name, name)
        if module_name == "serde":
            module_name = "pulsar.functions.serde"
        module = self._module(module_name, name)
        try:
            return getattr(module, attribute)
        except AttributeError:
            public = ", ".join(sorted(key for key in vars(module) if not key.startswith("_"))) or "nothing"
            where = f"{module_name!r} ({getattr(module, '__file__', None) or 'built in'})"
            raise LaunchError(f"{name!r}: module {where} has no {attribute!r}; it has {public}") from None

    def _module(self, module_name: str, wanted: str) -> ModuleType:
        if module_name not in self._modules:
            try:
                self._modules[module_name] = self._import(module_name)
            except ModuleNotFoundError as error:
                if error.name and f"{module_name}.".startswith(f"{error.name}."):
                    places = ", ".join(str(directory) for directory in self._directories)
                    raise LaunchError(f"{wanted!r}: there is no module {module_name!r} in {places}") from None
                raise LaunchError(f"{wanted!r}: importing it failed: {_last_line(error)}") from _shown(error)
            except (Exception, SystemExit) as error:
                raise LaunchError(f"{wanted!r}: importing it failed: {_last_line(error)}") from _shown(error)
        return self._modules[module_name]

    def _import(self, module_name: str) -> ModuleType:
        top, *rest = module_name.split(".")
        directory = next((d for d in self._directories if _has_module(d.joinpath(top, *rest))), None)
        if not self._private or directory is None:
            return importlib.import_module(module_name)
        if top not in self._private_tops:
            name = f"_pfrun_{next(_private_names)}_{top}"
            try:
                _load_as(name, directory / top)
            except BaseException:
                _forget(name)
                raise
            self._private_tops[top] = name
        try:
            return importlib.import_module(".".join((self._private_tops[top], *rest)))
        except ModuleNotFoundError as error:
            if error.name:
                error.name = error.name.replace(self._private_tops[top], top)
            raise

    def close(self) -> None:
        """Forget the private modules; nothing of the code is called any more."""
        for name in self._private_tops.values():
            _forget(name)
        self._private_tops.clear()
        self._modules.clear()
        if self._environment:
            self._environment.close()


def _has_module(place: Path) -> bool:
    """Whether ``place`` is a module, ``place.py``, or a package, ``place/__init__.py``."""
    return place.with_name(f"{place.name}.py").is_file() or (place / "__init__.py").is_file()


def _load_as(name: str, place: Path) -> None:
    """Import the module or package at ``place`` under another ``name``."""
    file, package = place.with_name(f"{place.name}.py"), place / "__init__.py"
    if package.is_file():
        spec = importlib.util.spec_from_file_location(name, package, submodule_search_locations=[str(place)])
    elif file.is_file():
        spec = importlib.util.spec_from_file_location(name, file)
    else:  # a directory without __init__.py is a package as well
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickling and dataclasses look a class's module up by name
    if spec.loader is not None:
        spec.loader.exec_module(module)


def _forget(name: str) -> None:
    for key in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        sys.modules.pop(key, None)


def load_code(
    path: str,
    cache: Path,
    *,
    private: bool = False,
    sources: Sources = Sources(),  # noqa: B008 - it is frozen
    environments: Path | None = None,
) -> UserCode:
    """Make the code at ``path`` importable, with all that it needs: when this returns, that is installed.

    A ``.py`` file is used as it lies, a ``.zip`` or ``.whl`` is unpacked to ``cache``. What it needs goes below
    ``environments``, which is beside ``cache`` unless it is given.
    """
    file = Path(path)
    if not file.is_file():
        raise LaunchError(f"{path}: there is no such file")
    if file.suffix == ".py":
        return UserCode([file.resolve().parent], private=private)
    if file.suffix not in (".zip", ".whl"):
        raise LaunchError(f"{path}: a Python function's code is a .py, .zip or .whl file (got {file.name!r})")
    directories, needs = list[Path](), None
    if file.suffix == ".whl" and sources.anywhere:
        needs = needs_of_wheel(file)
    else:
        package = unpack_package(file, cache)
        directories.append(package.code)
        needs = needs_of_zip(package) if file.suffix == ".zip" else None
    environment = provide_environment(needs, sources, environments or cache.parent / "environments") if needs else None
    return UserCode(directories, private=private, environment=environment)


def build_process(code: UserCode, class_name: str) -> Process:
    """The callable behind ``className``, as the reference finds it.

    A class is instantiated and its ``process(input, context)`` called; a module or other object that has
    ``process`` is used as is, with ``process(input)``; and, beyond the reference, a plain function of one or
    two parameters is called itself. ``LaunchError`` when nothing of this fits or the constructor fails.
    """
    target = code.find_class(class_name)
    if inspect.isclass(target):
        try:
            instance = target()
        except (Exception, SystemExit) as error:
            raise LaunchError(f"{class_name!r}: its constructor failed: {_last_line(error)}") from _shown(error)
        if not callable(getattr(instance, "process", None)):
            raise LaunchError(f"{class_name!r} has no method process(input, context)")
        process: Process = instance.process  # type: ignore[attr-defined]
        return process
    if callable(getattr(target, "process", None)):
        return _adapt(target.process, class_name)
    if callable(target):
        return _adapt(target, class_name)
    raise LaunchError(f"{class_name!r} is neither a class with process(input, context) nor has it process(input)")


def _adapt(function: Callable[..., Any], class_name: str) -> Process:
    if _takes(function, 2):
        return function
    if _takes(function, 1):
        return lambda value, _: function(value)
    raise LaunchError(f"{class_name!r} must take (input) or (input, context)")


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):  # it takes more or less, or is built in and does not tell
        return False
    return True


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _shown(error: BaseException) -> BaseException:
    """``error`` with a traceback that begins in the user's code: how pfrun came there helps nobody."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(
        (__file__, _IMPORTLIB, "<frozen importlib")
    ):
        trace = trace.tb_next
    return error.with_traceback(trace)
