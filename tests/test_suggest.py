"""Names that do not exist lead to the one that was meant, or nowhere."""

from __future__ import annotations

import warnings

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.cfg import bundled_cfgs, parse_cfg
from darknet_py.cli import COMMANDS, main
from darknet_py.errors import CfgWarning
from darknet_py.model import HINTS, Model
from darknet_py.options import NetOptions
from darknet_py.suggest import OTHER_TRAINERS, suggest
from tests.support.commands import invoke

LAYER_KEYS = {"output", "probability"}


def meant(*args: str) -> str:
    """What is suggested for wrong usage; empty where that is nothing."""
    outcome = invoke(*args)
    assert outcome.status == 2
    return outcome.lines[-1].partition("Did you mean ")[2].removesuffix("?")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("train", "tiny-gru", "t.txt", "--rnn_size", "128"), "--set gru.output=128"),
        (("train", "t.txt", "--rnn_size", "128"), ""),
        (("train", "shakespeare", "t.txt", "--dropout=.2"), "--set dropout.probability=.2"),
        (("train", "tiny", "t.txt", "--dropout", ".2"), ""),
        (("train", "tiny", "t.txt", "--lr", ".01"), "--set learning_rate=.01"),
        (("train", "tiny", "t.txt", "-lr", ".01"), "--set learning_rate=.01"),
        (("train", "tiny", "t.txt", "--momentum", ".5"), "--set momentum=.5"),
        (("train", "tiny", "t.txt", "--batch", "5"), "--set batch=5"),
        (("train", "tiny", "t.txt", "--state=zero", "-seed", "5"), "--seed 5"),
        (("train", "tiny", "t.txt", "--save", "cv"), "--out cv"),
        (("train", "tiny", "t.txt", "--max-iters", "9"), "--batches 9"),
        (("train", "tiny", "t.txt", "--epochs", "3"), "--time or --batches"),
        (("train", "tiny", "t.txt", "--patiense", "3"), "--patience 3"),
        (("train", "tiny", "t.txt", "--clera"), "--clear"),
        (("train", "tiny", "t.txt", "--colour"), ""),
        (("generate", "w", "--sample", "0"), "--greedy"),
        (("generate", "w", "--sample", "5"), "--greedy or --samples"),
        (("generate", "w", "--lenght", "5"), "--length 5"),
        (("generate", "w", "--lenght", "many"), ""),
        (("generate", "w", "-temp", ".5"), "--temperature .5"),
        (("generate", "w", "-srand", "5"), "--seed 5"),
        (("generate", "w", "-seed", "Once"), ""),
        (("rnn", "generate", "c", "w", "--temp", ".5"), "-temp .5"),
        (("genrate",), "darknet-py generate"),
        (("ifno",), "darknet-py info"),
        (("exp",), "darknet-py export"),
        (("rnn", "genrate"), "darknet-py rnn generate"),
        (("xyzzy",), ""),
    ],
)
def test_options_and_commands(args: tuple[str, ...], expected: str) -> None:
    assert meant(*args) == expected


@pytest.mark.parametrize("path", [*((name,) for name in COMMANDS), ("rnn", "train")], ids=" ".join)
def test_an_option_is_named_as_it_was_typed(path: tuple[str, ...]) -> None:
    for typed in ("-xyzzy", "--xyzzy", "-xyzzy=5"):
        told = invoke(*path, typed, "-y").lines[-1]
        assert told == f"Error: No such option {typed.partition('=')[0]!r}."


def test_each_word_of_other_trainers_leads_to_names_that_exist() -> None:
    commands = [main.get_command(click.Context(main), name) for name in ("train", "generate")]
    options = {name for each in commands if each for option in each.params for name in option.opts}
    known = {*NetOptions.__annotations__, *LAYER_KEYS, *(name.lstrip("-") for name in options)}
    assert len(OTHER_TRAINERS) <= 25
    for word, names in OTHER_TRAINERS.items():
        assert word not in known
        assert set(names.split()) <= known


@pytest.mark.parametrize(
    ("cfg", "key", "expected"),
    [
        ("tiny-gru", "lr", "learning_rate"),
        ("tiny-gru", "Learning-Rate", "learning_rate"),
        ("tiny-gru", "rnn_size", "gru.output"),
        ("tiny-gru", "output", "gru.output"),
        ("tiny-gru", "gru.batch", "net.batch"),
        ("tiny-gru", "gru.ouput", "output"),
        ("shakespeare", "dropout", "dropout.probability"),
        ("tiny", "dropout", ""),
        ("tiny", "epochs", "max_time or max_batches"),
        ("tiny", "xyz", ""),
    ],
)
def test_keys_that_are_set(cfg: str, key: str, expected: str) -> None:
    told = invoke("train", cfg, "t.txt", "--set", f"{key}=1").error()
    assert "has no such key" in told
    assert told.partition("did you mean ")[2].removesuffix("?") == expected
    assert expected or "its keys: B1, B2, adam, average, batch," in told


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lr=.1", "; did you mean learning_rate?"),
        ("momentun=.1", "; did you mean momentum?"),
        # Keys of darknet that do nothing here.
        *((f"{key}=1", "") for key in ("steps", "scales", "flip", "angle", "hue", "max_crop")),
    ],
)
def test_keys_of_a_file(line: str, expected: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CfgWarning)
        Model(parse_cfg(f"[net]\ninputs=3\n{line}\n[rnn]\noutput=3\n"))
    (only,) = caught
    assert str(only.message).partition("in [net]")[2] == expected


def test_of_many_unknown_keys_the_first_ones_lead_to_others() -> None:
    keys = "\n".join(f"momentum{number}=1" for number in range(20_000))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CfgWarning)
        net = Model(parse_cfg(f"[net]\ninputs=3\n{keys}\n{'k' * 100_000}=1\n[rnn]\noutput=3\n"))
    hinted = ["did you mean momentum" in str(each.message) for each in caught]
    assert hinted == [True] * HINTS + [False] * (20_001 - HINTS)
    assert keys in net.cfg.text()


@given(st.sampled_from(sorted(bundled_cfgs())), st.data())
def test_two_letters_that_changed_places_are_no_obstacle(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 2))
    typed = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    assert suggest(typed, bundled_cfgs()) == [name]
    assert suggest("xyzzy", bundled_cfgs()) == []


def test_bundled_cfgs_and_sections() -> None:
    assert invoke("train", "tinny", "t.txt").error().endswith("did you mean tiny?")
    assert "the bundled cfgs are" in invoke("train", "xyzzy", "t.txt").error()
    with pytest.raises(Exception, match=r"unknown section \[grru\]; did you mean gru\?"):
        Model(parse_cfg("[net]\ninputs=3\n[grru]\noutput=3\n"))
