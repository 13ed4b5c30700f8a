"""A language whose entropy is known: little tales written by a random grammar.

How good can a language model become? On an ordinary text nobody knows: the entropy of English is
only estimated. Here the text is generated, so the answer can be computed. The grammar below is a
program that writes tales by drawing from tables of weighted options, and the same program, run
over a finished text, tells which option was taken at every step and what its probability was. The
negative log probability of the text is a sum over these steps, and no model can beat it on
average: it is the loss that a perfect network would reach.

Three rules make this work.

1. Within one choice no option is a prefix of another. Reading from left to right, at most one
   option can match, so the text alone tells which one was taken.
2. What the grammar does next depends on nothing but the strings emitted so far. There is no hidden
   state, hence a text has one derivation at most: the grammar is unambiguous.
3. The grammar talks to a `Chooser` only. A `Writer` chooses at random and appends; a `Reader`
   looks the choice up in a given text. Both add up -log p.

A choice also fixes the probability of each single character: the k-th character of the option taken
has probability (weight of the options that share the first k + 1 characters) / (weight of those
that share the first k). Any stretch of text can therefore be scored, even one that begins or ends
inside a word.

The tales are made to reward memory. A network that remembers little gets the spelling right. To do
better it must make a verb agree with its subject across a clause that stands between them ("the
dogs that the old miller feeds sleep"), close quotes and brackets in the order they were opened,
count the items of a list it has announced, rhyme, use the right pronoun, and end with the hero of
the first line.

    python tools/grammar.py write data/tales.txt
    python tools/grammar.py score data/tales.txt --from 900000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import sys
from abc import ABC, abstractmethod
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate, chain, pairwise, repeat
from pathlib import Path
from typing import Any

# ----------------------------------------------------------------------------------------------
# 1. Choosers
# ----------------------------------------------------------------------------------------------


class Choice:
    """Strings, exactly one of which is emitted, with positive integer weights.

    Raises ValueError if there are no options, if one is empty or has no positive weight, or if one
    is a prefix of another.
    """

    def __init__(self, options: Mapping[str, int]) -> None:
        for shorter, longer in pairwise(sorted(options)):
            if longer.startswith(shorter):
                raise ValueError(f"option {shorter!r} is a prefix of option {longer!r}")
        if not options or "" in options or min(options.values()) <= 0:
            raise ValueError("a choice needs options, none empty, each with a positive weight")
        # Frequent options come first, where a reader finds them sooner.
        self.options = dict(sorted(options.items(), key=lambda item: -item[1]))
        self.texts = list(self.options)
        self.cumulative = list(accumulate(self.options.values()))
        self.total = self.cumulative[-1]

    def __contains__(self, text: str) -> bool:
        return text in self.options

    def nats(self, option: str) -> float:
        """The -log probability of an option."""
        return math.log(self.total / self.options[option])

    def weight(self, prefix: str) -> int:
        """The weight of all options that start with `prefix`."""
        return sum(weight for text, weight in self.options.items() if text.startswith(prefix))


Options = Choice | Mapping[str, int]


@cache
def _choice(items: tuple[tuple[str, int], ...]) -> Choice:
    return Choice(dict(items))


def choice_of(options: Options) -> Choice:
    """`options` as a Choice; equal mappings give the same object."""
    return options if isinstance(options, Choice) else _choice(tuple(options.items()))


class Chooser(ABC):
    """What a grammar is run on. `nats` is the -log probability of what was emitted so far."""

    nats: float = 0.0
    position: int = 0

    def choose(self, options: Options) -> str:
        """Emits one of the options and returns it."""
        return self.take(options if isinstance(options, Choice) else choice_of(options))

    def emit(self, text: str) -> None:
        """Emits fixed text: a choice with one option."""
        self.take(_choice(((text, 1),)))

    @abstractmethod
    def take(self, choice: Choice) -> str: ...

    @abstractmethod
    def wants_more(self) -> bool:
        """Whether another tale is to follow."""


class Writer(Chooser):
    """Chooses at random and writes until the text has `size` characters or more."""

    def __init__(self, seed: int, size: int) -> None:
        self.size = size
        self.pieces: list[str] = []
        # Of all the methods of Random, only this one promises the same stream in every Python.
        self.draw = random.Random(seed).random

    def take(self, choice: Choice) -> str:
        option = choice.texts[bisect(choice.cumulative, self.draw() * choice.total)]
        self.pieces.append(option)
        self.position += len(option)
        self.nats += choice.nats(option)
        return option

    def wants_more(self) -> bool:
        return self.position < self.size


class NotInLanguage(ValueError):
    """A text that the grammar cannot have written; `offset` is the first byte that is wrong."""

    def __init__(self, offset: int, found: str, expected: list[str]) -> None:
        names = ", ".join(repr(character) for character in expected)
        super().__init__(f"byte {offset}: found {found!r}, expected one of {names}")
        self.offset = offset


class EndOfText(Exception):
    """The text given to a Reader ends here, perhaps inside a tale."""


class Reader(Chooser):
    """Follows a given text and adds up the -log probability of its part [start, end)."""

    def __init__(self, text: str, start: int = 0) -> None:
        self.text = text
        self.start = start

    def take(self, choice: Choice) -> str:
        for option in choice.options:
            if self.text.startswith(option, self.position):
                self._score(choice, option, choice.nats(option))
                return option
        known = ""
        for character in self.text[self.position :]:
            if not choice.weight(known + character):
                expected = {text[len(known)] for text in choice.texts if text.startswith(known)}
                raise NotInLanguage(self.position + len(known), character, sorted(expected))
            known += character
        self._score(choice, known, math.log(choice.total / choice.weight(known)))
        raise EndOfText

    def _score(self, choice: Choice, taken: str, nats: float) -> None:
        before = self.start - self.position
        if before <= 0:
            self.nats += nats
        elif before < len(taken):
            self.nats += math.log(choice.weight(taken[:before]) / choice.weight(taken))
        self.position += len(taken)

    def wants_more(self) -> bool:
        return self.position < len(self.text)


def negative_log_probability(text: str, start: int = 0, stop: int | None = None) -> float:
    """The exact -log p, in nats, of text[start:stop] given text[:start].

    `text` begins at the beginning of a tale and may break off anywhere. Raises NotInLanguage, which
    has the offset, if text[:stop] is not of the grammar, and ValueError if the bounds do not
    satisfy 0 <= start <= stop <= len(text).
    """
    stop = len(text) if stop is None else stop
    if not 0 <= start <= stop <= len(text):
        raise ValueError(f"cannot score [{start}, {stop}) of {len(text)} characters")
    reader = Reader(text[:stop], start)
    with suppress(EndOfText):
        tales(reader)
    return reader.nats


# ----------------------------------------------------------------------------------------------
# 2. Words
# ----------------------------------------------------------------------------------------------


def split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


def zipf(words: Iterable[str]) -> Choice:
    """Words in order of frequency; the one of rank r (from 0) weighs about 1 / (r + 20)."""
    return Choice({word: 9000 // (rank + 20) for rank, word in enumerate(words)})


@cache
def even(*texts: str) -> Choice:
    return Choice(dict.fromkeys(texts, 1))


@cache
def around(before: str, words: Choice, after: str = "") -> Choice:
    """The words, each between `before` and `after`."""
    return Choice({before + word + after: n for word, n in words.options.items()})


def ended(words: Choice, end: str) -> Choice:
    return around("", words, end)


@cache
def without(words: Choice, left_out: frozenset[str]) -> Choice:
    return Choice({word: n for word, n in words.options.items() if word not in left_out})


def changed(words: Choice, change: Callable[[str], str]) -> Choice:
    return Choice({change(word): n for word, n in words.options.items()})


@cache
def _joined(parts: tuple[tuple[Choice, int], ...]) -> Choice:
    # Rounding keeps the weights small integers, so that sums and draws are the same everywhere.
    weights = [
        (text, max(1, round(10_000 * share * weight / choice.total)))
        for choice, share in parts
        for text, weight in choice.options.items()
        if share
    ]
    options = dict(weights)
    if len(options) < len(weights):
        raise ValueError("an option occurs in two of the joined choices")
    return Choice(options)


def joined(*parts: tuple[Options, int]) -> Choice:
    """One choice out of several, each of which gets the given share.

    Raises ValueError if two of them have an option in common.
    """
    return _joined(tuple((choice_of(options), share) for options, share in parts))


def a(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" or words.startswith("honest") else f"a {words}"


IRREGULAR = {
    "goose": "geese",
    "mouse": "mice",
    "ox": "oxen",
    "spy": "spies",
    "thief": "thieves",
    "wolf": "wolves",
}


def plural_of(noun: str) -> str:
    return IRREGULAR.get(noun, noun + ("es" if noun.endswith(("x", "ch", "sh")) else "s"))


ANIMAL_WORDS = split(
    "fox, hen, owl, goose, cat, mouse, hare, dog, bear, goat, crow, toad, wolf, mole, pig, swan, "
    "frog, snail, duck, robin, newt, bat, ox, otter, eel, bee, ram, moth, ape, hawk, lark, seal, "
    "yak, crab, ant, gull, elk, cow, rat, wasp, dove, badger, donkey"
)
TRADE_WORDS = split(
    "baker, cook, tailor, piper, miller, sailor, poet, weaver, smith, clown, nurse, clerk, scout"
)
COURT_WORDS = split(
    "king, queen, witch, thief, giant, duke, monk, aunt, knight, judge, pirate, ogre, imp, spy, "
    "uncle, earl"
)
CREATURE_WORDS = [
    word for three in zip(ANIMAL_WORDS, COURT_WORDS, TRADE_WORDS, strict=False) for word in three
]
CREATURE_WORDS += [word for word in ANIMAL_WORDS + COURT_WORDS if word not in CREATURE_WORDS]
THING_WORDS = split(
    "hat, egg, pie, key, bell, spoon, plum, ring, harp, coin, drum, lamp, cake, pear, boat, sock, "
    "fig, book, kettle, tart, wig, apple, fiddle, bun, crown, jug, oar, kite, button, map, nut, "
    "onion, fan, candle, rug, pipe, comb, acorn, axe, bow, cup, gem, flute, mask, pan, quilt, "
    "rope, saw, tub, urn, vase, nail, umbrella"
)
PLURALS = frozenset(map(plural_of, CREATURE_WORDS + THING_WORDS))

ANIMAL = zipf(ANIMAL_WORDS)
ANIMALS = zipf(map(plural_of, ANIMAL_WORDS))
CREATURE = zipf(CREATURE_WORDS)
CREATURES = zipf(map(plural_of, CREATURE_WORDS))
A_CREATURE = changed(CREATURE, a)
ROLE = zipf(
    word
    for word in ANIMAL_WORDS[:8] + TRADE_WORDS + ANIMAL_WORDS[8:]
    if word not in ("hen", "cow", "ox", "ram")
)
THING = zipf(THING_WORDS)
THINGS = zipf(map(plural_of, THING_WORDS))
A_THING = changed(THING, a)

NATURE = zipf(
    split(
        "old, sly, little, shy, kind, wise, grey, lazy, proud, vain, sad, merry, rude, brave, "
        "tiny, stout, idle, young, bald, meek, honest, plump, clever, pale, dusty, nosy, noble, "
        "sleepy, jolly, stern, grumpy, mild, lean, dull, odd, loud, damp, calm, shaggy, tall"
    )
)
LOOK = zipf(
    split(
        "red, golden, old, blue, silver, little, green, odd, wooden, empty, brass, lovely, broken, "
        "ivory, muddy, magic, pink, tin, heavy, yellow, huge, round, cheap, rusty"
    )
)
STATE = zipf(
    split(
        "sad, hungry, wise, proud, happy, cold, rich, merry, poor, cross, tired, ill, brave, late, "
        "lucky, bold, sorry, angry, calm, lonely, bored, polite, famous, busy, quiet, sober, glad, "
        "warm, free, stubborn"
    )
)
A_NATURE = changed(NATURE, a)
A_LOOK = changed(LOOK, a)

# Names go with their pronouns; a pair of friends is one character, in the plural.
WOMEN = zipf(
    split(
        "Ada, Nell, Bess, Ivy, Olive, Una, Maud, Tilly, Rose, Dora, Fern, Clara, Mab, Elsie, Prue"
    )
)
MEN = zipf(
    split("Tom, Kit, Bruno, Ned, Gus, Oscar, Alf, Hugo, Milo, Percy, Felix, Jack, Wilf, Jem, Rufus")
)
PAIRS = zipf(split("Hob and Nob, Pip and Pop, Dot and Dash, Nip and Tuck, Bim and Bo"))
NAME = joined((WOMEN, 5), (MEN, 5), (PAIRS, 1))


@dataclass(frozen=True)
class Verb:
    """The forms of some verbs: "feeds", "feed", "fed"."""

    singular: Choice
    plural: Choice
    past: Choice

    def form(self, plural: bool, past: bool) -> Choice:
        return self.past if past else self.plural if plural else self.singular


def verbs(words: str) -> Verb:
    singular, plural, past = zip(*(word.split("/") for word in split(words)), strict=True)
    return Verb(zipf(singular), zipf(plural), zipf(past))


REST = verbs(
    "sleeps/sleep/slept, sings/sing/sang, snores/snore/snored, dances/dance/danced, "
    "weeps/weep/wept, sulks/sulk/sulked, laughs/laugh/laughed, waits/wait/waited, "
    "yawns/yawn/yawned, prays/pray/prayed, hums/hum/hummed, sneezes/sneeze/sneezed, "
    "smiles/smile/smiled, dozes/doze/dozed, faints/faint/fainted, nods/nod/nodded, "
    "howls/howl/howled, groans/groan/groaned, blushes/blush/blushed, coughs/cough/coughed, "
    "knits/knit/knitted, frowns/frown/frowned, grins/grin/grinned, sways/sway/swayed, "
    "swims/swim/swam, winks/wink/winked, pouts/pout/pouted, hiccups/hiccup/hiccupped"
)
ACT = verbs(
    "loves/love/loved, feeds/feed/fed, fears/fear/feared, teases/tease/teased, "
    "trusts/trust/trusted, mocks/mock/mocked, chases/chase/chased, teaches/teach/taught, "
    "bites/bite/bit, admires/admire/admired, hugs/hug/hugged, follows/follow/followed, "
    "envies/envy/envied, fools/fool/fooled, tickles/tickle/tickled, thanks/thank/thanked, "
    "helps/help/helped, scolds/scold/scolded, pities/pity/pitied, watches/watch/watched, "
    "obeys/obey/obeyed, bores/bore/bored, misses/miss/missed, guards/guard/guarded, "
    "hires/hire/hired, cheats/cheat/cheated, pays/pay/paid, calls/call/called, likes/like/liked, "
    "marries/marry/married"
)
HANDLE = verbs(
    "sells/sell/sold, grows/grow/grew, eats/eat/ate, steals/steal/stole, mends/mend/mended, "
    "paints/paint/painted, wears/wear/wore, bakes/bake/baked, buries/bury/buried, "
    "licks/lick/licked, weighs/weigh/weighed, juggles/juggle/juggled, owns/own/owned, "
    "drops/drop/dropped, trades/trade/traded, draws/draw/drew, breaks/break/broke, "
    "needs/need/needed, lends/lend/lent, hates/hate/hated"
)
THINK = verbs(
    "says/say/said, knows/know/knew, thinks/think/thought, hopes/hope/hoped, swears/swear/swore"
)
DWELL = verbs("lives/live/lived, hides/hide/hid, sits/sit/sat, nests/nest/nested")
GO = zipf(
    split(
        "ran, crept, hopped, walked, rode, marched, hurried, tiptoed, skipped, limped, trotted, "
        "wandered, strolled, slipped, tumbled, flew, rolled, fled, raced, sailed"
    )
)

PLACE = zipf(
    split(
        "barn, mill, forest, inn, cellar, garden, tower, cave, church, attic, bog, castle, "
        "orchard, meadow, shed, kitchen, ditch, stable, marsh, maze, palace, valley, chapel, "
        "bakery, hut, pub, moat, lake, zoo, shop, crypt, hall"
    )
)
AT = zipf(split("in, by, near, under, behind, above"))
TO = zipf(split("to, into, past, round, through, out of"))
WHERE = zipf(
    split(
        "at home, in bed, at sea, in town, upstairs, at court, in jail, abroad, on deck, "
        "on tiptoe, in a tub, on a log"
    )
)
WHEN = zipf(
    split(
        "at noon, at dawn, all day, at dusk, all night, after dark, by moonlight, at midnight, "
        "after tea, in June, on Sundays, twice a week, every spring, by candlelight, before lunch"
    )
)
HOW = zipf(
    split(
        "softly, gladly, sadly, loudly, slowly, badly, in secret, in tears, for fun, with care, "
        "as ever, in rhyme, for hours, in vain, by mistake, backwards, out of tune"
    )
)
SKY = zipf(
    split(
        "the rain fell, the moon rose, the wind sang, the snow lay deep, a bell rang, "
        "the fog hung low, the stars came out, a door creaked, an apple fell"
    )
)
IT_WAS = zipf(
    split(
        "late, cold, dark, a windy night, a fine day, winter, too early, a holiday, nearly May, "
        "one of those days, a very small island, time for tea"
    )
)
KIN = zipf(split("aunt, uncle, cousin, sister, brother, teacher, neighbour"))
CURED = zipf(split("cure, please, wake, catch, cheer, tame, fool, dress"))
OFTEN = zipf(split("never, often, always, seldom, rarely, still, now, sometimes"))

NUMBERS = {
    word: n
    for n, word in enumerate(split("two, three, four, five, six, seven, eight, nine, ten"), start=2)
}
NUMBER = zipf(NUMBERS)
FEW = Choice({"two": 6, "three": 8, "four": 3, "five": 1})

RHYMES = {
    ending: rhyme
    for rhyme, endings in {
        "ill": "over the hill, down to the mill, on the sill, though ill, to pay the bill, "
        "for a thrill, to dance a quadrille, with a quill",
        "oon": "by the moon, in June, to a merry tune, with a spoon, at noon, in a balloon, "
        "an hour too soon, with a baboon",
        "ee": "up a tree, over the sea, at three, with a bee, in time for tea, without a key, "
        "for all to see, and bent the knee",
        "ay": "one day, all the way, through the hay, in May, with nothing to say, on a sleigh, "
        "far away, by the bay",
        "ight": "in the night, by candlelight, in a fright, left and right, in white, on a kite, "
        "out of sight, by lantern light",
        "own": "to town, in a gown, with a crown, up and down, with a clown, in brown, "
        "with a frown, and did not drown",
        "ain": "in the rain, and back again, by train, to Spain, with a cane, down the lane, "
        "in vain, on a weather vane",
        "ing": "in spring, to see the king, with a ring, on a string, on one wing, for a fling, "
        "on a swing, without a thing",
    }.items()
    for ending in split(endings)
}
ENDINGS = even(*RHYMES)


# ----------------------------------------------------------------------------------------------
# 3. The grammar, from small to large
#
# A function emits its part and returns what the rest of the text depends on. `ends` are the marks
# that may follow a phrase, with weights. Whether a phrase goes on is decided where it could end, by
# emitting one of them or a space; the mark emitted is returned.
# ----------------------------------------------------------------------------------------------

Ends = Mapping[str, int]

STOP: Ends = {".": 1}
SPACE: Ends = {" ": 1}
DEEPEST = 3


def plus(ends: Ends, more: Mapping[str, int]) -> Ends:
    """`ends`, or each of `more` in so many percent of all cases."""
    total, percent = sum(ends.values()), 100 - sum(more.values())
    return {end: percent * n for end, n in ends.items()} | {m: p * total for m, p in more.items()}


@cache
def crossed(words: Choice, ends: tuple[tuple[str, int], ...]) -> Choice:
    """Every word with every end, for words like "dog" and "dogs" that cannot stand alone."""
    return Choice({word + end: n * m for word, n in words.options.items() for end, m in ends})


def say(c: Chooser, *parts: Choice | str) -> None:
    """Emits fixed texts and choices one after the other."""
    for part in parts:
        if isinstance(part, str):
            c.emit(part)
        else:
            c.choose(part)


def first_word(text: str) -> str:
    return re.split("[^a-zA-Z]", text, maxsplit=1)[0]


# Things and places


def listed(c: Chooser, words: Choice, count: int, ends: Ends, suffix: str = "") -> str:
    """So many different words, as in "a pear, a lamp and an egg"."""
    used: frozenset[str] = frozenset()
    for left in reversed(range(count)):
        used |= {c.choose(without(words, used))}
        if suffix:
            c.emit(suffix)
        if left:
            c.emit(", " if left > 1 else " and ")
    return c.choose(ends)


def counted(c: Chooser, ends: Ends) -> str:
    """After "counted to ": "three: one bell, two hats and three spoons"."""
    last = NUMBERS[c.choose(FEW)]
    say(c, ": one ", THING)
    for number, count in NUMBERS.items():
        if count <= last:
            say(c, ", " if count < last else " and ", number, " ", THINGS)
    return c.choose(ends)


LOOKING = ended(LOOK, " ")
SOME_THINGS = joined((THINGS, 3), (LOOKING, 2))
THINGS_OR_LIST = joined((SOME_THINGS, 5), ({"things: ": 1}, 1))
SOME_THING = joined((A_THING, 2), (ended(A_LOOK, " "), 4), (ended(NUMBER, " "), 3))


def things(c: Chooser, options: Choice = SOME_THINGS) -> str:
    """ "eggs" or "golden eggs", or what else the options are; returns the option taken."""
    word = c.choose(options)
    if word in LOOKING:
        c.choose(THINGS)
    return word


def some_thing(c: Chooser, ends: Ends) -> str:
    """ "an egg", "a golden egg", "three eggs" or "two things: a pie and an egg"."""
    word = c.choose(SOME_THING)
    count = NUMBERS.get(word[:-1], 1)
    if count > 1:
        if things(c, THINGS_OR_LIST if count < 6 else SOME_THINGS) == "things: ":
            return listed(c, A_THING, count, ends)
    elif word.endswith(" "):
        c.choose(THING)
    return c.choose(ends)


PLACE_NAME = joined((PLACE, 1), (LOOKING, 1))
SOME_PLACE = joined(
    (around("the ", PLACE), 3),
    (around("the ", LOOK, " "), 3),
    (changed(PLACE, a), 2),
    (ended(A_LOOK, " "), 2),
)


def place_name(c: Chooser, ends: Ends) -> str:
    """After "the ": "barn", "old barn"."""
    if c.choose(PLACE_NAME).endswith(" "):
        c.choose(PLACE)
    return c.choose(ends)


def place(c: Chooser, prepositions: Choice, ends: Ends) -> str:
    """ "in the barn", "behind an old barn"."""
    c.choose(ended(prepositions, " "))
    if c.choose(SOME_PLACE).endswith(" "):
        c.choose(PLACE)
    return c.choose(ends)


# Creatures and what they do. `plural` and `past` select the form of a verb; `depth` is the number
# of clauses around this one.


def be(plural: bool, past: bool) -> str:
    return (("is", "are"), ("was", "were"))[past][plural]


ADJECTIVE = ended(NATURE, " ")
# The adjectives that may come second, as in "sly old fox".
BUILD = ended(
    even(*split("old, little, grey, tiny, stout, young, bald, plump, pale, lean, tall, shaggy")),
    " ",
)
PHRASE = joined(
    ({"the ": 1}, 9),
    (A_CREATURE, 3),
    (ended(A_NATURE, " "), 2),
    (CREATURES, 2),
    (ADJECTIVE, 1),
    (ended(NUMBER, " "), 3),
)


def noun(c: Chooser, nouns: Choice) -> str:
    """One of the nouns, perhaps after an adjective or two: "fox", "sly fox", "sly old fox"."""
    word = c.choose(joined((nouns, 1), (ADJECTIVE, 1)))
    if word in ADJECTIVE and word not in BUILD:
        word = c.choose(joined((nouns, 6), (BUILD, 1)))
    return c.choose(nouns) if word in ADJECTIVE else word


def phrase(c: Chooser, ends: Ends, start: str = "") -> tuple[bool, str]:
    """ "the dog", "a sly dog", "dogs", "two dogs"; `start` is the option of PHRASE it begins with,
    if that was emitted already. Returns whether it is plural, and the end."""
    start = start or c.choose(PHRASE)
    if start == "the ":
        marks = tuple(ends.items())
        text = noun(c, joined((crossed(CREATURE, marks), 3), (crossed(CREATURES, marks), 2)))
        word = first_word(text)
        return word in PLURALS, text[len(word) :]
    plural = not start.startswith(("a ", "an "))
    if start[:-1] in NUMBERS:
        noun(c, CREATURES)
    elif start.endswith(" "):
        c.choose(CREATURES if plural else CREATURE)
    return plural, c.choose(ends)


def subject(c: Chooser, start: str = "") -> bool:
    """A phrase and a space; returns whether it is plural."""
    return phrase(c, SPACE, start)[0]


def creature(c: Chooser, ends: Ends, past: bool, depth: int = 0, start: str = "") -> str:
    """A phrase as an object, perhaps with more to it: "two dogs that the miller feeds"."""
    deeper = depth < DEEPEST and " " not in ends
    marks = plus(ends, {" that ": 16, " with ": 5}) if deeper else ends
    plural, end = phrase(c, marks, start)
    if end == " that " and deeper:
        return relative(c, plural, past, ends, depth + 1)
    return some_thing(c, ends) if end == " with " and deeper else end


CONJUNCTIONS = (even("when ", "if ", "because "), even("when ", "until ", "because "))
AT_THE = ended(AT, " the ")
ADJUNCT = joined(
    (AT_THE, 5),
    (WHERE, 3),
    (WHEN, 4),
    (HOW, 3),
    (around("like ", A_CREATURE), 2),
    (around("with ", A_CREATURE), 2),
)


def adjoined(c: Chooser, ends: Ends, past: bool, depth: int = 0, percent: int = 45) -> str:
    """Perhaps a place, a time, a manner or a condition; then an end."""
    end = c.choose(plus(ends, {" ": percent}))
    if end != " ":
        return end
    start = c.choose(joined((ADJUNCT, 5), (CONJUNCTIONS[past], 1)) if depth < 1 else ADJUNCT)
    if start in CONJUNCTIONS[past]:
        return clause(c, past, ends, depth + 1)
    return place_name(c, ends) if start in AT_THE else c.choose(ends)


INDEFINITE = joined((A_CREATURE, 1), (ended(A_NATURE, " "), 1))


def indefinite(c: Chooser) -> None:
    """ "an owl" or "a sly owl"."""
    if c.choose(INDEFINITE) not in A_CREATURE:
        c.choose(CREATURE)


def some_creature(c: Chooser, ends: Ends, past: bool) -> str:
    """ "an owl", "a sly owl with two hats", "a sly owl that fears the geese"."""
    indefinite(c)
    match c.choose(plus(ends, {" that ": 30, " with ": 10})):
        case " that ":
            return relative(c, False, past, ends, 1)
        case " with ":
            return some_thing(c, ends)
        case end:
            return end


@cache
def relative_starts(plural: bool, past: bool) -> Choice:
    return joined(
        (PHRASE, 6),
        (ended(ACT.form(plural, past), " "), 4),
        (ended(HANDLE.form(plural, past), " "), 5),
        (ended(DWELL.form(plural, past), " "), 2),
        ({be(plural, past) + " ": 1}, 1),
    )


def relative(c: Chooser, plural: bool, past: bool, ends: Ends, depth: int) -> str:
    """After "dogs that ": "the old millers feed", "feed geese", "sell hats", "live in the mill"."""
    start = c.choose(relative_starts(plural, past))
    if start in PHRASE:
        inner = subject(c, start)
        after_subject(c, inner, past, ACT.form(inner, past), depth)
        return c.choose(ends)
    if start == be(plural, past) + " ":
        return description(c, ends)
    if start[:-1] in ACT.form(plural, past):
        return creature(c, ends, past, depth)
    if start[:-1] in DWELL.form(plural, past):
        return place(c, AT, ends)
    things(c)
    return c.choose(ends)


def after_subject(c: Chooser, plural: bool, past: bool, starts: Options, depth: int = 0) -> str:
    """Perhaps "that ..." or "with ..."; then one of `starts`, which is returned."""
    percent = (28, 18, 8, 0)[depth]
    if percent:
        more = {"that ": 4, "with ": 1}
        start = c.choose(joined((starts, 100 - percent), (more, percent)))
        if start not in more:
            return start
        if start == "that ":
            relative(c, plural, past, SPACE, depth + 1)
        else:
            some_thing(c, SPACE)
    return c.choose(starts)


DESCRIPTION = joined(
    (STATE, 12),
    ({"as ": 4, "fond of ": 2, "afraid of ": 2, "older than the ": 1, "married to ": 1}, 7),
)


def description(c: Chooser, ends: Ends) -> str:
    """After "is ": "hungry", "as hungry as a wolf", "fond of plums"."""
    match c.choose(DESCRIPTION):
        case "as ":
            say(c, STATE, " as ", A_CREATURE)
        case "fond of ":
            things(c)
        case "afraid of ":
            c.choose(CREATURES)
        case "older than the ":
            c.choose(CREATURE)
        case "married to ":
            c.choose(A_CREATURE)
    return c.choose(ends)


@cache
def deeds(plural: bool, past: bool) -> Choice:
    return joined(
        (REST.form(plural, past), 7),
        (ended(ACT.form(plural, past), " "), 5),
        (ended(HANDLE.form(plural, past), " "), 5),
    )


@cache
def predicate_starts(plural: bool, past: bool) -> Choice:
    has = "had " if past else "have " if plural else "has "
    return joined(
        (deeds(plural, past), 17),
        ({be(plural, past) + " ": 3, has: 2}, 5),
        (ended(OFTEN, " "), 3),
        (ended(THINK.form(plural, past), " that "), 1),
    )


def predicate(c: Chooser, start: str, plural: bool, past: bool, ends: Ends, depth: int) -> str:
    """The rest of a predicate that begins with one of predicate_starts(plural, past)."""
    if start[:-1] in OFTEN:
        start = c.choose(deeds(plural, past))
    if start[:-1] == be(plural, past):
        return description(c, ends)
    if start.endswith(" that "):
        return clause(c, past, ends, min(depth + 1, DEEPEST))
    if start[:-1] in ACT.form(plural, past):
        return creature(c, ends, past, depth)
    if start in ("has ", "have ", "had "):
        return some_thing(c, ends)
    if start[:-1] in HANDLE.form(plural, past):
        things(c)
        return adjoined(c, ends, past, depth, 25)
    return adjoined(c, ends, past, depth)


def clause(c: Chooser, past: bool, ends: Ends, depth: int = 0, start: str = "") -> str:
    """A subject and a predicate that agrees with it."""
    return predicated(c, subject(c, start), past, ends, depth)


def predicated(
    c: Chooser, plural: bool, past: bool, ends: Ends, depth: int = 0, of_plural: bool = False
) -> str:
    """After a subject: its predicate. With `of_plural` a relative clause in between has a plural
    antecedent: "one of the dogs that live in the mill sleeps"."""
    starts = predicate_starts(plural, past)
    start = after_subject(c, plural or of_plural, past, starts, depth)
    return predicate(c, start, plural, past, ends, depth)


# Characters


@dataclass(frozen=True)
class Character:
    """Somebody in a tale: the name inside a sentence, the pronouns, and what they are ("hare")."""

    name: str
    he: str
    him: str
    his: str
    plural: bool
    role: str = ""

    @property
    def was(self) -> str:
        return be(self.plural, past=True)

    @property
    def i(self) -> str:
        return "We " if self.plural else "I "

    @property
    def am(self) -> str:
        return "are " if self.plural else "am "


def character(name: str) -> Character:
    if name in PAIRS:
        return Character(name, "they", "them", "their", True)
    if name in WOMEN:
        return Character(name, "she", "her", "her", False)
    return Character(name, "he", "him", "his", False)


@dataclass
class Tale:
    """What later sentences depend on. `salient` tells whom a pronoun means at this point."""

    cast: list[Character]
    prize: str
    salient: dict[str, Character] = field(default_factory=dict)

    @property
    def hero(self) -> Character:
        return self.cast[0]

    def mention(self, who: Character) -> None:
        self.salient[who.he] = who

    def names(self, other_than: Character | None = None) -> dict[str, int]:
        return {who.name: 4 - n for n, who in enumerate(self.cast) if who is not other_than}

    def references(self, other_than: Character | None = None) -> dict[str, int]:
        """Names and clear pronouns, each with a space."""
        pronouns = {he + " ": 6 for he, who in self.salient.items() if who is not other_than}
        return {name + " ": n for name, n in self.names(other_than).items()} | pronouns

    def capital_references(self) -> dict[str, int]:
        return {text[0].upper() + text[1:]: n for text, n in self.references().items()}

    def referred(self, reference: str) -> Character:
        """Whom a reference means; it is the salient one from now on."""
        text = reference.strip()
        who = self.salient.get(text.lower()) or next(w for w in self.cast if w.name == text)
        self.mention(who)
        return who


@cache
def actions(plural: bool) -> Choice:
    return joined(
        (REST.past, 5),
        (ended(GO, " "), 5),
        (ended(ACT.past, " "), 4),
        (ended(HANDLE.past, " "), 3),
        ({be(plural, past=True) + " ": 3, "found ": 2, "bought ": 2, "lost ": 1, "made ": 2}, 5),
        ({"saw ": 3, "heard ": 2, "met ": 3, "gave ": 3, "asked ": 2}, 5),
        ({"wondered why ": 1, "forgot that ": 1, "looked for the ": 3, "counted to ": 2}, 4),
    )


def action(c: Chooser, tale: Tale, who: Character, ends: Ends, verb: str = "") -> str:
    """What somebody did, beginning with `verb` if it was emitted already."""
    verb = verb or c.choose(actions(who.plural))
    if verb in REST.past:
        return adjoined(c, ends, True)
    if verb[:-1] in GO:
        return place(c, TO, ends)
    if verb[:-1] in ACT.past:
        return target(c, tale, who, ends)
    match verb:
        case "was " | "were ":
            return description(c, ends)
        case "saw " | "heard ":
            after_subject(c, subject(c), True, REST.plural)
            return adjoined(c, ends, True, 1)
        case "met ":
            return some_creature(c, ends, past=True)
        case "gave ":
            target(c, tale, who, SPACE)
        case "asked ":
            creature(c, {" for ": 1}, past=True, depth=DEEPEST)
        case "wondered why " | "forgot that ":
            return clause(c, True, ends, 1)
        case "looked for the ":
            c.emit(tale.prize + " ")
            return place(c, AT, ends)
        case "counted to ":
            return counted(c, ends)
    return some_thing(c, ends)


def target(c: Chooser, tale: Tale, who: Character, ends: Ends) -> str:
    """Whom an action concerns: another character or some creature."""
    names = {name: 2 for name in tale.names(other_than=who) if not name.startswith("the ")}
    pronouns = {
        other.him: 4 for other in tale.salient.values() if other is not who and other.him != who.him
    }
    chosen = c.choose(joined((PHRASE, 3), (names | pronouns, 2)))
    if chosen in PHRASE:
        return creature(c, ends, True, 0, chosen)
    if chosen in names:
        tale.referred(chosen)
    return c.choose(ends)


# Sentences of a narrative

CONTINUED: Ends = {
    ".": 15,
    ", and ": 5,
    ", but ": 3,
    ", for ": 4,
    ", which made ": 3,
    ", or so ": 1,
}


def doing(c: Chooser, tale: Tale, who: Character) -> None:
    """After the subject: what somebody did, and perhaps what came of it, or why."""
    match action(c, tale, who, CONTINUED):
        case ", and ":
            others = tale.references(other_than=who)
            options = joined((actions(who.plural), 4), (others, 3), (PHRASE, 1))
            start = c.choose(options)
            if start in PHRASE:
                clause(c, True, STOP, 1, start)
            elif start in others:
                action(c, tale, tale.referred(start), STOP)
            else:
                action(c, tale, who, STOP, start)
        case ", but ":
            start = c.choose(joined(({"there was no ": 1}, 1), (PHRASE, 2)))
            if start in PHRASE:
                clause(c, True, STOP, 1, start)
            else:
                c.emit(tale.prize + ".")
        case ", which made ":
            creature(c, SPACE, past=True)
            c.choose(REST.plural)
            adjoined(c, STOP, True, 1)
        case ", for ":
            reasons = {"it was ": 1, f"{who.he} {who.was} ": 2}
            reason = c.choose(joined((reasons, 1), (PHRASE, 1)))
            if reason in PHRASE:
                clause(c, True, STOP, 1, reason)
            elif reason == "it was ":
                say(c, IT_WAS, ".")
            else:
                description(c, STOP)
        case ", or so ":
            plural = subject(c)
            after_subject(c, plural, False, {"say.": 1} if plural else {"says.": 1})


HABITS = even("Each night ", "On Mondays ", "To this day ", "In May ", "As a rule ", "Sometimes ")
CAPITAL_PHRASE = changed(PHRASE, str.capitalize)
OPENINGS = zipf(split("Nobody, It was, First came, Every, Outside, There was, There were"))
OPENERS = joined(
    (ended(OPENINGS, " "), 6),
    (even("Neither ", "On the ", "One of the ", "Not one of the "), 3),
    ({"(": 1}, 2),
    (HABITS, 2),
    (CAPITAL_PHRASE, 5),
)


def sentence(c: Chooser, tale: Tale, opener: str = "") -> None:
    """A sentence, beginning with `opener` if it was emitted already."""
    references = tale.capital_references()
    opener = opener or c.choose(joined((references, 1), (OPENERS, 1)))
    if opener in references:
        doing(c, tale, tale.referred(opener))
        return
    if opener in CAPITAL_PHRASE:
        clause(c, True, STOP, 0, opener.lower())
        return
    match opener:
        case "(":
            aside(c, "(", ".", c.choose(CAPITAL_PHRASE).lower())
        case "On the ":
            place_name(c, {' was written, "': 1})
            statement(c, c.choose(QUOTING), {'."': 1})
        case "It was ":
            c.choose(IT_WAS)
            if c.choose({".": 2, ", and ": 3}) != ".":
                clause(c, True, STOP, 1)
        case "Outside ":
            c.choose(SKY)
            if c.choose({".": 1, " ": 2}) == " ":
                place(c, AT, STOP)
        case "There was ":
            indefinite(c)
            c.emit(" ")
            place(c, AT, {" that ": 1})
            relative(c, False, True, STOP, 1)
        case "There were ":
            count = c.choose(FEW)
            say(c, " ", CREATURES, " ")
            place(c, AT, {": ": 1})
            listed(c, A_NATURE, NUMBERS[count], STOP, " one")
        case "Nobody ":
            verb = c.choose(joined(({"knew where the ": 1}, 1), (ended(ACT.past, " "), 2)))
            if verb == "knew where the ":
                c.emit(f"{tale.prize} was, not even ")
            creature(c, STOP, past=True)
        case "Neither ":
            creature(c, {" nor ": 1}, past=False, depth=1)
            clause(c, False, STOP, 1)
        case "First came ":
            more: Ends = {", then ": 3, ", and last of all ": 2}
            while creature(c, more, past=True, depth=1) == ", then ":
                pass
            creature(c, STOP, past=True, depth=1)
        case "Every ":
            noun(c, ended(CREATURE, " "))
            predicated(c, False, False, STOP)
        case "One of the " | "Not one of the ":
            c.choose(ended(CREATURES, " "))
            predicated(c, False, opener.startswith("Not"), STOP, of_plural=True)
        case _:
            clause(c, False, STOP)


BRACKETS = {"(": ")", "[": "]"}


def aside(c: Chooser, opened: str, stop: str, start: str = "", depth: int = 1) -> None:
    """After a bracket: a clause, perhaps with another aside between its subject and its verb."""
    plural = subject(c, start)
    starts = predicate_starts(plural, False)
    inner = "[" if opened == "(" else "("
    percent = (0, 35, 20, 0)[depth]
    start = after_subject(
        c, plural, False, joined((starts, 100 - percent), ({inner: 1}, percent)), depth
    )
    if start == inner:
        aside(c, inner, "", "", depth + 1)
        c.emit(" ")
        start = c.choose(starts)
    predicate(c, start, plural, False, {stop + BRACKETS[opened]: 1}, depth)


def paragraph(c: Chooser, tale: Tale, opener: str) -> None:
    """A line of narrative, which begins with `opener`."""
    if opener in LEADS:
        doing(c, tale, tale.referred(c.choose(tale.references())))
    else:
        sentence(c, tale, opener)
    more = 9
    while c.choose({" ": more, "\n": 10 - more}) == " ":
        sentence(c, tale)
        more = max(2, more - 1)


# Speech

HEARSAY = even("They say ", "Of course ", "Perhaps ", "Surely ")
STATEMENTS = joined(
    ({"Never ": 3, "Better ": 2, "No ": 2, "To ": 2, "Where there are ": 1}, 12),
    (CAPITAL_PHRASE, 14),
    (HEARSAY, 2),
)
SAYINGS = joined(
    (around("My ", KIN, " says, "), 1), (around("My ", changed(KIN, plural_of), " say, "), 1)
)
QUOTING = joined((STATEMENTS, 7), (SAYINGS, 1))
NEVER = joined((ended(ACT.plural, " "), 2), (ended(HANDLE.plural, " "), 1))


def statement(c: Chooser, start: str, ends: Ends, quotes: int = 1) -> str:
    """A general truth, after its first words; `quotes` counts the quotation marks around it."""
    if start in SAYINGS:
        mark = "'" if quotes % 2 else '"'
        c.emit(mark)
        inner = {end[0] + mark + end[1:]: n for end, n in ends.items()}
        options = QUOTING if quotes < DEEPEST else STATEMENTS
        end = statement(c, c.choose(options), inner, quotes + 1)
        return end[0] + end[2:]
    if start in CAPITAL_PHRASE:
        end = clause(c, False, plus(ends, {", and ": 8, ", but ": 10}), 0, start.lower())
        return clause(c, False, ends, 1) if end in (", and ", ", but ") else end
    match start:
        case "Never ":
            if c.choose(NEVER)[:-1] in ACT.plural:
                return creature(c, ends, past=False)
            things(c)
            return adjoined(c, ends, past=False)
        case "Better ":
            say(c, A_NATURE, " ", CREATURE, " than ", NUMBER, " ", NATURE, " ", CREATURES)
            return c.choose(ends)
        case "No ":
            say(c, CREATURE, " is as ", STATE, " as ")
            return some_creature(c, ends, past=False)
        case "To ":
            say(c, CURED, " ", A_NATURE, " ", CREATURE, ", take ")
            say(c, NUMBER, " ", THINGS, " and ", NUMBER, " ", THINGS)
            return c.choose(ends)
        case "Where there are ":
            say(c, CREATURES, ", there ")
            if c.choose({"is ": 1, "are ": 1}) == "is ":
                return some_creature(c, ends, past=False)
            c.choose(CREATURES)
            return c.choose(ends)
    return clause(c, False, ends)


@cache
def first_person_starts(am: str) -> Choice:
    options = predicate_starts(True, False).options
    present = {am if start == "are " else start: n for start, n in options.items()}
    return joined((present, 5), ({"once met ": 2, "dreamed of ": 1, "want ": 2}, 2))


def first_person(c: Chooser, who: Character, ends: Ends) -> str:
    """After "I " or "We "."""
    match c.choose(first_person_starts(who.am)):
        case "am ":
            return description(c, ends)
        case "once met " | "dreamed of ":
            return some_creature(c, ends, past=False)
        case "want ":
            return some_thing(c, ends)
        case start:
            return predicate(c, start, True, False, ends, 1)


@dataclass(frozen=True)
class Demand:
    """What an answer must fit: the kind of question, and the number of what was asked about."""

    kind: str
    plural: bool = False


def questions(tale: Tale, who: Character, other: Character) -> Choice:
    whose = "the"
    if who is tale.hero:
        whose = "our" if who.plural else "my"
    elif other is tale.hero:
        whose = "your"
    asked = even("Why do the ", "Why does the ", "Do the ", "Does the ", "What is as ")
    where = f"Where is {whose} {tale.prize}"
    return joined((asked, 6), ({"Who ": 3, "What is in the ": 2, where: 2}, 7))


INFINITIVES = joined((REST.plural, 3), (ended(ACT.plural, " "), 2), (ended(HANDLE.plural, " "), 2))


def question(c: Chooser, start: str, ends: Ends) -> tuple[str, Demand]:
    """The rest of a question, after its first words."""
    match start:
        case "Who ":
            acts = joined((ended(ACT.singular, " "), 1), (ended(HANDLE.singular, " "), 1))
            if c.choose(acts)[:-1] in ACT.singular:
                return creature(c, ends, past=False, depth=1), Demand("who")
            things(c)
            return adjoined(c, ends, False, 1), Demand("who")
        case "Why do the " | "Why does the " | "Do the " | "Does the ":
            plural = start in ("Why do the ", "Do the ")
            demand = Demand("why" if start.startswith("Why") else "whether", plural)
            noun(c, ended(ANIMALS if plural else ANIMAL, " "))
            verb = after_subject(c, plural, False, INFINITIVES)
            if verb[:-1] in ACT.plural:
                return creature(c, ends, past=False, depth=1), demand
            if verb[:-1] in HANDLE.plural:
                things(c)
            return adjoined(c, ends, False, 1), demand
        case "What is in the ":
            return place_name(c, ends), Demand("what")
        case "What is as ":
            say(c, STATE, " as ", A_CREATURE, " and as ", STATE, " as ", A_CREATURE)
            return c.choose(ends), Demand("riddle")
    return c.choose(ends), Demand("where")


SOMETHING = changed(A_THING, str.capitalize)
COUNTED_THINGS = changed(FEW, lambda number: f"{number.capitalize()} things: ")
REPLIES = even("Nonsense, ", "And yet ", "True, but ", "Indeed, ", "Ha, ", "Alas, ")


def answer(c: Chooser, who: Character, demand: Demand, ends: Ends) -> str:
    plural = demand.plural
    it, does = ("they", "do") if plural else ("it", "does")
    match demand.kind:
        case "where":
            options = {"It is ": 3, "Look ": 2, "Ask ": 3, f"{who.i}ate it": 1}
            start = c.choose(joined((options, 3), (CAPITAL_PHRASE, 1)))
            if start in ("It is ", "Look "):
                return place(c, AT, ends)
            if start == "Ask ":
                return creature(c, ends, past=False)
            if start in CAPITAL_PHRASE:
                plural = subject(c, start.lower())
                after_subject(c, plural, False, {"have it": 1} if plural else {"has it": 1})
        case "who":
            start = c.choose(joined((CAPITAL_PHRASE, 3), ({"Nobody does": 1, f"{who.i}do": 1}, 1)))
            if start in CAPITAL_PHRASE:
                plural = subject(c, start.lower())
                after_subject(c, plural, False, {"do": 1} if plural else {"does": 1})
        case "why":
            because = f"Because {it} {be(plural, past=False)} "
            start = c.choose({because: 3, "For ": 2, "Nobody knows why": 1})
            if start == because:
                return description(c, ends)
            if start == "For ":
                return clause(c, False, ends, 1)
        case "whether":
            c.choose({f"Yes, {it} {does}": 2, f"No, {it} {does} not": 2, f"Perhaps {it} {does}": 1})
            end = c.choose(plus(ends, {", but ": 50, ", for ": 25}))
            if end == ", for ":
                return clause(c, False, ends, 1)
            if end != ", but ":
                return end
            plural = subject(c)
            after_subject(c, plural, False, {"do": 1} if plural else {"does": 1}, 1)
        case "what":
            start = c.choose(
                joined((SOMETHING, 2), (COUNTED_THINGS, 3), ({"Nothing at all": 1}, 1))
            )
            if start in COUNTED_THINGS:
                return listed(c, A_THING, NUMBERS[first_word(start).lower()], ends)
        case "riddle":
            c.choose(joined((SOMETHING, 6), ({f"{who.i}give up": 1}, 1)))
        case _:
            c.choose(REPLIES)
            return clause(c, False, ends)
    return c.choose(ends)


SAID = joined(
    ({"said": 1}, 1),
    (zipf(split("cried, sighed, sang, laughed, hissed, lied, mumbled, sobbed")), 2),
)
ASKED = joined(({"asked": 1}, 1), (zipf(split("cried, hissed, sobbed, mumbled")), 1))


def dialogue(c: Chooser, tale: Tale, who: Character, other: Character) -> None:
    """Lines of speech by two characters in turn, until nothing is left to be answered."""
    demand: Demand | None = None
    first = True
    while first or demand:
        demand = line(c, tale, who, other, demand, first)
        who, other, first = other, who, False


def line(
    c: Chooser, tale: Tale, who: Character, other: Character, demand: Demand | None, tagged: bool
) -> Demand | None:
    """What somebody says, with the speaker's name if it is `tagged`; returns what that demands.

    A question demands an answer, an exclamation a reply.
    """
    ends: Ends = {'," ': 3, '!" ': 1} | ({} if tagged else {'."\n': 9, '!"\n': 3})
    ask: Ends = {'?" ': 1} | ({} if tagged else {'?"\n': 3})
    asked = None
    c.emit('"')
    if demand:
        end = answer(c, who, demand, ends)
    else:
        asking = questions(tale, who, other)
        start = c.choose(joined((asking, 5), (QUOTING, 4), ({who.i: 1}, 2)))
        if start in asking:
            end, asked = question(c, start, ask)
        elif start == who.i:
            end = first_person(c, who, ends)
        else:
            end = statement(c, start, ends)
    if end[0] == "!":
        asked = Demand("claim")
    if end.endswith("\n"):
        return asked
    c.choose(ended(ASKED if end[0] == "?" else SAID, " "))
    him = {who.he: 4} if tale.salient.get(who.he) is who else {}
    c.choose({who.name: 4} | him | ({"the " + who.role: 3} if who.role else {}))
    tale.mention(who)
    match c.choose({".": 7, " ": 2, ", and ": 1}):
        case " ":
            say(c, HOW, ".")
        case ", and ":
            action(c, tale, who, STOP)
    if asked or c.choose({"\n": 3, ' "': 1}) == "\n":
        if asked:
            c.emit("\n")
        return asked
    return question(c, c.choose(questions(tale, who, other)), {'?"\n': 1})[1]


# Scenes: each is one or more lines

LEADS = even(
    "One day ", "Then ", "Next day ", "That night ", "Meanwhile ", "Soon ", "So ", "Later "
)
MEETINGS = ended(
    zipf(
        split(
            "At dawn, At noon, At dusk, By chance, On Sunday, After lunch, On Friday, One night, "
            "In the rain, On Monday, At ten, On a bridge, On Tuesday, In a fog, At church"
        )
    ),
    " ",
)
SCENES = joined(
    (LEADS, 18),
    (OPENERS, 12),
    (MEETINGS, 10),
    ({"Hear how ": 4, "A letter from ": 3, "Here ": 3}, 6),
)


def scene(c: Chooser, tale: Tale, before: str, last: int) -> str:
    """A scene, or in so many percent of all cases the beginning of the end; returns how it begins.

    It begins otherwise than the one `before`.
    """
    tale.salient.clear()
    start = c.choose(joined((without(SCENES, frozenset({before})), 100 - last), (LASTS, last)))
    if start in MEETINGS:
        meeting(c, tale)
    elif start == "Hear how ":
        song(c, tale)
    elif start == "A letter from ":
        letter(c, tale)
    elif start == "Here ":
        story(c, tale)
    elif start not in LASTS:
        paragraph(c, tale, start)
    return start


MET = around(" ", zipf(split("met, stopped, woke, found, hugged, passed, greeted")), " ")


def meeting(c: Chooser, tale: Tale) -> None:
    """Two characters meet, or one and a stranger, and talk."""
    who = tale.referred(c.choose(tale.names()))
    c.choose(MET)
    roles = frozenset(known.role for known in tale.cast)
    strangers = joined((changed(without(ANIMAL, roles), a), 1), (ended(A_NATURE, " "), 1))
    others = tale.names(other_than=who)
    met = c.choose(joined((others, 2), (strangers, 3)))
    if met in others:
        other = tale.referred(met)
    else:
        if met.endswith(" "):
            met += c.choose(without(ANIMAL, roles))
        other = Character("the " + met.split()[-1], "it", "it", "its", False)
    if c.choose({".\n": 1, " ": 2}) == " ":
        place(c, AT, {".\n": 1})
    present = tale.cast if met in others else [*tale.cast, other]
    dialogue(c, replace(tale, cast=present, salient={}), who, other)


WENT = zipf(split("went, ran, danced, came, rode, flew, hopped, sang"))
MANY = ended(changed(NUMBER, str.capitalize), " ")


@cache
def went(plural: bool) -> Choice:
    return joined((around(" ", WENT, " "), 5), ({f" {be(plural, past=True)} seen ": 1}, 1))


def verse(c: Chooser, tale: Tale, endings: Choice, mark: str) -> str:
    """A line of a song; returns its ending."""
    c.emit("  ")
    names = tale.names()
    start = c.choose(joined(({"The ": 1}, 4), (names, 2), (MANY, 2)))
    if start in names:
        c.choose(went(tale.referred(start).plural))
    elif start == "The ":
        noun(c, ANIMAL)
        if c.choose(joined((went(False), 1), ({" and the ": 1}, 1))) == " and the ":
            c.choose(ANIMAL)
            c.choose(went(True))
    else:
        noun(c, ANIMALS)
        c.choose(went(True))
    ending = c.choose(endings)
    c.emit(mark + "\n")
    return ending


@cache
def rhyming(ending: str) -> Choice:
    return even(*(e for e, rhyme in RHYMES.items() if rhyme == RHYMES[ending] and e != ending))


@cache
def unlike(ending: str) -> Choice:
    return even(*(e for e, rhyme in RHYMES.items() if rhyme != RHYMES[ending]))


def song(c: Chooser, tale: Tale) -> None:
    """Two couplets, or four lines that rhyme crosswise."""
    c.choose(tale.names() | {"they all": 4})
    c.emit(" sang:\n")
    one = verse(c, tale, ENDINGS, ",")
    two = verse(c, tale, joined((rhyming(one), 2), (unlike(one), 1)), ",")
    if RHYMES[two] == RHYMES[one]:
        three = verse(c, tale, unlike(one), ",")
        verse(c, tale, rhyming(three), ".")
    else:
        verse(c, tale, rhyming(one), ",")
        verse(c, tale, rhyming(two), ".")


def letter(c: Chooser, tale: Tale) -> None:
    """A letter, signed by its sender."""
    sender = tale.referred(c.choose(tale.names()))
    c.emit(" to ")
    reader = tale.referred(c.choose(tale.names(other_than=sender)))
    c.emit(f":\n  Dear {reader.name},\n  ")
    more, send = 19, "Please send us " if sender.plural else "Please send me "
    while True:
        start = c.choose(joined((QUOTING, 2), ({sender.i: 1}, 2), ({send: 1}, 1)))
        if start == sender.i:
            first_person(c, sender, STOP)
        elif start == send:
            some_thing(c, STOP)
        else:
            statement(c, start, STOP, 0)
        if c.choose({" ": more, "\n": 20 - more}) == "\n":
            break
        more = max(1, more - 4)
    c.emit(f"  Your {'friends' if sender.plural else 'friend'}, {sender.name}\n")


def party(c: Chooser, starts: Choice, left_out: frozenset[str] = frozenset()) -> str:
    """ "an old fox" or "two foxes"; returns the noun."""
    start = c.choose(starts)
    if not start.endswith(" "):
        return start.split()[1]
    plural = start[:-1].lower() in NUMBERS
    return c.choose(without(CREATURES if plural else CREATURE, left_out))


def story(c: Chooser, tale: Tale) -> None:
    """A tale within the tale, with speech inside its quotes."""
    c.choose(tale.names())
    c.emit(' told a tale. "')
    starts = joined((A_CREATURE, 2), (ended(A_NATURE, " "), 2), (ended(NUMBER, " "), 3))
    one = party(c, changed(starts, str.capitalize))
    c.emit(" met ")
    left_out = frozenset({one, plural_of(one), a(one)})
    two = party(c, without(starts, left_out), left_out)
    turns = [f" The {two} said, '", f" The {one} said, '"]
    c.emit("." + turns[1])
    more = 9
    while True:
        statement(c, c.choose(QUOTING), {".'": 1}, 2)
        if c.choose({turns[0]: more, '"\n': 10 - more}) == '"\n':
            return
        turns.reverse()
        more = max(1, more - 2)


# A tale

TITLE_LOOK = ended(changed(LOOK, str.title), " ")
TITLE_THING = changed(THING, str.title)


def title(c: Chooser) -> tuple[str, str, str]:
    """The first line: the hero, and perhaps the friend or the prize. Returns all three, or ""."""
    start = c.choose(joined(({"The Tale of ": 3, "The Luck of ": 1, "How ": 3}, 1), (NAME, 1)))
    hero = start if start in NAME else c.choose(NAME)
    if start == "How ":
        c.choose({" Lost the ": 1, " Found the ": 1})
    else:
        if c.choose({"\n": 1, " and ": 2}) == "\n":
            return hero, "", ""
        friend = c.choose(joined((without(NAME, frozenset({hero})), 1), ({"the ": 1}, 1)))
        if friend != "the ":
            c.emit("\n")
            return hero, friend, ""
    prize = c.choose(TITLE_LOOK) + c.choose(TITLE_THING)
    c.emit("\n")
    return hero, "", prize.lower()


def kind(c: Chooser, plural: bool, taken: frozenset[str], ends: Ends) -> tuple[str, str]:
    """What somebody is: "a hare", "two old hares"; returns "hare" or "hares", and the end."""
    roles = ROLE if not plural else changed(ROLE, plural_of)
    roles = without(roles, taken | frozenset(map(plural_of, taken)))
    if plural:
        c.emit("two ")
        word = noun(c, roles)
    else:
        word = c.choose(joined((changed(roles, a), 1), (ended(A_NATURE, " "), 2)))
        word = c.choose(roles) if word.endswith(" ") else word.split()[1]
    return word, c.choose(ends)


def neighbour(c: Chooser, tale: Tale, name: str, ends: Ends) -> str:
    """A new character, who gets a name unless it is known from the title."""
    if name:
        c.emit(name)
    else:
        name = c.choose(without(NAME, frozenset(tale.names())))
    c.emit(", ")
    someone = character(name)
    taken = frozenset(who.role for who in tale.cast)
    role, end = kind(c, someone.plural, taken, ends)
    tale.cast.append(replace(someone, role=role))
    tale.mention(tale.cast[-1])
    return end


TIMES = zipf(split("night, day, morning, evening, Sunday, winter, May, June"))
ONCE = Choice({"Once ": 2, "Long ago ": 1, "In the year of the ": 2})
STOLE = zipf(split("stole, hid, borrowed, took, buried, sold"))


def opening(c: Chooser) -> Tale:
    """The title and the first paragraph: who is who, and what was lost."""
    name, friend, prize = title(c)
    hero = character(name)
    introduced = f"{name} {hero.was} "
    start = c.choose(joined((ONCE, 7), ({introduced: 1}, 3)))
    if start == introduced:
        ends: Ends = {" and lived ": 1, " who lived ": 1}
    else:
        if start == "In the year of the ":
            say(c, NUMBER, " ", NATURE, " ", CREATURES, " ")
        ends = {f" called {name} lived ": 1}
    hero = replace(hero, role=kind(c, hero.plural, frozenset(), ends)[0])
    place(c, AT, {" with ": 1})
    tale = Tale([hero], prize)
    tale.mention(hero)
    more: Ends = {", and ": 1, ". ": 1}
    while neighbour(c, tale, friend, more) == ", and ":
        friend, more = "", {". ": 1}
    known = tale.salient[hero.he] is hero
    c.choose({hero.name + " ": 1} | ({hero.he.capitalize() + " ": 1} if known else {}))
    c.choose({"had ": 3, "owned ": 1, "once made ": 1, "loved ": 1})
    if prize:
        c.emit(a(prize))
    else:
        tale.prize = c.choose(ended(A_LOOK, " ")).split(" ", 1)[1] + c.choose(THING)
    c.choose({", but one ": 1, ", until one ": 1})
    c.choose(ended(TIMES, " "))
    start = c.choose(joined(({"it was gone.\n": 1}, 1), (PHRASE, 3)))
    if start in PHRASE:
        stole = {f" {verb} it.\n": n for verb, n in STOLE.options.items()}
        creature(c, stole, True, 1, start)
    return tale


LASTS = Choice({"At last ": 3, "In the end ": 2, "One fine day ": 2})


def ending(c: Chooser, tale: Tale) -> None:
    """How it was found, a feast, perhaps a moral, and the hero's name once more."""
    hero, prize = tale.hero, tale.prize
    start = c.choose(joined((tale.names(), 2), (PHRASE, 1)))
    if start in PHRASE:
        after_subject(c, subject(c, start), True, {f"brought the {prize} back to {hero.name}": 1})
        end = c.choose({".": 1, ", and ": 3})
    else:
        c.emit(f" found the {prize} ")
        end = place(c, AT, {".": 1, ", and ": 3})
    if end == ", and ":
        clause(c, True, STOP, 1)
    size = sum(2 if who.plural else 1 for who in tale.cast)
    everyone = "Both" if size == 2 else f"All {list(NUMBERS)[size - 2]}"
    if c.choose({f" {everyone} ": 1, "\n": 2}) != "\n":
        c.choose(REST.past)
        if adjoined(c, {".\n": 1, ", and even ": 1}, True) != ".\n":
            subject(c)
            say(c, REST.past, ".\n")
    have, live = ("have", "live") if hero.plural else ("has", "lives")
    lasts = {
        f"So ended the tale of {hero.name}.\n": 5,
        f"So ended the tale of {hero.name} and the {prize}.\n": 2,
        f"So ended the tale of {hero.name} and {tale.cast[1].name}.\n": 2,
        f"And {hero.name} never lost {hero.his} {prize} again.\n": 2,
        f"If {hero.he} {have} not moved, {hero.name} {live} there still.\n": 2,
    }
    moral = {"Moral: ": 18}
    if c.choose(lasts | moral) in moral:
        statement(c, c.choose(STATEMENTS), STOP)
        c.emit("\n")
        c.choose(lasts)


def tale(c: Chooser) -> None:
    told = opening(c)
    start = ""
    for last in chain((0, 0, 0, 0, 0, 0, 5, 10, 15), repeat(20)):
        start = scene(c, told, start, last)
        if start in LASTS:
            break
    ending(c, told)


def tales(c: Chooser) -> None:
    """Tales, with a blank line between them."""
    while c.wants_more():
        if c.position:
            c.emit("\n")
        tale(c)


# ----------------------------------------------------------------------------------------------
# 4. The command
# ----------------------------------------------------------------------------------------------

SEED = 110
SIZE = 1_000_000
HELD_OUT = 0.1


def held_out_start(text: str) -> int:
    return len(text) - int(len(text) * HELD_OUT)


def replace_file(path: Path, content: str) -> None:
    """Writes the file beside `path` and renames it, so that `path` is always complete."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content.encode("ascii"))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write(out: Path, seed: int = SEED, size: int = SIZE) -> dict[str, Any]:
    """Writes tales of `size` bytes or a little more to `out`, and their figures beside it as JSON.

    Returns the figures; probabilities are in nats per character. Raises OSError.
    """
    writer = Writer(seed, size)
    tales(writer)
    text = "".join(writer.pieces)
    start = held_out_start(text)
    scored = len(text) - start - 1
    nats = negative_log_probability(text, start + 1)
    figures = {
        "made_by": f"python tools/grammar.py write {out.as_posix()} --seed {seed} --size {size}",
        "seed": seed,
        "bytes": len(text),
        "sha256": hashlib.sha256(text.encode("ascii")).hexdigest(),
        "nats_per_character": round(writer.nats / len(text), 6),
        "held_out": {
            "fraction": HELD_OUT,
            "start": start,
            "characters": scored,
            "nats_per_character": round(nats / scored, 6),
        },
    }
    replace_file(out, text)
    replace_file(out.with_suffix(".json"), json.dumps(figures, indent=2) + "\n")
    return figures


def positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write or score tales of known entropy.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("write", help="write OUT, and its figures beside it as JSON")
    command.add_argument("out", type=Path, metavar="OUT")
    command.add_argument("--seed", type=int, default=SEED)
    command.add_argument("--size", type=positive, default=SIZE, metavar="BYTES")
    command = commands.add_parser("score", help="print the -log probability of a text, in nats")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--from", type=int, default=0, metavar="OFFSET", dest="start")
    command.add_argument("--to", type=int, default=None, metavar="OFFSET", dest="stop")
    command = commands.add_parser("bound", help="print the bound in a figures file")
    command.add_argument("figures", type=Path, metavar="JSON")
    options = parser.parse_args(arguments)
    try:
        if options.command == "write":
            if options.out.suffix == ".json":
                parser.error("OUT must not end in .json, which is for the figures")
            made = write(options.out, options.seed, options.size)
            print(
                f"{options.out}: {made['bytes']} bytes, {made['nats_per_character']} nats per "
                f"character, held out {made['held_out']['nats_per_character']}",
                file=sys.stderr,
            )
        elif options.command == "bound":
            held_out = json.loads(options.figures.read_text())["held_out"]
            print(f"bound               {held_out['nats_per_character']:.4f}  the grammar's own")
        else:
            # Every byte is one character of Latin-1, so that offsets are those of bytes.
            text = options.file.read_bytes().decode("latin-1")
            nats = negative_log_probability(text, options.start, options.stop)
            characters = (len(text) if options.stop is None else options.stop) - options.start
            print(f"nats {nats:.6f}")
            print(f"characters {characters}")
            print(f"nats per character {nats / characters if characters else 0:.6f}")
    except (OSError, ValueError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
