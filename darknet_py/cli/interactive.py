"""darknet-py generate --interactive: a person and a network write a text in turns."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from darknet_py.checks import SEED, shown, whole
from darknet_py.cli.console import TextWriter
from darknet_py.cli.options import TEMPERATURE, escaped, sampling_of
from darknet_py.errors import CorpusError
from darknet_py.files import write_whole
from darknet_py.inference.generation import Session
from darknet_py.inference.sampling import TOP_P, Sampling
from darknet_py.network import Network
from darknet_py.terminal.messages import one_line, say, visible
from darknet_py.text.symbols import Symbols
from darknet_py.training.interruption import Interruption

TURN = 300  # symbols of a turn, if --length is not given
CHARACTER = 4  # bytes of one in UTF-8 at most
ODDS = 10  # symbols that :odds lists
WITHOUT_COLON = {"quit": "quit", "exit": "quit", "help": "help"}  # what is often typed
HELP = r"""type a text and press Enter: the network reads it and continues; Enter alone continues
\n \t \r \\ \xHH are understood; the Enter itself is not read, so end with \n for a new line
:temperature T   below 1 is more careful, above 1 bolder (now {temperature:g})
:top-p P         draw only from the most likely that together reach this probability (now {top_p:g})
:seed N          draw from this random seed from now on
:length N        bytes or tokens per turn (now {length})
:odds            the {odds} most likely to come next
:save FILE       write all that was read and written to a new file
:reset           forget everything read so far
:help            this list
:quit            end
Ctrl-C stops the text, Ctrl-D ends"""
HELP_NUMBERS = "this network works on tokens: a text is their numbers, with spaces between them"
HELP_NAMES = (
    "this network works on tokens: a text is their names or numbers, with spaces between them"
)


class Dialogue:
    """Reads lines from stdin: texts to continue, and commands that start with a colon."""

    def __init__(
        self,
        net: Network,
        symbols: Symbols,
        seed: int,
        sampling: Sampling,
        length: int,
        raw: bool,
    ) -> None:
        self.symbols = symbols
        self.session = Session(net, seed)
        self.sampling = sampling
        self.length = length
        self.writer = TextWriter(raw, symbols.names)
        self.text: list[int] = []  # read and written so far
        self.commands: dict[str, Callable[[str], None]] = {
            "temperature": self._set_temperature,
            "top-p": self._set_top_p,
            "seed": self._set_seed,
            "length": self._set_length,
            "odds": self._show_odds,
            "save": self._save,
            "reset": self._reset,
            "help": self._help,
            "quit": self._quit,
        }
        self._is_over = False

    def run(self, prompt: list[int]) -> None:
        """Until the end of stdin; begin with `prompt` if there is any."""
        # Importing it is what gives input() its line editing; Windows has none.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401
        if sys.stdin.isatty():
            say("type a prompt, or :help; Ctrl-C stops the text, :quit or Ctrl-D ends")
        if len(prompt):
            self._feed(prompt)
            self.writer.write(prompt)
            self._write()
        while not self._is_over and (line := self._read()) is not None:
            if line.startswith(":"):
                self._command(line[1:])
                continue
            if line.strip() in WITHOUT_COLON:
                say(f"read as a text; the command is :{WITHOUT_COLON[line.strip()]}")
            try:
                self._feed(self.symbols.read(escaped(line), "text").tolist())
            except CorpusError as error:
                say(f"{error}")
                continue
            self._write()

    def _feed(self, symbols: list[int]) -> None:
        self.session.feed(symbols)
        self.text += symbols

    def _read(self) -> str | None:
        """The next line, or None at the end of stdin."""
        try:
            if sys.stdin.isatty():
                return input("> ")
            line = sys.stdin.readline()
            return line.rstrip("\r\n") if line else None
        except EOFError:
            # Ctrl-D leaves the cursor behind the prompt.
            say("")
            return None
        except KeyboardInterrupt:
            # Ctrl-C throws a half-typed line away, as shells do.
            say("")
            say(":quit or Ctrl-D ends")
            return self._read()

    def _write(self) -> None:
        stop = Interruption(only_keys=True, message="")
        with self.writer, contextlib.suppress(KeyboardInterrupt), stop:
            # From here on Ctrl-C is remembered, so that no symbol is lost.
            stop.asked()
            for symbol in self.session.write(self.length, self.sampling):
                self._show([symbol])
                if stop.asked():
                    break
            # A turn does not end within a character, even if Ctrl-C ends it.
            for _ in range(CHARACTER - 1):
                if self.writer.is_cut:
                    self._show(list(self.session.write(1, self.sampling)))

    def _show(self, symbols: list[int]) -> None:
        self.text += symbols
        self.writer.write(symbols)

    def _command(self, line: str) -> None:
        name, _, argument = line.strip().partition(" ")
        known = [command for command in self.commands if name and command.startswith(name)]
        if len(known) != 1:
            wrong = "may be" if known else "is no command; the commands are"
            say(f":{visible(name)} {wrong} :{', :'.join(known or self.commands)}")
            return
        try:
            self.commands[known[0]](argument.strip())
        except ValueError as error:
            say(f":{known[0]}: {visible(shown(argument))} is not {error}")

    def _set_temperature(self, argument: str) -> None:
        number = TEMPERATURE.parsed(argument)
        self.sampling = sampling_of(number, self.sampling.top_k, self.sampling.top_p)
        say(f"temperature {number:g}" if number else "temperature 0: always the most likely symbol")

    def _set_top_p(self, argument: str) -> None:
        top_p = TOP_P.parsed(argument)
        self.sampling = replace(self.sampling, top_p=top_p)
        say(f"top-p {top_p:g}" if top_p < 1 else "top-p 1: all symbols")

    def _set_seed(self, argument: str) -> None:
        seed = SEED.parsed(argument)
        self.session.seed(seed)
        say(f"seed {seed}")

    def _save(self, argument: str) -> None:
        if not argument:
            raise ValueError("the name of a new file")
        path = Path(os.path.expanduser(argument))
        symbols = self.symbols
        data = symbols.text(self.text).encode() if symbols.is_tokens else bytes(self.text)
        if path.exists():
            raise ValueError("a new file, which is never overwritten")
        try:
            write_whole(path, [data])
            say(f"wrote {path}")
        except OSError as error:
            say(one_line(error))

    def _set_length(self, argument: str) -> None:
        self.length = whole().parsed(argument)
        say(f"length {self.length}")

    def _show_odds(self, argument: str) -> None:
        if argument:
            raise ValueError("nothing: type the text first, then :odds")
        say(f"at temperature {self.sampling.temperature:g}:")
        for p, symbol in self.session.likeliest(ODDS, self.sampling.temperature):
            say(f"{p:8.2%}  {self.symbols.label(symbol)}")

    def _reset(self, argument: str) -> None:
        self.session.reset()
        self.text.clear()
        say("state reset: the network has forgotten what it read")

    def _quit(self, argument: str) -> None:
        self._is_over = True

    def _help(self, argument: str) -> None:
        temperature = 0 if self.sampling.greedy else self.sampling.temperature
        values = {"temperature": temperature, "top_p": self.sampling.top_p, "length": self.length}
        text = HELP.format(**values, odds=ODDS)
        for line in text.splitlines():
            say(line)
        if self.symbols.is_tokens:
            say(HELP_NAMES if self.symbols.path else HELP_NUMBERS)
