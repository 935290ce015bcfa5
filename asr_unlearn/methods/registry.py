"""Methods by name, built in or from a user's file, and made from options."""

import importlib.util
import sys
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from asr_unlearn.methods.method import Method
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.runtime.subclasses import named_classes
from asr_unlearn.runtime.text import did_you_mean, plain_argument_error

METHODS = named_classes(__package__, Path(__file__).parent, Method)
_USERS_METHODS: dict[type[Method], str] = {}


def users_method(name: str) -> tuple[str, str] | None:
    """File and class of `path/to/file.py:Class`; None for the name of a built-in method."""
    file, separator, attribute = name.rpartition(":")
    return (file, attribute) if separator else None


def find_method(name: str) -> type[Method]:
    """The method of that name, or the class in `path/to/file.py:Class`.

    Raises:
        InputError: there is none; the message lists the built-in ones.
    """
    if name in METHODS:
        return METHODS[name]
    users = users_method(name)
    if users is None:
        raise InputError(
            f"unknown method {name!r}{did_you_mean(name, METHODS)}; there are "
            f"{', '.join(METHODS)}, "
            "and your own as path/to/file.py:ClassName"
        )
    file, attribute = users
    path = Path(file)
    if not path.is_file():
        raise InputError(f"method {name!r}: there is no file {path}")
    # A name that can be imported, since a parser looks classes up by their module's.
    module_name = f"users_method_{digest_of(str(path.resolve()))[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"method {name!r}: {path} is no Python file; call it {path.stem}.py")
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look up annotations that are text.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    # A file of one's own may raise anything, and end the program.
    except (Exception, SystemExit) as error:
        line = getattr(error, "lineno", None)
        at = f"{path}, line {line}" if line else str(path)
        reason = getattr(error, "msg", None) or str(error) or "no message"
        raise InputError(
            f"method {name!r}: {at} cannot be loaded: {type(error).__name__}: {reason}"
        ) from error
    method = getattr(module, attribute, None)
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(f"{path} defines no subclass of Method called {attribute!r}")
    _USERS_METHODS[method] = name
    return method


def name_of(method: Method) -> str:
    """The name by which `find_method` finds a method's class again."""
    return _USERS_METHODS.get(type(method), method.name)


def published_name(method: Method) -> str:
    """The name of a method for a published file: of a user's file without its folder."""
    users = users_method(name := name_of(method))
    return f"{Path(users[0]).name}:{users[1]}" if users else name


def check_options(method: type[Method], names: Collection[str]) -> None:
    """Raises InputError for an option that a method does not have."""
    known = [field.name for field in fields(method)]
    for name in names:
        if name not in known:
            raise InputError(
                f"{method.name} has no option {name!r}{did_you_mean(name, known)}; "
                f"it has {', '.join(known)}"
            )


def make_method(name: str, options: Mapping[str, Any]) -> Method:
    """A method with its options.

    Args:
        name: as for `find_method`.
        options: by name, as values or as text ("0.3").

    Raises:
        InputError: an option that it does not have, a value of another type or out of range, or a
            user's class that cannot be made.
    """
    method = find_method(name)
    check_options(method, options)
    try:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(method)
        return method(**parser.parse_object(dict(options)).as_dict())
    except ArgumentError as error:
        reason = plain_argument_error(str(error))
        raise InputError(f"{method.name}: {reason}{_hint(method)}") from error
    except TypeError as error:
        raise InputError(f"method {name!r}: {error}{_hint(method)}") from error


def _hint(method: type[Method]) -> str:
    """What a user's class must be; nothing for a built-in method."""
    if method not in _USERS_METHODS:
        return ""
    return (
        "; a method is a @dataclass(kw_only=True) with a default for each option, and defines "
        "`loss` or `direction`"
    )
