"""The user's code: where it is found, and how the function in it is called."""

from __future__ import annotations

import importlib
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

Process = Callable[[Any, Any], Any]
"""The function as an instance calls it: input and context to output, ``None`` for no output."""

_private_names = itertools.count()


class UserCode:
    """One function's code, importable.

    In an interpreter of its own its directories stand first on ``sys.path`` and its modules have their own
    names. In a shared interpreter (``private``) a module file is loaded under a name of its own each time, so
    that two functions may both be called ``main.py``, and a new version is really the new one; what such a
    module imports by name is still shared with the other functions.
    """

    def __init__(self, directories: Sequence[Path], *, private: bool = False) -> None:
        self._directories = tuple(directories)
        self._private = private
        self._modules: dict[str, ModuleType] = {}
        for directory in reversed(self._directories):
            text = str(directory)
            if private:
                if text not in sys.path:
                    sys.path.append(text)
            else:
                sys.path.insert(0, text)
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
            raise LaunchError(f"{name!r}: module {module_name!r} has no {attribute!r}; it has {public}") from None

    def _module(self, module_name: str, wanted: str) -> ModuleType:
        if module_name not in self._modules:
            try:
                self._modules[module_name] = self._import(module_name)
            except ModuleNotFoundError as error:
                if error.name and f"{module_name}.".startswith(f"{error.name}."):
                    places = ", ".join(str(directory) for directory in self._directories)
                    raise LaunchError(f"{wanted!r}: there is no module {module_name!r} in {places}") from None
                raise LaunchError(f"{wanted!r}: importing it failed: {_last_line(error)}") from error
            except (Exception, SystemExit) as error:
                raise LaunchError(f"{wanted!r}: importing it failed: {_last_line(error)}") from error
        return self._modules[module_name]

    def _import(self, module_name: str) -> ModuleType:
        file = next((d / f"{module_name}.py" for d in self._directories if (d / f"{module_name}.py").is_file()), None)
        if not self._private or file is None:
            return importlib.import_module(module_name)
        name = f"_pfrun_{next(_private_names)}_{module_name}"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # pickling and dataclasses look a class's module up by name
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def close(self) -> None:
        """Forget the private modules; nothing of the code is called any more."""
        if self._private:
            for module in self._modules.values():
                if module.__name__.startswith("_pfrun_"):
                    sys.modules.pop(module.__name__, None)
        self._modules.clear()


def load_code(
    path: str, cache: Path, *, private: bool = False, install_wheel: bool = False, pip_options: Sequence[str] = ()
) -> UserCode:
    """Make the code at ``path`` importable: a ``.py`` file as it lies, a ``.zip`` or ``.whl`` unpacked to ``cache``."""
    file = Path(path)
    if not file.is_file():
        raise LaunchError(f"{path}: there is no such file")
    if file.suffix == ".py":
        directories: tuple[Path, ...] = (file.resolve().parent,)
    elif file.suffix in (".zip", ".whl"):
        directories = unpack_package(file, cache, install_wheel=install_wheel, pip_options=pip_options)
    else:
        raise LaunchError(f"{path}: a Python function's code is a .py, .zip or .whl file (got {file.name!r})")
    return UserCode(directories, private=private)


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
            raise LaunchError(f"{class_name!r}: its constructor failed: {_last_line(error)}") from error
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
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or len(positional) >= 2 >= len(needed):
        return function
    if len(positional) == 1:
        return lambda value, _: function(value)
    raise LaunchError(f"{class_name!r} must take (input) or (input, context)")


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()
