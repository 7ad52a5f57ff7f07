"""The classes of plug-ins: imported when they are named or listed, and what their signatures and their code are.

What was read is kept in the cache by the times of the files, so that the next listing imports nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..console import say
from ..options import BadOption, Option, shortened, unknown
from ..signatures import Signature, parse_annotation, read_class, source_of_annotation
from .live import class_signature
from .references import CONTRACTS, TRUSTED, Plugin
from .sources import FILE_MODULE, files_of

HERE = Path(__file__).parent
READERS = ("classes.py", "live.py", "sources.py", "../signatures.py", "../options.py")  # what is kept depends on them


class BrokenPlugin(BadOption):
    """A plug-in that cannot be used: package or file, and why."""


@dataclass(frozen=True)
class PluginFacts:
    """What is known of a plug-in's class without importing it again."""

    signature: Signature
    code: str  # digest of its code and of the versions of ours that it is derived from
    files: tuple[Path, ...]  # of its code


def read_plugin(plugin: Plugin) -> PluginFacts:
    """The signature and the code of a plug-in's class; BrokenPlugin where it cannot be used."""
    return _facts(plugin, _mark(plugin))


def _mark(plugin: Plugin) -> tuple[int, ...]:
    """What changes when a file is edited: the class in it is then read anew. A package is imported once a process."""
    return () if plugin.package else tuple(_stamp(Path(plugin.place)))


@functools.cache
def _facts(plugin: Plugin, mark: tuple[int, ...]) -> PluginFacts:
    kept = _kept_file(plugin)
    return _from_cache(kept) or _import_facts(plugin, kept)


def named_before(plugin: Plugin) -> bool:
    """Whether the user has named this class of a file: in this process, or on this machine."""
    return plugin.reference in TRUSTED or _kept_file(plugin).exists()


def load_class(plugin: Plugin) -> type:
    """The class itself. BrokenPlugin where it cannot be imported, is another class, or lacks a method."""
    return _class(plugin, _mark(plugin))


@functools.cache
def _class(plugin: Plugin, mark: tuple[int, ...]) -> type:
    try:
        module = importlib.import_module(plugin.module) if plugin.package else _import_file(plugin, mark)
    except (Exception, SystemExit) as error:
        raise _broken(plugin, f"{_where(plugin, error)}{_reason(error)}") from None
    found = _named_class(plugin, module)
    package, contract = CONTRACTS[plugin.kind]
    if not is_derived(found, package, contract):
        raise _broken(plugin, f"{module.__file__}: {found.__name__} is no class derived from {package}'s {contract}")
    if lacking := sorted(getattr(found, "__abstractmethods__", ())):
        raise _broken(plugin, f"{module.__file__}: {found.__name__} lacks {', '.join(lacking)}")
    return found


def is_derived(found: object, package: str, contract: str) -> bool:
    """Whether `found` is a class derived from that of `package`. The package is not imported for the question."""
    return isinstance(found, type) and any(
        base.__name__ == contract and base.__module__.split(".")[0] == package for base in found.__mro__[1:]
    )


def _named_class(plugin: Plugin, module: ModuleType) -> type:
    there = {
        name: value
        for name, value in vars(module).items()
        if is_derived(value, *CONTRACTS[plugin.kind]) and value.__module__ == module.__name__
    }
    if not plugin.attribute:
        if len(there) == 1:
            return next(iter(there.values()))
        found = f"has the classes {', '.join(there)}" if there else "has none"
        raise _broken(plugin, f"{module.__file__}: {found}; an entry point names one, {plugin.name} = {plugin.module}:CLASS")
    value: Any = module
    for part in plugin.attribute.split("."):
        if not hasattr(value, part):
            classes = f"; there are: {', '.join(there)}" if there else ""
            raise _broken(plugin, f"{module.__file__}: no class {plugin.attribute}{classes}")
        value = getattr(value, part)
    if not isinstance(value, type):
        raise _broken(plugin, f"{module.__file__}: {plugin.attribute} is no class")
    return value


def _import_file(plugin: Plugin, mark: tuple[int, ...]) -> ModuleType:
    """The module in a file, which is run again where the file has changed since."""
    name = f"{FILE_MODULE}{hashlib.sha256(plugin.place.encode()).hexdigest()[:12]}"
    if name in sys.modules and vars(sys.modules[name]).get("__mark__") == mark:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, plugin.place)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    vars(module)["__mark__"] = mark
    return module


def _broken(plugin: Plugin, why: str) -> BrokenPlugin:
    return BrokenPlugin(f"{plugin.said} cannot be used: {why}")


def _where(plugin: Plugin, error: BaseException) -> str:
    """The file and line that raised; the module where none was reached."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    frames = [frame for frame in frames if frame.filename not in (__file__, importlib.__file__)]
    return f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else f"{plugin.module or plugin.place}: "


def _reason(error: BaseException) -> str:
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return shortened(f"{type(error).__name__}: {' '.join(said.split())}".rstrip(": "), 150)


# What is kept


def _kept_file(plugin: Plugin) -> Path:
    from ..data.cache import cache_folder  # imports numpy, which is needed only where there is a plug-in

    text = json.dumps([sys.version, plugin.kind, plugin.module, plugin.attribute, plugin.place])
    return cache_folder() / "plugins" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_size]


def _from_cache(kept: Path) -> PluginFacts | None:
    """What was kept, where no file that it depends on has changed since."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        found = json.loads(kept.read_text(encoding="utf-8"))
        if all(_stamp(Path(path)) == stamp for path, stamp in found["stamps"].items()):
            options = {name: _read_option(name, said) for name, said in found["options"].items()}
            signature = Signature(options, found["constants"], found["doc"], found["class_name"])
            return PluginFacts(signature, found["code"], tuple(map(Path, found["files"])))
    return None


def _import_facts(plugin: Plugin, kept: Path) -> PluginFacts:
    from ..store.record import digest, write_atomically
    from .code_shape import code_digest

    found = load_class(plugin)
    try:
        theirs, ours = files_of(found)
        stamps = {str(path): _stamp(path) for path in (*theirs, *ours, *((HERE / name).resolve() for name in READERS))}
        signature = class_signature(found, plugin.kind)
        versions = [vars(base).get("version") for base in found.__mro__]
        code = digest([found.__qualname__, code_digest(theirs), [one for one in versions if isinstance(one, int)]])
    except (OSError, SyntaxError, TypeError, ValueError) as error:
        raise _broken(plugin, f"{_where(plugin, error)}{_reason(error)}") from None
    facts = {
        "stamps": stamps,
        "options": {name: _written_option(option) for name, option in signature.options.items()},
        "constants": signature.constants,
        "doc": signature.doc,
        "class_name": signature.class_name,
        "code": code,
        "files": list(map(str, theirs)),
    }
    with contextlib.suppress(OSError):  # it is imported again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(facts, ensure_ascii=False).encode())
    return PluginFacts(signature, code, theirs)


def _written_option(option: Option) -> dict[str, Any]:
    annotation = source_of_annotation(option.annotation, option.needs, option.where)
    return {"annotation": annotation, "default": option.default, "comment": option.comment}


def _read_option(name: str, said: Mapping[str, Any]) -> Option:
    annotation, needs, where = parse_annotation(said["annotation"])
    return Option(name, annotation, said["default"], said["comment"], needs, where)


def signature_of(place: Path | Plugin, base: str) -> Signature:
    """What the source of a class says: a plug-in's, or of a file of ours the class derived from `base`."""
    return read_plugin(place).signature if isinstance(place, Plugin) else read_class(place, base=base)


# Many at a time


class Registry(dict[str, Any]):
    """Classes by name. KeyError, with the nearest name, for what is none."""

    def __init__(self, kind: str, classes: Mapping[str, Any]) -> None:
        super().__init__(classes)
        self.kind = kind

    def __missing__(self, name: object) -> Any:
        hint = f"a named setting is no class: `rnnbench list {self.kind}s NAME` says of which one it is, with what options"
        raise KeyError(f"{unknown(f'class of a {self.kind}', str(name), self)}; {hint}")


def every_class(plugins: Mapping[str, Plugin]) -> dict[str, Any]:
    """The classes of those that work, by name; a line on standard error says what is wrong with the others."""
    found = {}
    for name, plugin in plugins.items():
        try:
            found[name] = load_class(plugin)
        except BrokenPlugin as error:
            say(f"rnnbench: {error}", sys.stderr)
    return found
