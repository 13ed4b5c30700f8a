"""What a network's symbols stand for: reading a text of a user as symbols, and symbols as text.

Symbols are the bytes of a text, or tokens. Tokens are written as numbers or, if there is a file
of names, as names.

A text of tokens is a list of words between white space. A word is the token of that name, else, if
it is a number, the token of that number: so a token without a name of its own can be written too,
and a name always goes before a number. Names that contain white space, like `New York` or a
newline, are found wherever they stand, the longest first, and one space after any name only
separates it from the next. So what is printed reads back as the same tokens, if no two of them
have one name and none an empty one.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

from darknet_py.arrays import Array
from darknet_py.checks import instance, integers
from darknet_py.errors import CorpusError, DarknetError, counted
from darknet_py.model import Model
from darknet_py.network import Network
from darknet_py.text.corpus import check_known, read_pieces, read_text, read_token_names
from darknet_py.text.sniff import conversion

log = logging.getLogger(__name__)

DEFAULT_PROMPT = b"\n\n"
LONGEST_NUMBER = 9  # digits
LONGER = 1.05  # bytes per character from which on their losses are shown apart
PART = 1 << 20  # bytes of a text that are looked at together


class Symbols:
    """The symbols of a network of `inputs`.

    is_tokens: whether they are tokens, rather than bytes. names: a text per symbol to print instead
    of bytes, numbers for symbols beyond its end; None prints bytes. What is not UTF-8 in a name is
    as `surrogateescape` has it. path: the file of the names.
    """

    def __init__(
        self, inputs: int, is_tokens: bool, names: list[str] | None, path: str = ""
    ) -> None:
        self.inputs = inputs
        self.is_tokens = is_tokens
        self.names = names
        self.path = path
        # Of two symbols of one name, the lower is the one that the name means.
        self._numbers: dict[str, int] = {}
        for number, name in enumerate(names or ()):
            if name:
                self._numbers.setdefault(name, number)
        self._word = _word_pattern(self._numbers)

    @classmethod
    def of(
        cls,
        net: Network,
        tokens: str | os.PathLike[str] | None = None,
        names_of_bytes: bool = False,
    ) -> Symbols:
        """Those of `net`. tokens: a file with their names, one a line.

        names_of_bytes: let bytes have names too, which are only printed, as in C.
        Raises CorpusError for a file that cannot be read, DarknetError for names of bytes.
        """
        is_tokens = not net.writes_bytes
        if tokens is None:
            return cls(net.inputs, is_tokens, [] if is_tokens else None)
        if not is_tokens and not names_of_bytes:
            raise DarknetError(
                f"{net.cfg.path}: --tokens is only for networks of tokens, and this network works "
                "on bytes; put tokenized=1 into [net] if it was trained on tokens"
            )
        names = read_token_names(tokens)
        warn_of_count(names, tokens, net)
        return cls(net.inputs, is_tokens, names, os.fspath(tokens))

    @property
    def unit(self) -> str:
        """What one symbol is called."""
        return "token" if self.is_tokens else "byte"

    @property
    def default_prompt(self) -> bytes:
        """C's two newlines; nothing for tokens and for a network too small to know a newline."""
        known = not self.is_tokens and self.inputs > max(DEFAULT_PROMPT)
        return DEFAULT_PROMPT if known else b""

    def prompt(self, text: bytes | None) -> list[int]:
        """The symbols of the option --prompt, or of the default prompt if it is None.

        Raises CorpusError.
        """
        return list(self.default_prompt) if text is None else self.read(text, "--prompt").tolist()

    def read(self, text: bytes, place: str) -> Array:
        """The symbols of a text, flat; none of an empty one.

        place: where the text is from. Raises CorpusError, naming it, for what is no symbol.
        """
        symbols = self._tokens(text, place) if self.is_tokens else np.frombuffer(text, np.uint8)
        check_known(symbols, self.inputs, place)
        return symbols

    def read_file(self, source: str | os.PathLike[str]) -> Array:
        """The symbols of a text file, of all files of a folder in sorted order, or of stdin (`-`).

        Raises CorpusError if a source is missing, empty, unreadable, or has what is no symbol.
        """
        if not self.is_tokens:
            symbols = read_text(source)
            check_known(symbols, self.inputs, os.fspath(source))
            return symbols
        pieces = []
        for place, data in read_pieces(source):
            pieces.append(self.read(data, place))
            if not len(pieces[-1]):
                raise CorpusError(f"{place}: no tokens: give {self._choices()}")
        return np.concatenate(pieces)

    def _tokens(self, text: bytes, place: str) -> Array:
        decoded = text.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        words = decoded.split() if self._word is None else self._word.findall(decoded)
        symbols = np.empty(len(words), np.int64)
        for index, word in enumerate(words):
            symbol = self._numbers.get(word)
            if symbol is None:
                if not (word.isascii() and word.isdigit()) or len(word) > LONGEST_NUMBER:
                    what = f"a name in {self.path}" if self.path else "the number of a token"
                    raise CorpusError(
                        f"{place}: word {index + 1} is {word[:40]!r}, which is not {what}: give "
                        f"{self._choices()}"
                    )
                symbol = int(word)
            symbols[index] = symbol
        return symbols

    def _choices(self) -> str:
        numbers = f"numbers from 0 to {self.inputs - 1}"
        if self.path:
            return f"names from that file, or {numbers}"
        return f"{numbers}, or --tokens FILE to use names"

    def text(self, symbols: Iterable[int]) -> str:
        """Symbols as they are printed: bytes as UTF-8, wrong ones as U+FFFD; a space after names
        and numbers.
        """
        if self.names is None:
            return bytes(symbols).decode("utf-8", "replace")
        return "".join(f"{self.name(symbol)} " for symbol in symbols)

    def whole(self, symbols: Sequence[int]) -> Sequence[int]:
        """These symbols without a character of UTF-8 that is cut at either end."""
        if self.is_tokens:
            return symbols
        return symbols[_first_whole(symbols) : len(symbols) - cut_character(bytes(symbols[-4:]))]

    def name(self, symbol: int) -> str:
        """The name of a symbol that is printed by its name, or its number if it has none.

        What is not UTF-8 in it is U+FFFD.
        """
        if not self.names or symbol >= len(self.names):
            return str(symbol)
        return self.names[symbol].encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def label(self, symbol: bytes | int) -> str:
        """A symbol, or a character of bytes, by itself, on one line, whatever it is."""
        if isinstance(symbol, bytes):
            try:
                return repr(symbol.decode())
            except UnicodeDecodeError:
                return f"byte{'s' * (len(symbol) > 1)} 0x{symbol.hex()}"
        name = self.name(symbol)
        return name if name.isprintable() and name.strip() == name != "" else repr(name)

    def parts(self, symbols: Sequence[int]) -> list[tuple[int, int, str]]:
        """What is read as a unit: characters of UTF-8, or tokens. First symbol, end, text."""
        if self.names is not None:
            return [
                (place, place + 1, self.text([symbols[place]])) for place in range(len(symbols))
            ]
        characters = re.finditer(rb"(?s).[\x80-\xbf]{0,3}", bytes(symbols))
        return [(found.start(), found.end(), self.text(found[0])) for found in characters]


def unit_of(net: Model) -> str:
    """What one symbol of a network is called."""
    return "byte" if net.writes_bytes else "token"


def warn_of_count(names: list[str], path: str | os.PathLike[str], net: Network) -> None:
    """Warn if the names in a file are more or fewer than the network's symbols."""
    if len(names) != net.inputs:
        log.warning(
            "warning: %s has %s, and the network has %s: check that the file belongs to the "
            "network; a symbol without a name is printed as its number",
            *(path, counted(len(names), "name"), counted(net.inputs, "symbol")),
        )


def utf8_characters(text: Array) -> int:
    """How many whole characters of UTF-8 these bytes are, or how many bytes if most of what is
    beyond ASCII is not UTF-8.
    """
    whole = ascii_ = wrong = 0
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for first in range(_first_whole(text), len(text), PART):
        part = decoder.decode(text[first : first + PART].tobytes())
        whole += len(part)
        ascii_ += len(part.encode("ascii", "ignore"))
        wrong += part.count("\ufffd")
    whole -= wrong
    return whole if whole - ascii_ >= wrong else len(text)


def _first_whole(text: Sequence[int] | Array) -> int:
    """Where the first character begins whose start is in the text."""
    first = 0
    while first < min(3, len(text)) and text[first] & 0xC0 == 0x80:
        first += 1
    return first


def first_not_utf8(text: Array) -> int | None:
    """The offset of the first byte that is of no character of UTF-8; None if there is none.

    A character that is cut at either end does no harm.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for first in range(_first_whole(text), len(text), PART):
        held_back = len(decoder.getstate()[0])
        try:
            decoder.decode(text[first : first + PART].tobytes())
        except UnicodeDecodeError as error:
            return first - held_back + error.start
    return None


def warn_of_encoding(text: Array, name: str, used: str) -> None:
    """Say once where bytes that are to be `used` as text are not UTF-8.

    name: of the text, its file or the folder of its files. used: what is done with it, in words.
    """
    offset = first_not_utf8(text)
    if offset is None:
        return
    name = "stdin" if name == "-" else name
    log.warning(
        "warning: %s is not UTF-8 (byte %d at offset %d): it is %s byte by byte, as it is; a text "
        "in an older encoding should be converted first: %s",
        *(name, text[offset], offset, used, conversion("ENCODING", name)),
    )


def cut_character(data: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 without ending it."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(data[-3:])
    return len(decoder.getstate()[0])


def _word_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    """What finds the words of a text where names contain white space; None if none does."""
    spaced = sorted((name for name in names if re.search(r"\s", name)), key=len, reverse=True)
    if not spaced:
        return None
    # A name ends where a word ends.
    ends = (re.escape(name) + ("" if name[-1].isspace() else r"(?!\S)") for name in spaced)
    return re.compile(rf"({'|'.join(ends)}|\S+) ?")


def check_network(net: Network) -> None:
    """Raise ValueError for what is no network, like the path of one."""
    instance(Network, "a Network, as load_network gives it").checked("net", net)


def check_symbols(net: Network, text: str | Sequence[int] | np.ndarray, name: str) -> np.ndarray:
    """`text`, a str, bytes or a flat sequence of integers, as an array of symbols (count,).

    A str is read as UTF-8, or for a network of tokens as their numbers. Raises ValueError, naming
    it, for anything else, and CorpusError if the network does not know a symbol.
    """
    if isinstance(text, str):
        return Symbols.of(net).read(text.encode("utf-8", "surrogateescape"), name)
    if isinstance(text, (bytes, bytearray, memoryview)):
        symbols = np.frombuffer(text, np.uint8)
    else:
        symbols = integers(name, "a str, bytes or a flat sequence of integers", text, ndim=1)
    check_known(symbols, net.inputs, name)
    return symbols
