"""Starting from some layers of another network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darknet_py.dialect import ALEXEYAB, UPSTREAM
from darknet_py.errors import WeightsError
from darknet_py.loading.finding import open_network
from darknet_py.network import Network
from darknet_py.training.transfer import take_layers
from tests.support.commands import invoke
from tests.support.inputs import CONNECTED, NET, RNN, SOFTMAX, words, write_cfg
from tests.support.networks import draw_symbols, make_network

KINDS = {
    "rnn": "[rnn] output=6",
    "rnn of two widths, batch norm": "[rnn] output=6 hidden=5 batch_normalize=1",
    "gru": "[gru] output=6",
    "gru, batch norm": "[gru] output=6 batch_normalize=1",
    "lstm": "[lstm] output=6",
    "lstm, batch norm": "[lstm] output=6 batch_normalize=1",
    "connected": "[connected] output=6",
}


def network(symbols: int, *layers: str, seed: int = 1, steps: int = 3, **more: object) -> Network:
    """Of these layers, then `[rnn]`, with so many symbols."""
    return make_network(
        f"[net] inputs={symbols} batch=2 time_steps={steps}",
        *layers,
        "[rnn] output=6",
        f"[connected] output={symbols}",
        "[softmax]",
        seed=seed,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_new_symbols_change_nothing_that_was_known(kind: str) -> None:
    """Scores of old symbols after old symbols are those of the old network."""
    old, new = network(5, KINDS[kind]), network(9, KINDS[kind], seed=2)
    fresh = new.parameters.copy()
    count = take_layers(new, old, {0: 0, 1: 1, 2: 2, 3: 3}, "old.weights")
    assert count == len(old.parameters)
    symbols, _ = draw_symbols(old)
    scores, _ = old.logits(symbols, old.initial_state(2))
    wider, _ = new.logits(symbols, new.initial_state(2))
    np.testing.assert_allclose(wider[..., :5], scores, rtol=1e-12)
    # What is new is as it was drawn.
    assert np.count_nonzero(new.parameters == fresh) == len(fresh) - count


def test_layers_that_are_not_named_stay_as_they_were() -> None:
    old, new = network(5, "[gru] output=6"), network(5, "[gru] output=6", seed=2)
    fresh = {tensor.name: tensor.values.copy() for tensor in new.tensors()}
    take_layers(new, old, {1: 1}, "old.weights")
    its = {tensor.name: tensor.values for tensor in old.tensors()}
    for tensor in new.tensors():
        expected = its if tensor.name.startswith("1.") else fresh
        np.testing.assert_array_equal(tensor.values, expected[tensor.name])


def test_a_layer_can_go_to_another_place() -> None:
    old = network(5, "[gru] output=6")
    new = network(5, "[rnn] output=6", "[gru] output=6", seed=2)
    with pytest.raises(WeightsError, match=r"is 6x5, and that of layer 2 of .* is 6x6"):
        take_layers(new, network(5, "[rnn] output=6"), {2: 0}, "old.weights")
    take_layers(new, old, {2: 1, 3: 2}, "old.weights")
    np.testing.assert_array_equal(
        new.layers[2].parameters()[0].values, old.layers[1].parameters()[0].values
    )


def test_a_network_of_the_other_dialect() -> None:
    layers = ("[gru] output=6 batch_normalize=1",)
    old = network(5, *layers, dialect=ALEXEYAB)
    same, new = network(5, *layers, seed=2), network(5, *layers, seed=3)
    assert new.dialect is UPSTREAM
    same.take_parameters(old, "old.weights")
    take_layers(new, old, {0: 0, 1: 1, 2: 2}, "old.weights")
    np.testing.assert_array_equal(new.parameters, same.parameters)


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("[gru] output=6", "[lstm] output=6", r"layer 0 is \[gru\], and layer 0 of .* is \[lstm\]"),
        ("[gru] output=7", "[gru] output=6", "layer 0: .* is 7, and that of layer 0 of .* is 6"),
        ("[gru] output=5", "[gru] output=9", "layer 0: .* is 5, and that of layer 0 of .* is 9"),
        (
            "[gru] output=6 batch_normalize=1",
            "[gru] output=6",
            "layer 0 has .*, and layer 0 of .* has none",
        ),
        (
            "[gru] output=6",
            "[gru] output=6 batch_normalize=1",
            "layer 0 has no .*, and layer 0 of .* has one",
        ),
    ],
)
def test_what_does_not_fit_is_said(theirs: str, ours: str, said: str) -> None:
    old, new = network(5, theirs), network(9, ours, seed=2)
    fresh = new.parameters.copy()
    with pytest.raises(WeightsError, match=rf"old\.weights: {said}"):
        take_layers(new, old, {2: 2, 0: 0}, "old.weights")
    np.testing.assert_array_equal(new.parameters, fresh)


def test_fewer_symbols_or_no_such_layer_is_an_error() -> None:
    with pytest.raises(WeightsError, match=r"is 6x9, and that of layer 0 of .* is 6x5"):
        take_layers(network(5), network(9), {0: 0}, "old.weights")
    with pytest.raises(WeightsError, match="has no layer 3, only 0 to 2"):
        take_layers(network(5), network(5), {3: 0}, "old.weights")
    with pytest.raises(WeightsError, match="has no layer 7, only 0 to 2"):
        take_layers(network(5), network(5), {0: 7}, "old.weights")


# --- the command


@pytest.fixture
def _old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In `old` a network of 128 symbols, and a text that has others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.txt").write_bytes(words(1500).encode())
    (tmp_path / "accents.txt").write_bytes(words(1500, seed=2).replace("a", "é").encode())
    narrow = [part.replace("256", "128") for part in (NET, RNN, CONNECTED, SOFTMAX)]
    write_cfg(tmp_path / "narrow.cfg", *narrow)
    write_cfg(tmp_path / "wide.cfg")
    run = ("train", "narrow.cfg", "plain.txt", "--batches", "300", "--seed", "1", "--out", "old")
    assert invoke(*run).status == 0


def started(*args: str) -> tuple[float, str]:
    """The loss of the first batches of a run in `new`, and what was said."""
    run = ("train", "wide.cfg", "accents.txt", "--batches", "20", "--seed", "1", "--out", "new")
    done = invoke(*run, *args)
    assert done.status == 0, done.stderr
    assert open_network("new").seen == 20 * 32
    rows = Path("new/wide.csv").read_text().splitlines()[1:]
    return float(np.mean([float(row.split(",")[2]) for row in rows])), done.stderr


@pytest.mark.usefixtures("_old_run")
def test_a_run_from_some_layers_begins_better_and_counts_from_0() -> None:
    alone, _ = started()
    with_both, said = started("--weights", "old", "--weights-layers", "0-1")
    assert "narrow_best.weights" in said
    assert "2,328 of the 4,504 parameters" in said
    assert with_both < alone - 1
    moved = Path("elsewhere.cfg")
    Path("old/narrow.cfg").rename(moved)
    told = ("--weights", "old/narrow_final.weights", "--weights-layers", "0", "--weights-cfg")
    only_first, _ = started(*told, str(moved))
    assert with_both < only_first


@pytest.mark.usefixtures("_old_run")
def test_a_run_from_some_layers_can_be_gone_on_with() -> None:
    args = ["--seed", "1", "--weights", "old", "--weights-layers", "0-1"]
    for folder, batches in (("whole", "12"), ("halves", "7")):
        run = ("train", "wide.cfg", "accents.txt", *args, "--out", folder, "--batches", batches)
        assert invoke(*run).status == 0
    assert invoke("train", "--resume", "--out", "halves", "--batches", "12").status == 0
    whole, halves = (Path(name, "wide_final.weights").read_bytes() for name in ("whole", "halves"))
    assert whole == halves


@pytest.mark.usefixtures("_old_run")
@pytest.mark.parametrize("given", ["old", "old/narrow", "old/narrow_best.weights"])
def test_a_trained_network_learns_another_text(given: str) -> None:
    args = ("plain.txt", "--batches", "4", "--seed", "2", "--val", "0")
    assert invoke("train", given, *args, "--out", "new").status == 0
    start = ("--weights", "old/narrow_best.weights", "--clear")
    assert invoke("train", "old/narrow.cfg", *args, *start, "--out", "same").status == 0
    new, same = (Path(name, "narrow_final.weights").read_bytes() for name in ("new", "same"))
    assert new == same
    assert open_network("new").seen == 4 * 32
    # The folder that it comes from may be that of the new run, which can be resumed.
    rate = ("--set", "learning_rate=.001")
    assert invoke("train", given, *args, *rate, "--out", "old").status == 0
    assert open_network("old/old-1").seen > open_network("old").seen
    assert invoke("train", "--resume", "old", "--batches", "6").status == 0
    # Other weights, and their count.
    first = ("--weights", "old/old-1", "--out", "third", "--batches", "400")
    assert invoke("train", "old", "plain.txt", *first).status == 0
    assert open_network("third/narrow_final.weights").seen == 400 * 32


@pytest.mark.usefixtures("_old_run")
def test_the_network_that_comes_with_the_program_learns_another_text() -> None:
    done = invoke("train", "tales", "plain.txt", "--batches", "1", "--seed", "1")
    assert done.status == 0, done.stderr
    loss = float(Path("backup/tales.csv").read_text().splitlines()[1].split(",")[2])
    assert loss < 5
    # A bundled cfg comes before a folder of its name.
    Path("old").rename("tiny")
    done = invoke("train", "tiny", "plain.txt", "--batches", "1", "--seed", "1", "--out", "new")
    assert "starting from" not in done.stderr


@pytest.mark.usefixtures("_old_run")
def test_what_cannot_be_meant_is_one_line() -> None:
    run = ("train", "wide.cfg", "accents.txt", "--batches", "2")
    assert "--weights-layers needs --weights" in invoke(*run, "--weights-layers", "0").error()
    cfg = ("--weights-cfg", "narrow.cfg")
    assert "--weights and --weights-layers" in invoke(*run, *cfg).error()
    assert "--weights and --weights-layers" in invoke(*run, *cfg, "--weights", "old").error()
    done = invoke(*run, "--weights", "old", "--weights-layers", "0-5")
    assert "no layer 3" in done.lines[-1]
    assert done.status == 1
    done = invoke(*run, "--weights", "old", "--weights-layers", "two")
    assert done.status == 2
    assert "is not a list of layers, like 0-2" in done.stderr
    Path("old/narrow.cfg").unlink()
    error = invoke(*run, "--weights", "old", "--weights-layers", "0-1").lines[-1]
    assert error.endswith("; give it: --weights-cfg my.cfg")


# --- darknet's own key, and the texts of the worked example


@pytest.mark.usefixtures("_old_run")
def test_dontload_leaves_the_last_layer_as_drawn() -> None:
    """From a whole file, as darknet's own key has it."""
    narrow = [part.replace("256", "128") for part in (NET, RNN, CONNECTED, SOFTMAX)]
    write_cfg(Path("last.cfg"), narrow[0], narrow[1], narrow[2] + " dontload=1", narrow[3])
    run = ("train", "last.cfg", "plain.txt", "--batches", "1", "--set", "learning_rate=0")
    seed = ("--seed", "1")
    start = ("--weights", "old/narrow_final.weights", "--clear")
    assert invoke(*run, *seed, *start, "--out", "new").status == 0
    assert invoke(*run, *seed, "--out", "drawn").status == 0
    old, drawn, new = (
        open_network(folder) for folder in ("old/narrow_final.weights", "drawn", "new")
    )
    for tensor, its, own in zip(old.tensors(), drawn.tensors(), new.tensors(), strict=True):
        expected = its if tensor.name.startswith("1.") else tensor
        np.testing.assert_array_equal(own.values, expected.values)


def test_the_second_text_is_what_its_program_writes(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    data = root / "data"
    made = tmp_path / "kitchen.txt"
    subprocess.run([sys.executable, root / "tools" / "kitchen.py", made], check=True)
    assert made.read_bytes() == (data / "kitchen.txt").read_bytes()
    tales = (data / "tales.txt").read_bytes()
    assert max(tales) < 128 < max(made.read_bytes())
