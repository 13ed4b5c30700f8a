"""`darknet-py info`: what it tells of a cfg and of weights, whole or damaged."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs
from darknet_py.weights import read_header
from tests.support.commands import invoke, run
from tests.support.inputs import CONNECTED, NET, PARAMETERS, RNN, SOFTMAX, words, write_cfg
from tests.support.recorded import RECORDED

WEIGHTS = "net.weights"

pytestmark = pytest.mark.usefixtures("net")


def facts(*args: str | Path) -> dict[str, Any]:
    outcome = invoke("info", *args, "--json")
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.count(b"\n") == 1
    return dict(json.loads(outcome.stdout))


def test_info_of_weights_shows_the_network_and_the_header(tmp_path: Path) -> None:
    outcome = run("info", WEIGHTS, cwd=tmp_path)
    assert outcome.status == 0
    shown = outcome.stdout.decode()
    for word in ("net.cfg", WEIGHTS, "0.2.0", "20 bytes", "upstream", "320 bytes (`seen`)"):
        assert word in shown
    assert f"{PARAMETERS:,}" in shown
    for kind in ("rnn", "connected", "softmax"):
        assert re.search(rf"^ +\d+  {kind} ", shown, re.MULTILINE)


def test_info_of_a_cfg_counts_right() -> None:
    found = facts("net.cfg")
    assert found["weights"] is None
    assert found["parameters"] == PARAMETERS == sum(row["parameters"] for row in found["layers"])
    assert [row["kind"] for row in found["layers"]] == ["rnn", "connected", "softmax"]
    assert [row["outputs"] for row in found["layers"]] == [8, 256, 256]
    assert (found["streams"], found["time_steps"], found["subdivisions"]) == (4, 8, 1)
    assert found["symbols_per_update"] == 32
    assert found["memory"] > 4 * 3 * PARAMETERS


def test_info_of_a_cfg_by_any_name() -> None:
    """What `train` takes as a cfg is one here too."""
    Path("net.cfg").rename("my network")
    assert facts("my network")["parameters"] == PARAMETERS


def test_info_of_the_published_architecture() -> None:
    assert facts("rnn")["parameters"] == 8_950_016
    assert facts("tiny")["parameters"] == 460_544


@pytest.mark.filterwarnings("ignore::darknet_py.DarknetWarning")
@pytest.mark.parametrize("name", sorted(bundled_cfgs()))
def test_info_of_every_bundled_cfg(name: str) -> None:
    found = facts(name)
    assert found["parameters"] == len(dn.load_network(name, batch=1, time_steps=1).parameters)
    outcome = invoke("info", name)
    assert outcome.status == 0
    assert f"{found['parameters']:,}" in outcome.stdout.decode()


def test_info_of_weights_as_json() -> None:
    found = facts(WEIGHTS)["weights"]
    assert found["version"] == "0.2.0"
    assert found["header_bytes"] == 20
    assert found["seen"] == 320
    assert found["parameters"] == PARAMETERS
    assert found["dialect"] == "upstream"
    assert not found["transposed"]


def test_info_knows_other_headers() -> None:
    cfg = RECORDED / "rnn-bn-leaky" / "test.cfg"
    old = facts(RECORDED / "headers" / "v0.1.weights", "--cfg", cfg)["weights"]
    assert (old["version"], old["header_bytes"]) == ("0.1.0", 16)
    assert facts(RECORDED / "headers" / "transposed.weights", "--cfg", cfg)["weights"]["transposed"]


def test_info_says_where_the_counts_differ() -> None:
    write_cfg(Path("net.cfg"), NET, RNN, RNN, CONNECTED, SOFTMAX)
    count = len(dn.load_network("net.cfg").parameters)
    shown = invoke("info", WEIGHTS).stdout.decode()
    assert f"{PARAMETERS:,}" in shown
    assert f"the cfg has {count:,}" in shown


def test_info_of_weights_without_some_layers_finds_them_complete() -> None:
    """The numbers that the cfg says are not in the file are not missing from it."""
    write_cfg(Path("net.cfg"), NET, RNN, CONNECTED + " dontload=1", SOFTMAX)
    size = 256 * 8 + 8 + 2 * (8 * 8 + 8)
    Path(WEIGHTS).write_bytes(Path(WEIGHTS).read_bytes()[: 20 + 4 * size])
    assert invoke("generate", WEIGHTS, "--length", "3").status == 0
    assert "the cfg has" not in facts(WEIGHTS)["weights"]["fit"]


def test_info_of_a_file_in_alexeyabs_dialect() -> None:
    sections = (NET, "[rnn] output=8 hidden=5 activation=tanh", CONNECTED, SOFTMAX)
    Path("text.txt").write_text(words(150))
    write_cfg(Path("net.cfg"), *sections)
    dn.train("net.cfg", "text.txt", batches=1, val=0)
    found = facts("backup/net_final.weights")
    assert found["weights"]["dialect"] == "alexeyab"
    assert found["weights"]["parameters"] == found["parameters"]
    assert "the cfg has" not in found["weights"]["fit"]


def test_info_says_what_keeps_a_cfg_from_being_trained() -> None:
    Path("text.txt").write_text(words(150))
    for name, *sections in (
        ("small.cfg", NET.replace("256", "64"), RNN, CONNECTED, SOFTMAX),
        ("norm.cfg", NET.replace("batch=4", ""), RNN + " batch_normalize=1", CONNECTED, SOFTMAX),
        ("loss.cfg", NET, RNN, CONNECTED),
    ):
        write_cfg(Path(name), *sections)
        refusal = invoke("train", name, "text.txt").error().removeprefix("Error: ")
        assert (facts(name)["trainable"], facts(name)["obstacle"]) == (False, refusal)
        outcome = invoke("info", name)
        assert outcome.status == 0
        _, _, shown = outcome.stdout.decode().partition("obstacle    not trainable as it is: ")
        obstacle, _, _ = shown.partition("\nbatch ")
        assert obstacle.split() == refusal.split()
        assert max(map(len, outcome.stdout.decode().splitlines())) <= 80
    assert (facts("net.cfg")["trainable"], facts("net.cfg")["obstacle"]) == (True, None)
    assert "not trainable" not in invoke("info", "net.cfg").stdout.decode()


def with_nan(data: bytes) -> bytes:
    return data[:100] + struct.pack("<f", math.nan) + data[104:]


@pytest.mark.parametrize(
    ("damage", "is_shown"),
    [(with_nan, True), (lambda data: data[:1000], True), (lambda data: data[:7], False)],
    ids=["nan", "cut", "no header"],
)
def test_info_of_weights_that_cannot_be_loaded_ends_as_generate_does(
    damage: Callable[[bytes], bytes], is_shown: bool
) -> None:
    Path(WEIGHTS).write_bytes(damage(Path(WEIGHTS).read_bytes()))
    refusal = invoke("generate", WEIGHTS, "-q").error()
    for more in ((), ("--json",)):
        outcome = invoke("info", WEIGHTS, *more)
        assert outcome.status == 1
        assert outcome.lines == [refusal]
        assert (f"{PARAMETERS}" in outcome.stdout.decode().replace(",", "")) == is_shown


@pytest.mark.parametrize("cfg", [None, "[net]\ninputs=many\n", "[net]\ninputs=3\n"])
def test_info_of_weights_without_a_cfg_that_fits_shows_their_header(cfg: str | None) -> None:
    """None at all, one that cannot be read, and one that is no network."""
    Path("net.cfg").unlink()
    if cfg is not None:
        Path("net.cfg").write_text(cfg)
    refusal = invoke("generate", WEIGHTS, "-q").error()
    header = read_header(WEIGHTS)
    outcome = invoke("info", WEIGHTS)
    assert (outcome.status, outcome.lines) == (1, [refusal])
    assert dict(line.split(maxsplit=1) for line in outcome.stdout.decode().splitlines()) == {
        "weights": WEIGHTS,
        "header": "version 0.2.0 (20 bytes, upstream)",
        "trained": f"on  {header.seen:,} symbols (`seen`)",
        "parameters": f"{header.floats:,}",
    }
    outcome = invoke("info", WEIGHTS, "--json")
    assert (outcome.status, outcome.lines) == (1, [refusal])
    told = json.loads(outcome.stdout)
    assert told["cfg"] is None
    assert told["weights"]["seen"] == header.seen
    assert told["weights"]["parameters"] == header.floats


def test_info_of_a_folder_with_the_name_of_a_bundled_cfg() -> None:
    Path("tiny").mkdir()
    assert facts("tiny")["weights"] is None
    Path(WEIGHTS).rename("tiny/net_best.weights")
    Path("net.cfg").rename("tiny/net.cfg")
    assert facts("tiny")["weights"]["file"] == str(Path("tiny/net_best.weights"))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.cfg", "nowhere.weights"])
def test_info_of_what_is_not_there_is_an_error(name: str) -> None:
    assert name in invoke("info", name).error()


def test_info_of_a_damaged_cfg_names_its_line() -> None:
    Path("bad.cfg").write_text("[net]\ninputs=256\n[rnn]\noutput=many\n")
    assert "bad.cfg:4" in invoke("info", "bad.cfg").error()
