"""darknet's cfg files: text -> sections -> options, each a key and its value.

A cfg file is a list of sections. `[name]` opens one, `key=value` lines fill it, and lines that
start with `#` or `;` are comments. The first section, `[net]`, describes training; each one after
it is a layer. Spaces, tabs and carriage returns mean nothing anywhere.

Every error names the file, the line and, for values, the key, what was found and what was expected.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from darknet_py.checks import Check, number, one_of, whole
from darknet_py.errors import CfgError, counted
from darknet_py.files import starts_as_weights, why_tensors
from darknet_py.suggest import hint

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_CFG_BYTES = 1 << 20
_BLANK = dict.fromkeys(map(ord, " \t\r\n"))
_ALIASES = {"network": "net", "conn": "connected", "soft": "softmax"}
# Keys of our own that change what a new network starts from.
INITIAL = ("init", "init_symbols", "forget_bias")
INT_MAX = 2**31 - 1


def printable(text: str, limit: int = 40) -> str:
    """`text` for a message: unprintable characters escaped, long texts cut."""
    return _show(text, limit)[1:-1]


def _show(text: str, limit: int = 40) -> str:
    """`text` in quotes for a message: unprintable characters escaped, long ones cut."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


@dataclass(frozen=True)
class Option:
    """One `key=value`; `place` is where a message says it stands: `file:line`, or for an override
    what set it, e.g. `--set`. target: of an override in layers, what comes before the key there,
    like `rnn.`.
    """

    key: str
    value: str
    place: str
    is_override: bool = False
    target: str = ""

    def parsed(self, text: str, check: Check[T]) -> T:
        """What the value, or a part of it, means. Raises CfgError."""
        try:
            return check.parsed(text)
        except ValueError as error:
            raise CfgError(f"{self.place}: {self}: expected {error}") from None

    def __str__(self) -> str:
        return f"{self.target}{printable(self.key)}={_show(self.value)}"


@dataclass
class Section:
    """One section: its canonical name, the place of its head (and its row, from 0), its options.

    The typed readers below remember which keys were asked for, so that the others can be reported.
    """

    name: str
    place: str
    row: int
    options: dict[str, Option] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set, repr=False)

    def error(self, message: str, *keys: str) -> CfgError:
        """keys: those at fault; if one of them was overridden, the message names that instead of
        the section.
        """
        return CfgError(f"{self.overrides(*keys) or self._head()}: {message}")

    def _head(self) -> str:
        return f"{self.place}: [{printable(self.name)}]"

    def overrides(self, *keys: str) -> str:
        """Those of these keys that were overridden, as `--set batch=64`; empty if none was."""
        options = [self.options[key] for key in keys if key in self.options]
        return " ".join(
            f"{option.place} {option.target}{printable(option.key)}={printable(option.value)}"
            for option in options
            if option.is_override
        )

    def changed(self, changes: Mapping[str, Option | None]) -> Section:
        """A copy with these options set, or removed where None."""
        options = {**self.options, **changes}
        kept = {key: option for key, option in options.items() if option is not None}
        return Section(self.name, self.place, self.row, kept)

    def find(self, key: str) -> Option | None:
        self._asked.add(key)
        return self.options.get(key)

    def unused(self) -> list[Option]:
        """The options that nothing asked for."""
        return [option for key, option in self.options.items() if key not in self._asked]

    @property
    def known(self) -> list[str]:
        """The keys that were asked for."""
        return sorted(self._asked)

    def read(self, key: str, default: T, check: Check[T]) -> T:
        """The value of a key. Raises CfgError."""
        option = self.find(key)
        return default if option is None else option.parsed(option.value, check)

    def integer(self, key: str, default: int, minimum: int = 0, maximum: int = INT_MAX) -> int:
        """A whole number between `minimum` and `maximum`. Raises CfgError."""
        return self.read(key, default, whole(minimum, maximum))

    def flag(self, key: str, default: bool = False) -> bool:
        """1 or 0; as in C, any other whole number counts as 1. Raises CfgError."""
        return self.integer(key, int(default), minimum=-INT_MAX) != 0

    def number(
        self,
        key: str,
        default: float,
        minimum: float = -math.inf,
        maximum: float = math.inf,
        above: float = -math.inf,
    ) -> float:
        """A number between `minimum` and `maximum`, and greater than `above`. Raises CfgError."""
        return self.read(key, default, number(minimum, maximum, above))

    def choice(self, key: str, default: str, choices: Iterable[str]) -> str:
        """One of `choices`. Raises CfgError."""
        return self.read(key, default, one_of(*choices))

    def items(self, key: str, check: Check[T], *blamed: str) -> tuple[T, ...]:
        """A comma list, required. Raises CfgError.

        blamed: the keys because of which it is required, see `error`.
        """
        option = self.find(key)
        if option is None:
            raise self.error(f"{key} is missing: expected a comma list of numbers", *blamed)
        return tuple(option.parsed(item, check) for item in option.value.split(","))


@dataclass
class Cfg:
    """A parsed cfg file: `[net]`, then a section per layer; `lines` is the text it came from."""

    path: str
    lines: list[str]
    sections: list[Section]

    @property
    def net(self) -> Section:
        return self.sections[0]

    @property
    def layers(self) -> list[Section]:
        return self.sections[1:]

    def place(self, *keys: str) -> str:
        """Where a message about these keys of `[net]` says they stand: their overrides, or the
        file.
        """
        return self.net.overrides(*keys) or self.path

    def place_of_sizes(self) -> str:
        """The same about what the size of a datum follows from."""
        return self.place("batch", "subdivisions", "time_steps", "inputs")

    @contextlib.contextmanager
    def blaming(self, *keys: str) -> Iterator[None]:
        """Where these keys of `[net]` were overridden, a CfgError from within names that first."""
        try:
            yield
        except CfgError as error:
            if overrides := self.net.overrides(*keys):
                raise CfgError(f"{overrides}: {error}") from error
            raise

    def text(self) -> str:
        """The file's text, brought up to the sections' options; comments and layout are kept.

        Parsing it gives the same sections.
        """
        ends = [*(section.row for section in self.sections[1:]), len(self.lines)]
        rows = self.lines[: self.net.row]
        for section, end in zip(self.sections, ends, strict=True):
            rows += _updated(self.lines[section.row : end], section)
        return "".join(row + "\n" for row in rows)

    def difference(self, other: Cfg) -> str | None:
        """The first option or section of `other` that differs from this one's, or None."""
        if len(self.sections) != len(other.sections):
            return f"{counted(len(self.layers), 'layer')} became {len(other.layers)}"
        for before, after in zip(self.sections, other.sections, strict=True):
            if before.name != after.name:
                return f"[{printable(before.name)}] became [{printable(after.name)}]"
            for key in dict.fromkeys([*before.options, *after.options]):
                was, now = before.options.get(key), after.options.get(key)
                place = f"in [{printable(before.name)}]"
                if was is None:
                    return f"{place} {now} was added"
                if now is None:
                    return f"{place} {was} was removed"
                if was.value != now.value:
                    return f"{place} {was} became {_show(now.value)}"
        return None

    def override(self, key: str, value: object, place: str) -> Cfg:
        """A new Cfg with `key=value`. Raises CfgError.

        key: of `[net]`; or of layers by section or number, like `rnn.output` or `2.probability`.
        place: where the value came from in error messages, e.g. `--set`.
        """
        key, text = key.translate(_BLANK), str(value).translate(_BLANK)
        if not key or not text or key[0] in "[#;" or "=" in key:
            raise CfgError(f"{place}: {_show(f'{key}={text}')}: expected KEY=VALUE")
        *targets, key = key.rsplit(".", 1)
        if not targets:
            chosen, target = [0], ""
        else:
            target = f"{printable(targets[0])}."
            chosen = self._sections_of(targets[0], f"{place} {target}{printable(key)}")
        option = Option(key, text, place, is_override=True, target=target)
        sections = list(self.sections)
        for index in chosen:
            sections[index] = sections[index].changed({key: option})
        return Cfg(self.path, self.lines, sections)

    def _sections_of(self, target: str, place: str) -> list[int]:
        """The indexes of the sections that an override names. Raises CfgError if there is none.

        target: `net`, a layer's section, or its number from 0. place: of the override, for errors.
        """
        if target.isascii() and target.isdigit():
            if int(target[:9]) >= len(self.layers):
                raise CfgError(
                    f"{place}: {bundled_name(self.path) or self.path} has no layer "
                    f"{printable(target)}; it has the layers 0 to {len(self.layers) - 1}"
                )
            return [int(target) + 1]
        name = _ALIASES.get(target, target)
        chosen = [index for index, section in enumerate(self.sections) if section.name == name]
        if not chosen:
            names = dict.fromkeys(f"[{printable(layer.name)}]" for layer in self.layers)
            raise CfgError(
                f"{place}: {bundled_name(self.path) or self.path} has no [{printable(target)}]; "
                f"it has {', '.join(names)}"
            )
        return chosen

    def without(self, *keys: str, section: str | None = None) -> Cfg:
        """A new Cfg whose layers, or those of this section, do not have these keys."""
        layers = [
            layer.changed(dict.fromkeys(keys)) if section in (None, layer.name) else layer
            for layer in self.layers
        ]
        return Cfg(self.path, self.lines, [self.net, *layers])

    def as_darknet_draws(self) -> Cfg:
        """A new Cfg without the darknet-py keys that change a new network's first parameters."""
        net = self.net.changed(dict.fromkeys(INITIAL))
        return Cfg(self.path, self.lines, [net, *self.layers])

    def of_saved_weights(self) -> Cfg:
        """The cfg that describes the weights file that training writes.

        It has all of a layer's numbers, whatever was left out on loading, and none with dontsave=1.
        """
        cfg = self.without("dontload", "dontloadscales")
        layers = [
            section.changed({"dontload": Option("dontload", "1", section.place)})
            if section.flag("dontsave")
            else section
            for section in cfg.layers
        ]
        return Cfg(self.path, self.lines, [self.net, *layers])


def _updated(lines: list[str], section: Section) -> list[str]:
    """The lines of one section, head first, with the values that its options have now."""
    keys = [_key_of(line) for line in lines]
    rows = [lines[0]]
    present = set(keys[1:])
    rows += [f"{key}={o.value}" for key, o in section.options.items() if key not in present]
    written = set()
    for key, line in zip(keys[1:], lines[1:], strict=True):
        if key is None:
            rows.append(line)
        elif key in section.options and key not in written:
            written.add(key)
            value = section.options[key].value
            same = line.translate(_BLANK) == f"{key}={value}"
            rows.append(line if same else f"{key}={value}")
    return rows


def _key_of(line: str) -> str | None:
    """The key of an option line, None for comments, empty lines and heads."""
    stripped = line.translate(_BLANK)
    return None if not stripped or stripped[0] in "#;[" else stripped.partition("=")[0]


def parse_cfg(text: str, path: str = "cfg") -> Cfg:
    """Parse the text of a cfg file; `path` names it in messages. Raises CfgError."""
    try:
        size = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise CfgError(f"{path} is not a text; give that of a cfg file") from error
    before, nul, _ = text.partition("\0")
    if nul:
        place = f"{path}:{before.count(chr(10)) + 1}"
        raise CfgError(f"{place}: NUL byte in a text; give a cfg file here, in UTF-8")
    if size > MAX_CFG_BYTES:
        raise CfgError(f"{path} is larger than 1 MiB; a cfg file is a short text")
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    sections: list[Section] = []
    for row, line in enumerate(lines):
        stripped = line.translate(_BLANK)
        place = f"{path}:{row + 1}"
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[":
            if stripped[-1] != "]" or len(stripped) == 2:
                raise CfgError(f"{place}: {_show(line)}: expected a section head like [net]")
            name = stripped[1:-1]
            section = Section(_ALIASES.get(name, name), place, row)
            if not sections and section.name != "net":
                raise CfgError(f"{place}: [{printable(name)}]: expected [net] as the first section")
            sections.append(section)
            continue
        key, _, value = stripped.partition("=")
        if not sections:
            raise CfgError(
                f"{place}: {_show(line)}: expected [net], with which a cfg file begins; a "
                f"text comes after the cfg"
            )
        if not key or not value:
            raise CfgError(f"{place}: {_show(line)}: expected key=value or [section]")
        sections[-1].options.setdefault(key, Option(key, value, place))
    if not sections:
        raise CfgError(f"{path}: no section found: expected [net] and a section per layer")
    if len(sections) == 1:
        raise CfgError(f"{path}: only [net] found: expected at least one layer, like [rnn]")
    return Cfg(path, lines, sections)


def read_cfg(path: str | os.PathLike[str]) -> Cfg:
    """Read and parse the cfg file at `path`. Raises CfgError, even if it cannot be read."""
    try:
        if os.path.isdir(path):
            raise CfgError(f"{path} is a folder; give a cfg file, or the name of a bundled one")
        with open(path, "rb") as file:
            data = file.read(MAX_CFG_BYTES + 1)
    except OSError as error:
        raise CfgError(f"{path}: cannot read the cfg file: {error.strerror}") from error
    if why := why_tensors(path):
        raise CfgError(f"{path} {why}")
    if starts_as_weights(data) and any(data[:12]):
        raise CfgError(f"{path} is a weights file; give a cfg file here")
    # Comments may be in any encoding; surrogateescape keeps their bytes for writing them back.
    return parse_cfg(data.decode("utf-8", "surrogateescape"), os.fspath(path))


def bundled_cfgs() -> dict[str, Path]:
    """The cfg files that come with the package, by name (`tiny`, `rnn.train`, ...)."""
    package = Path(__file__).parent
    folder = package / "bundled"
    if not folder.is_dir():
        folder = package.parent / "cfg"
    return {path.name.removesuffix(".cfg"): path for path in sorted(folder.glob("*.cfg"))}


def bundled_name(path: str) -> str | None:
    """The name of the bundled cfg at this path; None if there is none."""
    return next((name for name, file in bundled_cfgs().items() if str(file) == path), None)


def find_cfg(name: str | os.PathLike[str]) -> Cfg:
    """The cfg file at path `name`, or the bundled one of that name. Raises CfgError.

    A folder does not hide a bundled cfg of its name; a file does. `cfg/NAME.cfg`, where
    darknet has its cfgs, stands for the bundled one too if there is no such file.
    """
    bundled = bundled_cfgs()
    typed = os.fspath(name)
    if os.path.isfile(name) or (os.path.exists(name) and typed not in bundled):
        return read_cfg(name)
    known = Path(typed).name.removesuffix(".cfg")
    if typed not in bundled and typed in (f"cfg/{known}.cfg", f"{known}.cfg") and known in bundled:
        log.info("%s: no such file; using the bundled %s", typed, known)
        typed = known
    if typed not in bundled:
        end = hint(known, bundled, "bundled cfgs")
        raise CfgError(f"{name}: no such file, and no bundled cfg of that name{end}")
    return read_cfg(bundled[typed])
