"""The reference pages from the program itself: `make docs`.

docs/cli.md is what the commands print for --help; docs/api.md the signatures and docstrings of the
public names.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

import darknet_py
from darknet_py.cli import main

DOCS = Path(__file__).parent.parent / "docs"
CLI_HEAD = """# The command line

Made from `darknet-py COMMAND --help` by `make docs`. Exit status: 0 done, 1 failed with a line that
gives the reason, 2 wrong usage, 130, 143 or 129 stopped by Ctrl-C, SIGTERM or SIGHUP. stdout has
the product, stderr everything else.

To have bash, zsh or fish complete commands, options, networks, runs and files, as soon as
darknet-py is on the PATH:

```sh
darknet-py completion --install
```
"""
API_HEAD = """# The Python API

Made from the docstrings by `make docs`. These are the names of `import darknet_py`; everything else
may change in any version. Errors and messages are those of the commands: an option in them,
`--val-from`, is the argument `val_from`.

## Threads

Several threads may use one network, and each gets the results of a single thread or an error:

| call | other threads that use the network |
|---|---|
| `generate`, `generate_text`, `stream_text`, `evaluate`, `evaluate_lines` | take turns with it |
| methods of a `Session`, one for each thread | take turns with it |
| `export`, `save_weights`, `copy`, `deepcopy`, `pickle` | are not affected |
| `predict`, `reset_state` | wait if they generate or evaluate; others get a DarknetError |
| `train_batch`, `load_weights` and others that change parameters | get a DarknetError |
| `forward` and others that return buffers; a change of `parameters` | must not exist |

A call that changes the network first waits for threads that generate or evaluate. Copies of a
network are independent. `train` and `load_network` make a network of their own; two runs need two
folders.
"""


def commands() -> list[tuple[str, ...]]:
    """The words of every command, groups before what is in them."""
    found: list[tuple[str, ...]] = [()]
    context = click.Context(main)
    for name in main.list_commands(context):
        found.append((name,))
        command = main.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


def cli_page() -> str:
    """docs/cli.md."""
    parts = [CLI_HEAD]
    logger = logging.getLogger("darknet_py")
    before = logger.level, logger.handlers, logger.propagate
    for words in commands():
        asked = [*words, "--help"]
        said = CliRunner(env={"COLUMNS": "100"}).invoke(main, asked, prog_name="darknet-py").output
        lines = "\n".join(line.rstrip() for line in said.splitlines())
        parts.append(f"## {' '.join(('darknet-py', *words))}\n\n```\n{lines}\n```\n")
    logger.setLevel(before[0])
    logger.handlers, logger.propagate = before[1:]
    return "\n".join(parts)


def parameter(given: inspect.Parameter) -> str:
    """`name: annotation = default`, the default as `...` if it is no plain value."""
    stars: dict[Any, str] = {given.VAR_POSITIONAL: "*", given.VAR_KEYWORD: "**"}
    text = stars.get(given.kind, "") + given.name
    if given.annotation is not given.empty:
        text += f": {given.annotation}"
    if given.default is not given.empty:
        plain = given.default is None or isinstance(given.default, (bool, int, float, str, bytes))
        text += f" = {given.default!r}" if plain else " = ..."
    return text


def call(name: str, function: Callable[..., Any]) -> str:
    """A function's name and signature; a line for each parameter if one line is too long."""
    signature = inspect.signature(function)
    words: list[str] = []
    for given in signature.parameters.values():
        if given.name == "self":
            continue
        if given.kind is given.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(parameter(given))
    returned = signature.return_annotation
    after = "" if returned in (signature.empty, "None", None) else f" -> {returned}"
    whole = f"{name}({', '.join(words)}){after}"
    if len(whole) <= 90:
        return whole
    return "\n".join([f"{name}(", *(f"    {word}," for word in words), f"){after}"])


def entry(heading: str, code: str, thing: object) -> str:
    """A heading, a signature, and the docstring as it is laid out in the source."""
    text = inspect.getdoc(thing) or ""
    return f"{heading}\n\n```\n{code}\n```\n" + (f"\n{text}\n" if text else "")


def members(cls: type) -> list[str]:
    """The entries of a class's public methods and properties, its own before those of its base, in
    the order of the source.
    """
    found = []
    everything: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("darknet_py."):
            everything |= {n: m for n, m in vars(base).items() if n not in everything}
    for name, member in everything.items():
        if name.startswith("_"):
            continue
        heading = f"### {cls.__name__}.{name}"
        if isinstance(member, cached_property):
            member = property(member.func)
        if isinstance(member, property) and member.fget:
            returned = inspect.signature(member.fget).return_annotation
            found.append(entry(heading, f"{name}: {returned}", member))
        elif isinstance(member, (classmethod, staticmethod)):
            found.append(entry(heading, call(name, getattr(cls, name)), member.__func__))
        elif inspect.isfunction(member):
            found.append(entry(heading, call(name, member), member))
    return found


def api_page() -> str:
    """docs/api.md: functions, then classes, then errors."""
    functions, classes, errors = [], [], []
    for name in darknet_py.__all__:
        thing = getattr(darknet_py, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            base = thing.__mro__[1].__name__
            errors.append(entry(f"## {name}", f"class {name}({base})", thing))
        elif isinstance(thing, type):
            classes.append(entry(f"## {name}", call(name, thing), thing))
            classes += members(thing)
        elif callable(thing):
            functions.append(entry(f"## {name}", call(name, thing), thing))
    version = "## __version__\n\nThe version, a text.\n"
    return "\n".join([API_HEAD, *functions, *classes, *errors, version])


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(cli_page(), encoding="utf-8")
    (DOCS / "api.md").write_text(api_page(), encoding="utf-8")
