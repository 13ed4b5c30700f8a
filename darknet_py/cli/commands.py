"""What our commands share beyond click's: help that fits narrow terminals, and errors that name
what was probably meant.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable
from typing import Any

import click

from darknet_py.bounds import UNITS, Whole, shown
from darknet_py.likely import GRAPHICS, INSTEAD, OTHER_NAMES, canonical, nearest
from darknet_py.terminal import NARROWEST

COMPLETING = "_DARKNET_PY_COMPLETE"  # the variable by which a shell asks for completions
CLICK_LEAST = 52  # columns that click's help takes at least
COMMON_COLUMNS = 60  # a help text of fewer has its descriptions below the options

IN_ORDER = "darknet-py train CFG TEXT"
TO_FILE = "the shell to write into a file: darknet-py generate backup > text.txt"
LENGTH = "--time 10m or --batches 5000"
# Values for an example of --set.
VALUES = {
    "learning_rate": ".002",
    "batch": "64",
    "decay": ".0001",
    "time_steps": "64",
    "clip_norm": ".25",
    "momentum": ".9",
    "rnn.output": "256",
    "dropout.probability": ".2",
    "rnn.activation": "tanh",
    "rnn.batch_normalize": "1",
}
OF_LAYERS = {
    "output": "rnn.output",
    "probability": "dropout.probability",
    "activation": "rnn.activation",
    "batch_normalize": "rnn.batch_normalize",
}
# What other programs call an option, and the C program too.
HINTS = {
    "train": {
        "--iterations": LENGTH,
        "--max-iters": LENGTH,
        "--steps": LENGTH,
        "--optimizer": "--set adam=1 for Adam, --set adam=0 for SGD with momentum",
        "--output": "--out FOLDER",
        "-o": "--out FOLDER",
        "-file": IN_ORDER,
        "--file": IN_ORDER,
        "--data": IN_ORDER,
        "--text": IN_ORDER,
        "--input": IN_ORDER,
        "--cfg": IN_ORDER,
        "--config": IN_ORDER,
        "--model": IN_ORDER,
        "-clear": "--clear",
        "-seed": "--seed",
        "-srand": "--seed",
        "-tokenized": "--tokenized",
    },
    "generate": {
        "--temp": "--temperature",
        "-temp": "--temperature",
        "-t": "--temperature",
        "--len": "--length",
        "-len": "--length",
        "-n": "--length",
        "-l": "--length",
        "--srand": "--seed",
        "-srand": "--seed",
        "-s": "--seed",
        "-seed": "--prompt for the text to start from, --seed for the random numbers",
        "--start": "--prompt",
        "-p": "--prompt",
        "-tokens": "--tokens",
        "--max-length": "--length",
        "--max-tokens": "--length",
        "--max-new-tokens": "--length",
        "--n": "--samples",
        "--num": "--samples",
        "--out": TO_FILE,
        "--output": TO_FILE,
        "-o": TO_FILE,
        "--num-samples": "--samples",
        "--weights": "darknet-py generate WEIGHTS",
        "--model": "darknet-py generate WEIGHTS",
    },
    "valid": {
        "-seed": "--prompt",
        "-tokens": "--tokens",
        "--text": "darknet-py valid WEIGHTS TEXT",
        "--data": "darknet-py valid WEIGHTS TEXT",
        "--file": "darknet-py valid WEIGHTS TEXT",
    },
    "rnn generate": {
        "-length": "-len",
        "--length": "-len",
        "--len": "-len",
        "-temperature": "-temp",
        "--temperature": "-temp",
        "--temp": "-temp",
        "--srand": "-srand",
        "--prompt": "-seed",
        "--seed": "-srand for the random numbers, -seed for the text to start from",
    },
    "rnn train": {"--file": "-file", "--seed": "-srand", "--clear": "-clear"},
}
SIMILAR = {
    "sample": "generate",
    "write": "generate",
    "test": "valid",
    "eval": "valid",
    "evaluate": "valid",
    "validate": "valid",
    "score": "valid",
    "list": "cfg",
    "show": "info",
    "plot": "report",
    "convert": "export",
    "resume": "train --resume",
    "continue": "train --resume",
    "help": "--help",
    "version": "--version",
    "darknet": "rnn",
    "validtactic": "rnn validtactic",
    "generatetactic": "rnn generatetactic",
}


# The C program's commands for images.
OF_IMAGES = re.compile(
    "art|average|captcha|cifar|classif(ier|y)|coco|detect(or)?|go|imagenet|nightmare|regressor|"
    "segmenter|tag|yolo"
)


def setting_for(option: str) -> str | None:
    """The --set that does what another program's option of this name does, or None."""
    from dataclasses import fields

    from darknet_py.options import NetOptions

    name = canonical(option)
    keys = {own.name.lower(): own.name for own in fields(NetOptions)}
    key = {"width": "output", "hidden": "output"}.get(name) or OTHER_NAMES.get(name, keys.get(name))
    if not option.startswith("-") or key is None or key == "image":
        return None
    dotted = OF_LAYERS.get(key, key)
    return f"--set {dotted}={VALUES.get(dotted, 'VALUE')}"


def help_width() -> int | None:
    """The width of help on a terminal that is narrower than click can imagine, else None."""
    columns = shutil.get_terminal_size().columns
    return max(NARROWEST, columns) - 2 if columns < CLICK_LEAST else None


class Formatter(click.HelpFormatter):
    """Help that is readable from 40 columns up."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        narrow = self.width < COMMON_COLUMNS
        super().write_dl(list(rows), 2 if narrow else col_max, col_spacing)


class Context(click.Context):
    formatter_class = Formatter


def mistyped(params: Iterable[click.Parameter], typed: list[str], reported: str) -> str:
    """The word that holds the option which click does not know.

    reported: what click calls it, which of a word with one dash is a letter.
    """
    own = {
        name: param for param in params if isinstance(param, click.Option) for name in names(param)
    }
    words = iter(typed)
    for word in words:
        if word == "--":
            break
        name, _, value = word.partition("=")
        if name in own or word.startswith("--"):
            if name == reported and name not in own:
                return word
            if not value and name in own and takes_value(own[name]):
                next(words, None)
        elif word.startswith("-"):
            for place, letter in enumerate(word[1:], 2):
                param = own.get(f"-{letter}")
                if param is None and reported == f"-{letter}":
                    return word
                if param is None or takes_value(param):
                    if param is not None and place == len(word):
                        next(words, None)
                    break
    return reported


def names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def takes_value(option: click.Option) -> bool:
    return not (option.is_flag or option.count)


def no_such_option(name: str, params: Iterable[click.Parameter]) -> str:
    """That an option does not exist, and which of a command's own was probably meant, whatever its
    dashes.
    """
    ending = ""
    visible = (p for p in params if isinstance(p, click.Option) and not p.hidden)
    letters = {each.lstrip("-"): each for param in visible for each in param.opts if len(each) > 2}
    wanted = name.lstrip("-")
    begun = [each for each in letters if each.startswith(wanted)]
    near = begun[0] if len(begun) == 1 else nearest(wanted, letters, NEAR_OPTION)
    if near and len(name) > 2:
        ending = f" Did you mean {letters[near]!r}?"
    return f"No such option {name!r}.{ending}"


def about_graphics(word: str, typed: list[str]) -> str | None:
    """What to say of an option for a graphics card, as C and other programs have it, or None."""
    name = word.partition("=")[0]
    follows = typed[typed.index(word) + 1 :] if word in typed else []
    of_c = name == "-i" and bool(follows) and follows[0].lstrip("-").isdigit()
    if of_c or (len(name) > 2 and canonical(name) in GRAPHICS):
        return no_graphics(name)
    return None


def no_graphics(name: str) -> str:
    return f"No such option {name!r}: {INSTEAD['gpu']}."


class Command(click.Command):
    """A command whose usage errors say what was probably meant."""

    context_class = Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed = list(args)
        if typed == ["help"] and not os.path.exists("help") and not ctx.resilient_parsing:
            raise click.UsageError(f"For help: {ctx.command_path} --help", ctx)
        self._check_values(ctx, typed)
        # What is too much is refused below, with what to do about it.
        ctx.allow_extra_args = True
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(self._about_option(ctx, error, typed), ctx) from error
        except click.MissingParameter as error:
            message = error.format_message().rstrip(".")
            example = _example(self)
            raise click.UsageError(f"{message}; for example: {example}", ctx) from error
        if rest and not ctx.resilient_parsing:
            ending = "" if len(rest) == 1 else "s"
            few = rest if len(rest) <= 2 * FEW else [*rest[:FEW], "..."]
            message = f"Got unexpected extra argument{ending} ({' '.join(few)})"
            advice = self._about_rest(ctx, typed, rest)
            raise click.UsageError(f"{message}; {advice}" if advice else message, ctx)
        return rest

    def _path(self, ctx: click.Context) -> str:
        """The command's name, for one of `rnn` with that before it."""
        group = ctx.parent.command.name if ctx.parent is not None else None
        return f"rnn {self.name}" if group == "rnn" else f"{self.name}"

    def _check_values(self, ctx: click.Context, typed: list[str]) -> None:
        """Refuse an option of this command where another's value should stand."""
        own = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        long = {name for param in own for name in param.opts if name.startswith("--")}
        valued = {name for param in own if takes_value(param) for name in param.opts}
        words = iter(typed)
        for word in words:
            if word == "--":
                return
            if word in valued and (value := next(words, "")) in long:
                raise click.UsageError(
                    f"Option {word!r} has no value: {value} is another option; if it is meant, "
                    f"write {word}={value}",
                    ctx,
                )

    def _about_option(self, ctx: click.Context, error: click.NoSuchOption, typed: list[str]) -> str:
        """That an option does not exist, and the one that was probably meant."""
        path = self._path(ctx)
        hints = HINTS.get(path, {})
        word = mistyped(self.params, typed, error.option_name)
        name = word.partition("=")[0]
        if about := about_graphics(word, typed):
            return about
        # Of `-n500`, `-n`.
        words = [name] if word[2:3].isalpha() else [name, error.option_name]
        meant = [each for each in words if each in hints]
        if path == "train" and not meant:
            instead = INSTEAD.get(canonical(name))
            if instead and len(name) > 2:
                return f"No such option {name!r}: {instead}."
            if setting := setting_for(name):
                hints, meant = {name: setting}, [name]
        if meant:
            return f"No such option {name!r}. Use {hints[meant[0]]}."
        return no_such_option(name, self.get_params(ctx))

    def _about_rest(self, ctx: click.Context, typed: list[str], rest: list[str]) -> str | None:
        """What to do about arguments that are too many."""
        path = self._path(ctx)
        if path in PROMPTS:
            option = PROMPTS[path]
            if option not in typed:
                return f'to start from a text, give it with {option} "..."'
            first = typed[min(typed.index(option) + 1, len(typed) - 1)]
            return f'put a text with spaces into quotes: {option} "{" ".join([first, *rest])}"'
        files = [word for word in rest if os.path.isfile(word)]
        if path in FROM_STDIN and files:
            given = [value for value in map(ctx.params.get, ("cfg", "weights")) if value]
            words = shlex.join(["darknet-py", "rnn", f"{self.name}", *given])
            return f"the text comes from stdin: {words} < {shlex.quote(files[0])}"
        is_unit = re.fullmatch("|".join(UNITS), rest[0], re.IGNORECASE)
        if path == "train" and is_unit and "--time" in typed:
            number = typed[typed.index("--time") + 1]
            return f"a time is one word: --time {number}{rest[0][0].lower()}"
        text = ctx.params.get(TEXTS.get(path, ""))
        given = [text, *rest] if isinstance(text, str) else []
        if path in ("train", "valid") and any(map(os.path.isdir, given)):
            return "give one text, or one folder that holds all texts (subfolders are not read)"
        if files and isinstance(text, str) and os.path.isfile(text):
            folder = "" if path in ("vec", "rnn train") else ", or the folder that holds them"
            return f"give one text{folder}, or join the files: {joining([text, *files])}"
        return None


# The option for a text to start from, of commands that take one; those that read one from stdin.
PROMPTS = {"generate": "--prompt", "rnn generate": "-seed"}
FROM_STDIN = ("rnn valid", "rnn validtactic", "rnn vec", "rnn generatetactic")
# The parameter of commands that is a text.
TEXTS = {"train": "data", "valid": "text", "vec": "lines", "rnn train": "data"}
NEAR_OPTION = 0.75  # how like an option another must be, from 0 to 1, to be taken for it
FEW = 3  # files that a message names


def joining(files: list[str]) -> str:
    """The command that joins text files, which a pattern of the shell may have named."""
    from darknet_py.corpus import name_for_joined

    folders = {os.path.dirname(file) for file in files}
    suffixes = {os.path.splitext(file)[1] for file in files}
    suffix = suffixes.pop() if len(suffixes) == 1 else ""
    if len(files) <= FEW:
        names = shlex.join(files)
    elif suffix and len(folders) == 1:
        pattern = f"*{shlex.quote(suffix)}"
        names = f"{shlex.quote(folder)}/{pattern}" if (folder := folders.pop()) else pattern
    else:
        names = f"{shlex.join(files[:FEW])} ..."
    return f"cat {names} > {name_for_joined(suffix or '.txt')}"


def _example(command: click.Command) -> str:
    """The first example in a command's help."""
    lines = map(str.strip, (command.help or "").splitlines())
    return next(line for line in lines if line.startswith("darknet-py "))


class Group(click.Group):
    """A group that lists its commands in whole sentences, and knows which one was meant."""

    context_class = Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            word = mistyped(self.params, typed, error.option_name)
            about = about_graphics(word, typed)
            told = about or no_such_option(word.partition("=")[0], self.get_params(ctx))
            raise click.UsageError(told, ctx) from error

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        kwargs.setdefault("terminal_width", help_width())
        return super().make_context(*args, **kwargs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None:
                rows.append((name, command.get_short_help_str(limit=200)))
        with formatter.section("Commands"):
            # Names are short: their descriptions stand beside them at any width.
            click.HelpFormatter.write_dl(formatter, rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            meant = self._meant(ctx, name)
            hint = f" Did you mean {meant}?" if meant else ""
            if OF_IMAGES.fullmatch(name):
                hint = " Of darknet's networks only those for text are here: darknet-py rnn."
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str | None:
        """The command that was probably meant by a name that is none: of this group, or else of
        the one that it is in.
        """
        own = self.list_commands(ctx)
        options = [option for param in self.get_params(ctx) for option in param.opts]
        similar = SIMILAR.get(name, "")
        if similar.partition(" ")[0] in (*own, *options):
            return f"{ctx.command_path} {similar}"
        begun = [each for each in own if each.startswith(name)] if len(name) > 1 else []
        near = min(begun, key=len) if begun else nearest(name, own)
        if near:
            return f"{ctx.command_path} {near}"
        above = ctx.parent
        if above is None or not isinstance(above.command, Group):
            return None
        if name in above.command.list_commands(above):
            return f"{above.command_path} {name}"
        return above.command._meant(above, name)


class WholeNumber(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A whole number from `least` to `most`; in help it is N."""

    name = "n"

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self.bounds = Whole(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if text.isdecimal():
            text = text.lstrip("0")[:100] or "0"  # Python reads at most 4,300 digits.
        try:
            return self.bounds.take(int(text))
        except OverflowError:
            self.fail(f"{text[:30]} is too large", param, ctx)
        except ValueError:
            self.fail(f"{shown(value)} is not {self.bounds.words}", param, ctx)
