"""Options of methods as text: `alpha=0.3` to the field `alpha: float` of a method's dataclass."""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from asr_unlearn.methods.method import Method
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import did_you_mean


def _found() -> dict[str, type[Method]]:
    methods: dict[str, type[Method]] = {}
    package = Path(__file__).parent
    for file in pkgutil.iter_modules([str(package)]):
        module = importlib.import_module(f"{__package__}.{file.name}")
        for found in filter(inspect.isclass, vars(module).values()):
            if issubclass(found, Method) and found is not Method:
                methods[found.name] = found
    return dict(sorted(methods.items()))


METHODS = _found()


def own_method(name: str) -> tuple[str, str] | None:
    """File and class of `path/to/file.py:Class`; None for what is a name alone."""
    file, separator, attribute = name.rpartition(":")
    return (file, attribute) if separator else None


def find_method(name: str) -> type[Method]:
    """The method of that name, or the class in `path/to/file.py:Class`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name in METHODS:
        return METHODS[name]
    own = own_method(name)
    if own is None:
        raise InputError(
            f"unknown method {name!r}{did_you_mean(name, METHODS)}; there are "
            f"{', '.join(METHODS)}, "
            "and your own as path/to/file.py:ClassName"
        )
    file, attribute = own
    path = Path(file)
    if not path.is_file():
        raise InputError(f"method {name!r}: there is no file {path}")
    # Called by its path, so that what it defines can be found again (see `spelling`).
    spec = importlib.util.spec_from_file_location(file, path)
    if spec is None or spec.loader is None:
        raise InputError(f"method {name!r}: {path} is no Python file; call it {path.stem}.py")
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look up annotations that are text.
    sys.modules[file] = module
    spec.loader.exec_module(module)
    method = getattr(module, attribute, None)
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(f"{path} defines no subclass of Method called {attribute!r}")
    return method


def spelling(method: Method) -> str:
    """The name by which `find_method` finds a method's class again."""
    kind = type(method)
    if METHODS.get(kind.name) is kind:
        return kind.name
    return f"{kind.__module__}:{kind.__name__}"


def make_method(name: str, options: Mapping[str, Any]) -> Method:
    """A method with its options given as text or as values.

    Raises:
        ValueError: an option it does not have, a value that does not fit, or a class of one's own
            that cannot be made.
    """
    method = find_method(name)
    hints = get_type_hints(method)
    known = {field.name: hints[field.name] for field in fields(method)}
    values = {}
    for key, value in options.items():
        if key not in known:
            raise InputError(
                f"{method.name} has no option {key!r}{did_you_mean(key, known)}; "
                f"it has {', '.join(known)}"
            )
        try:
            values[key] = convert(value, known[key])
        except (TypeError, ValueError) as error:
            raise InputError(f"{method.name}.{key}={value!r}: {error}") from error
    try:
        return method(**values)
    except TypeError as error:
        raise InputError(
            f"method {name!r}: {error}; a method is a @dataclass(kw_only=True) with a default for "
            "each option, and defines `loss` or `direction`"
        ) from error


def convert(value: Any, kind: Any) -> Any:
    """`value`, perhaps text, as the annotated type.

    Raises:
        ValueError: it is not one.
    """
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise InputError(f"choose from {', '.join(map(repr, get_args(kind)))}")
        return value
    if origin in (Union, types.UnionType):
        if type(None) in get_args(kind) and (value is None or value == "none"):
            return None
        *others, last = (k for k in get_args(kind) if k is not type(None))
        for other in others:
            with suppress(TypeError, ValueError):
                return convert(value, other)
        return convert(value, last)
    if kind is bool:
        words = {"true": True, "false": False}
        if str(value).lower() not in words:
            raise InputError("say true or false")
        return words[str(value).lower()]
    if kind is int and isinstance(value, float):
        raise InputError("a whole number is needed")
    return kind(value)


def parse_assignments(text: str) -> dict[str, str]:
    """`"a=1,b=x"` as a dictionary.

    Raises:
        ValueError: an entry without `=`.
    """
    pairs = {}
    for assignment in filter(None, text.split(",")):
        key, separator, value = assignment.partition("=")
        if not separator:
            raise InputError(f"{assignment!r} is not of the form key=value")
        pairs[key.strip()] = value.strip()
    return pairs
