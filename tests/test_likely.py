"""Names of other programs, typing errors and keys of other sections lead to the key meant."""

from __future__ import annotations

import warnings
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.cfg import bundled_cfgs, parse_cfg, read_cfg
from darknet_py.cli.commands import setting_for
from darknet_py.errors import CfgError, CfgWarning
from darknet_py.likely import INSTEAD, OTHER_NAMES, nearest
from darknet_py.model import Model
from darknet_py.options import NetOptions, override

LAYER_KEYS = {"output", "probability", "activation", "batch_normalize"}


def refused(key: str, cfg: str = "shakespeare") -> str:
    with pytest.raises(CfgError) as error:
        Model(override(read_cfg(bundled_cfgs()[cfg]), {key: ".1"}, "--set"))
    return str(error.value)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_programs_name_leads_to_a_key_that_the_cfg_has(name: str) -> None:
    key = OTHER_NAMES[name]
    assert key in {own.name for own in fields(NetOptions)} | LAYER_KEYS
    for written in {name, name.replace("_", "-"), name.title()} - {key}:
        message = refused(written)
        if key in LAYER_KEYS:
            assert "did you mean " in message
            assert f".{key}, a key of layers?" in message
        else:
            assert message.endswith(f"[net] has no such key; did you mean {key}?")


@pytest.mark.parametrize("name", INSTEAD)
def test_what_is_no_key_at_all_has_its_own_advice(name: str) -> None:
    assert refused(name).endswith(f"[net] has no such key; {INSTEAD[name]}")


def test_a_key_of_another_section_is_found_there() -> None:
    assert refused("output").endswith("did you mean gru.output, a key of layers?")
    assert refused("gru.batch").endswith(
        "[gru] has no such key; did you mean batch, a key of [net]?"
    )
    assert refused("gru.lr").endswith("did you mean learning_rate?")
    assert "dropout is a layer, [dropout], which this cfg does not have" in refused(
        "dropout", "tiny"
    )
    assert refused("hidden", "tiny").endswith("did you mean rnn.hidden, a key of layers?")
    assert "its keys: B1, B2, adam, average, batch," in refused("xyz")


def warned(line: str) -> str:
    text = f"[net]\ninputs=3\n{line}\n[rnn]\noutput=3\n"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CfgWarning)
        Model(parse_cfg(text))
    (only,) = caught
    return str(only.message)


def test_a_file_is_helped_where_the_key_is_clear_and_let_alone_where_it_is_not() -> None:
    field = "cfg:3: Unused field:"
    assert warned("lr=.1") == f"{field} lr='.1' in [net]; did you mean learning_rate?"
    assert warned("momentun=.1") == f"{field} momentun='.1' in [net]; did you mean momentum?"
    # Keys of darknet that do nothing here.
    for key in ("steps", "scales", "flip", "angle", "hue", "max_crop"):
        assert warned(f"{key}=1") == f"{field} {key}='1' in [net]"


@pytest.mark.parametrize(
    ("option", "setting"),
    [
        ("--lr", "--set learning_rate=.002"),
        ("-lr", "--set learning_rate=.002"),
        ("--batch-size", "--set batch=64"),
        ("--hidden-size", "--set rnn.output=256"),
        ("--dropout", "--set dropout.probability=.2"),
        ("--momentum", "--set momentum=.9"),
        ("--b1", "--set B1=VALUE"),
        ("--time-steps", "--set time_steps=64"),
        ("--colour", None),
        ("lr", None),
    ],
)
def test_an_option_of_another_program_leads_to_set(option: str, setting: str | None) -> None:
    assert setting_for(option) == setting


@given(st.sampled_from(sorted(bundled_cfgs())), st.data())
def test_two_letters_that_changed_places_are_no_obstacle(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(name) - 2))
    typed = name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    assert nearest(typed, bundled_cfgs()) == name
    assert nearest("xyzzy", bundled_cfgs()) is None
