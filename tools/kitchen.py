"""A short text unlike the tales: recipes, with figures and accents that the tales do not have.

    python tools/kitchen.py data/kitchen.txt

It is there to show what a network that knows the tales brings along to another text
(docs/transfer.md).
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

SEED = 7
SIZE = 30_000  # bytes, about

DISHES = ["soup", "purée", "gratin", "pie", "sauté", "stew", "soufflé", "salad"]
ROOTS = ["leek", "potato", "celery", "carrot", "beetroot", "onion", "pumpkin", "parsnip"]
MANNERS = ["thin rings", "small cubes", "long strips", "four pieces", "fine slices"]
FATS = ["butter", "olive oil", "goose fat", "crème fraîche"]
LIQUIDS = ["water", "milk", "white wine", "vegetable stock", "apple juice"]
HERBS = ["parsley", "thyme", "sage", "chives", "mint", "a little jalapeño", "black pepper"]
VESSELS = ["a wide pan", "a heavy pot", "the old kettle", "a deep dish"]
SIGNS = [
    "until they are soft",
    "until the edges are brown",
    "and do not let them burn",
    "while you stir now and then",
]
GUESTS = ["the children", "six hungry guests", "a quiet evening", "the first cold day", "two"]
ENDS = [
    "Serve it at once, à la minute.",
    "It is even better the next day.",
    "Eat it with bread and a glass of rosé.",
    "Let it rest before you cut it.",
]


def recipe(rand: random.Random) -> str:
    """One recipe: what is named in its first lines is used in the order of its steps."""
    pick = rand.choice
    root, second = rand.sample(ROOTS, 2)
    dish, fat, liquid, herb = pick(DISHES), pick(FATS), pick(LIQUIDS), pick(HERBS)
    pieces, grams, amount = rand.randint(2, 9), 10 * rand.randint(2, 9), 100 * rand.randint(2, 9)
    minutes, degrees = 5 * rand.randint(2, 12), 10 * rand.randint(16, 22)
    plural = {"potato": "potatoes", "celery": "stalks of celery"}
    roots = plural.get(root, root + "s")
    if dish in ("gratin", "pie", "soufflé"):
        heat = f"Bake it at {degrees} °C for {minutes} minutes."
    else:
        heat = f"Cook it over a low flame for {minutes} minutes."
    return (
        f"{root.capitalize()} and {second} {dish}, for {pick(GUESTS)}\n"
        f"You need {pieces} {roots}, {grams} g of {fat}, {amount} ml of {liquid} and {herb}.\n"
        f"Peel the {roots} and cut them into {pick(MANNERS)}. "
        f"Heat the {fat} in {pick(VESSELS)}, add the {roots} and fry them {pick(SIGNS)}. "
        f"Pour in the {liquid}, then season with {herb}. {heat} {pick(ENDS)}\n\n"
    )


def text() -> bytes:
    """Recipes until there are enough, always the same."""
    rand = random.Random(SEED)
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < SIZE:
        pieces.append(recipe(rand).encode("utf-8"))
    return b"".join(pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the recipes.")
    parser.add_argument("file", type=Path)
    parser.parse_args().file.write_bytes(text())


if __name__ == "__main__":
    main()
