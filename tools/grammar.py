"""A language whose entropy is known: little tales, written by a grammar.

The grammar that draws them, run over a finished text, finds which option was taken at every step,
and its probability. No model of the text has a lower -log probability on average.

    python tools/grammar.py write data/tales.txt
    python tools/grammar.py score data/tales.txt --from 900000

data/tales.grammar has the words and the rules:

    animal [one many] */*s = fox/foxes, hen     a table: words with their forms, frequent ones first
    creature = animal 3 + trade 1               a table made of others, with weights
    noun:                                       a rule, and its alternatives with weights
    3|{animal}
    verb.# for does do:                         two rules, with # replaced in all lines

A field is {TABLE}, {TABLE.FORM} or {RULE}. {NAME=TABLE} remembers the word that was drawn; {NAME},
{NAME.FORM} and {OTHER=NAME} use it, and {TABLE!NAME} draws any other. {a animal} puts an article
before the word, {^animal} makes its first letter a capital.

What follows depends on nothing but the text so far. A choice consists of the beginnings of all
alternatives: the first word, or the first letters. No beginning is a prefix of another one, so a
text has one derivation at most, and each character has a probability.

The tales reward memory. To do better than spelling, a network must make a verb agree with its
subject across a clause, close quotes and brackets, count, rhyme, use the right pronoun, and end
with the hero of the first line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import sys
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from darknet_py.files import write_whole

GRAMMAR = Path(__file__).parent.parent / "data" / "tales.grammar"
SEED, SIZE, HELD_OUT = 1, 1_000_000, 0.1

Word = Mapping[str, str]  # the forms of a word by name; "" is the first


class Field(NamedTuple):  # what stands in braces
    capital: str
    article: str
    name: str  # that remembers the word
    source: str
    other_than: str

    def shown(self, text: str) -> str:
        if self.article:
            text = ("an " if re.match("[aeiou]|honest", text) else "a ") + text
        return text[0].upper() + text[1:] if self.capital else text


def item_of(text: str) -> str | Field:
    match = re.fullmatch(r"{(\^?)(a )?(?:(\w+)=)?([\w.]+)(?:!(\w+))?}", text)
    return Field(*(group or "" for group in match.groups())) if match else text


Items = tuple[str | Field, ...]
# A text, its weight, the word to remember by name, if any, and the items after it.
Option = tuple[str, float, dict[str, Word], Items]


class Choice:
    """Options, one of which is taken. Raises ValueError if one is a prefix of another."""

    def __init__(self, unsorted: Iterator[Option]) -> None:
        self.options = sorted(unsorted, key=lambda option: option[0])
        self.texts = [option[0] for option in self.options]
        self.below = [0.0, *accumulate(option[1] for option in self.options)]
        for shorter, longer in pairwise(self.texts):
            if longer.startswith(shorter):
                raise ValueError(f"option {shorter!r} is a prefix of option {longer!r}")

    def weight(self, prefix: str) -> float:
        """The weight of all options that start with `prefix`."""
        first, last = bisect_left(self.texts, prefix), bisect_left(self.texts, prefix + "\x7f")
        return self.below[last] - self.below[first]


class Grammar:
    """The words and rules of a grammar, and what the tale so far has to remember."""

    def __init__(self) -> None:
        self.tables: dict[str, list[tuple[Word, float]]] = {}
        self.rules: dict[str, list[tuple[float, Items]]] = {}
        self.memory: dict[str, Word] = {}
        self._choices: dict[str | Field, Choice] = {}
        self._at_point: dict[Any, Choice] = {}
        self._uses_memory = False
        text = re.sub(r"^#.*\n", "", GRAMMAR.read_text(), flags=re.M).replace("\n  ", " ")
        for block in re.split(r"\n+(?!\d)", text.strip()):
            match = re.match(r".* for (.*)(?=:\n)", block)
            for variant in match[1].split() if match else [""]:
                self._read(re.sub(" for .*(?=:\n)", "", block, count=1).replace("#", variant))

    def _read(self, block: str) -> None:
        head, *lines = block.split("\n")
        if lines:
            alternatives = [line.replace("\\n", "\n").split("|", 1) for line in lines]
            self.rules[head.removesuffix(":")] = [
                (float(weight), tuple(map(item_of, re.findall(r"{.*?}|[^{]+", template))))
                for weight, template in alternatives
            ]
            return
        head, words = head.split(" = ")
        name, *names = re.findall(r"\w+", head.partition("]")[0])
        patterns = head.partition("] ")[2].split("/")
        rows = self.tables[name] = []
        if " + " in words:
            for table, share in (part.split() for part in words.split(" + ")):
                total = math.fsum(n for _, n in self.tables[table])
                rows += [(word, n * float(share) / total) for word, n in self.tables[table]]
        else:
            for rank, word in enumerate(words.split(", ")):
                forms = word.split("/")
                forms += [usual.replace("*", forms[0]) for usual in patterns[len(forms) :]]
                by_name = zip(["", *names], [forms[0], *forms], strict=False)
                rows.append((dict(by_name), 1 / (rank + 20)))

    def choice(self, item: str | Field) -> Choice:
        """What an item begins with at this point of the tale."""
        if item in self._choices:
            return self._choices[item]
        point = (item, *((name, word[""]) for name, word in self.memory.items()))
        before, self._uses_memory = self._uses_memory, point in self._at_point
        if not self._uses_memory:
            self._at_point[point] = Choice(self._options((item,), is_choice=True))
        if not self._uses_memory:
            self._choices[item] = self._at_point[point]
        self._uses_memory |= before
        return self._at_point[point]

    def _options(self, items: Items, is_choice: bool = False) -> Iterator[Option]:
        first, rest = items[0], items[1:]
        if isinstance(first, str):
            if not rest or re.search("[a-zA-Z]", first):
                yield first, 1.0, {}, rest
            else:
                for text, n, memo, after in self._options(rest):
                    yield first + text, n, memo, after
        elif first.source in self.rules and is_choice:
            for share, inner in self.rules[first.source]:
                for text, n, memo, after in self._options(inner):
                    yield first.shown(text), n * share, memo, after
        elif first.source in self.rules:
            choice = self.choice(first)
            for text, n, memo, after in choice.options:
                yield text, n / choice.below[-1], memo, after + rest
        else:
            # A word takes the text behind it along: "ox " is no prefix of "oxen ".
            end, rest = (rest[0], rest[1:]) if rest and isinstance(rest[0], str) else ("", rest)
            words = self._words(first)
            total = math.fsum(n for _, n in words)
            form = first.source.partition(".")[2]
            for word, n in words:
                memo = {first.name: word} if first.name else {}
                yield f"{first.shown(word[form])}{end}", n / total, memo, rest

    def _words(self, field: Field) -> list[tuple[Word, float]]:
        source = field.source.partition(".")[0]
        self._uses_memory |= source in self.memory or bool(field.other_than)
        if source in self.memory:
            return [(self.memory[source], 1.0)]
        left_out = self.memory.get(field.other_than)
        return [(word, n) for word, n in self.tables[source] if word is not left_out]

    def derive(self, take: Callable[[Choice], int]) -> None:
        """A tale, for which `take` is asked to take an option of each choice."""
        self.memory.clear()
        self._at_point.clear()
        items: list[str | Field] = [Field("", "", "", "tale", "")]
        while items:
            choice = self.choice(items.pop())
            _, _, memo, after = choice.options[take(choice)]
            self.memory |= memo
            items += reversed(after)


TALES = Grammar()


def written(seed: int, size: int) -> tuple[str, float]:
    """Tales of `size` characters or a little more, and their -log probability in nats."""
    draw = random.Random(seed).random  # the same in every Python
    pieces: list[str] = []
    length, nats = 0, 0.0

    def take(choice: Choice) -> int:
        nonlocal length, nats
        index = bisect(choice.below, draw() * choice.weight(""), 1, len(choice.texts)) - 1
        text = choice.texts[index]
        pieces.append(text)
        length += len(text)
        nats += math.log(choice.weight("") / choice.weight(text))
        return index

    while length < size:
        TALES.derive(take)
    return "".join(pieces), nats


def negative_log_probability(text: str, start: int = 0) -> float:
    """The exact -log p, in nats, of text[start:] given text[:start].

    `text` begins at the beginning of a tale and may break off anywhere. Raises ValueError, with the
    offset of the first byte that is wrong, if it is not of the grammar.
    """
    position, nats = 0, 0.0

    def take(choice: Choice) -> int:
        nonlocal position, nats
        ahead = text[position : position + 200]  # longer than any option
        index = max(0, bisect(choice.texts, ahead) - 1)
        taken = choice.texts[index]
        is_whole = ahead.startswith(taken)
        if not is_whole:  # the text is wrong, or ends here
            taken = ahead
            while not choice.weight(taken):
                taken = taken[:-1]
            if taken != ahead:
                possible = {t[len(taken)] for t in choice.texts if t.startswith(taken)}
                offset = position + len(taken)
                raise ValueError(
                    f"byte {offset}: {ahead[len(taken)]!r} is not of {sorted(possible)}"
                )
        before = taken[: max(0, start - position)]
        nats += math.log(choice.weight(before) / choice.weight(taken))
        position += len(taken)
        if not is_whole:
            raise EOFError
        return index

    with suppress(EOFError):
        while position < len(text):
            TALES.derive(take)
    return nats


def write(out: Path, seed: int = SEED, size: int = SIZE) -> dict[str, Any]:
    """Write tales to `out`, and next to it their figures, which are returned. Raises OSError."""
    text, nats = written(seed, size)
    start = len(text) - int(len(text) * HELD_OUT)
    scored = len(text) - start - 1
    figures = {
        "made_by": f"python tools/grammar.py write {out.as_posix()}",
        "bytes": len(text),
        "sha256": hashlib.sha256(text.encode("ascii")).hexdigest(),
        "nats_per_character": round(nats / len(text), 6),
        "held_out": {
            "start": start,
            "characters": scored,
            "nats_per_character": round(negative_log_probability(text, start + 1) / scored, 6),
        },
    }
    write_whole(out, [text.encode("ascii")])
    write_whole(out.with_suffix(".json"), [json.dumps(figures, indent=2).encode() + b"\n"])
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write or score tales of known entropy.")
    parser.add_argument("command", choices=("write", "score", "bound"))
    parser.add_argument("file", type=Path, help="the text; for `bound`, its figures (.json)")
    parser.add_argument("--from", type=int, default=0, dest="start", help="the first byte to score")
    options = parser.parse_args(arguments)
    try:
        if options.command == "write":
            write(options.file)
        elif options.command == "bound":
            held_out = json.loads(options.file.read_text())["held_out"]
            nats = held_out["nats_per_character"]
            print(f"bound               {nats:.4f}  the grammar's entropy")
        else:
            # Every byte is one character of Latin-1, so that offsets are those of bytes.
            text = options.file.read_bytes().decode("latin-1")
            nats = negative_log_probability(text, options.start)
            print(f"{nats / max(1, len(text) - options.start):.6f} nats per character")
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
