"""Which weights file a folder means, and which cfg belongs to a weights file."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

import darknet_py as dn
from darknet_py.cfg import bundled_cfgs, read_cfg
from darknet_py.errors import WeightsError
from darknet_py.inference.evaluation import evaluate
from darknet_py.loading import building, finding
from darknet_py.loading.finding import (
    find_cfg_of,
    find_weights,
    load_network,
    open_network,
    trained_networks,
)
from darknet_py.network import Network
from tests.support.commands import invoke
from tests.support.inputs import CONNECTED, NET, PARAMETERS, RNN, SOFTMAX, write_cfg

pytestmark = pytest.mark.filterwarnings("error")


def write_weights(path: Path) -> Path:
    """Weights of the small network, whose cfg is only beside them if a test puts it there."""
    cfg = write_cfg(path.parent / "temporary.cfg")
    load_network(cfg, seed=1).save_weights(path)
    cfg.unlink()
    return path


# --- weights -------------------------------------------------------------------------------------


def test_a_file_means_itself_whether_or_not_it_exists(tmp_path: Path) -> None:
    assert find_weights(tmp_path / "nowhere.weights") == tmp_path / "nowhere.weights"
    assert find_weights(str(tmp_path / "a_final.weights")) == tmp_path / "a_final.weights"


def test_a_folder_means_its_best_else_its_final_else_its_backup_file(tmp_path: Path) -> None:
    (tmp_path / "net_1000.weights").touch()
    (tmp_path / "net.csv").touch()
    for name in ("net.backup", "net_final.weights", "net_best.weights"):
        (tmp_path / name).touch()
        assert find_weights(tmp_path) == tmp_path / name


def test_files_of_an_earlier_run_in_the_folder_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "old-1").mkdir()
    (tmp_path / "old-1" / "net_best.weights").touch()
    (tmp_path / "net.backup").touch()
    assert find_weights(tmp_path) == tmp_path / "net.backup"


def test_several_networks_in_a_folder_are_an_error_that_names_them(tmp_path: Path) -> None:
    for name in ("a_best.weights", "b_best.weights"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=r"a_best\.weights, b_best\.weights") as caught:
        find_weights(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_folder_without_weights_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "net.cfg").touch()
    with pytest.raises(WeightsError, match=f"^{re.escape(str(tmp_path))} holds no weights"):
        find_weights(tmp_path)


# --- cfgs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "net.weights",
        "net_final.weights",
        "net_best.weights",
        "net_100.weights",
        "net_1234567.weights",
        "net.backup",
    ],
)
def test_the_cfg_beside_a_weights_file_has_its_stem(tmp_path: Path, name: str) -> None:
    weights = write_weights(tmp_path / name)
    write_cfg(tmp_path / "other.cfg", NET, RNN, RNN, CONNECTED, SOFTMAX)
    cfg = write_cfg(tmp_path / "net.cfg")
    assert find_cfg_of(weights).path == str(cfg)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("my_best_net_best.weights", "my_best_net"),
        ("net_2_final.weights", "net_2"),
        ("net_x.weights", "net_x"),
        ("a.b_best.weights", "a.b"),
        ("final.weights", "final"),
    ],
)
def test_only_the_end_of_a_name_is_taken_off(tmp_path: Path, name: str, stem: str) -> None:
    weights = write_weights(tmp_path / name)
    write_cfg(tmp_path / f"{stem}.cfg")
    assert find_cfg_of(weights).path == str(tmp_path / f"{stem}.cfg")


def test_the_cfg_that_is_named_comes_first(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "net.weights")
    write_cfg(tmp_path / "net.cfg")
    other = write_cfg(tmp_path / "other.cfg", NET, RNN, RNN, CONNECTED, SOFTMAX)
    assert find_cfg_of(weights, other).path == str(other)
    assert find_cfg_of(weights, "tiny").path == str(bundled_cfgs()["tiny"])


def test_the_cfg_beside_comes_before_a_bundled_one(tmp_path: Path) -> None:
    weights = tmp_path / "net.weights"
    load_network("tiny").save_weights(weights)
    write_cfg(tmp_path / "net.cfg")
    assert find_cfg_of(weights).path == str(tmp_path / "net.cfg")


def test_a_bundled_cfg_is_found_by_its_number_of_parameters_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "strange.weights"
    tiny = load_network("tiny", seed=1)
    tiny.save_weights(weights)
    with caplog.at_level(logging.INFO, "darknet_py"):
        net = open_network(weights)
    assert len(net.parameters) == len(tiny.parameters)
    assert net.parameters.tobytes() == tiny.parameters.tobytes()
    assert "using tiny, which comes with darknet-py, chosen by the number of pa" in caplog.text
    assert Path(net.cfg.path) in bundled_cfgs().values()
    assert "--cfg" in caplog.text
    # So it is where another was given.
    for attempt in (
        lambda: open_network(weights, "tiny-gru"),
        lambda: load_network("tiny-gru", weights),
        lambda: dn.train("tiny-gru", b"abc " * 999, weights=weights, out=tmp_path, batches=1),
    ):
        with pytest.raises(WeightsError, match=r"trained with \(tiny has 460,544\)"):
            attempt()
    with pytest.raises(WeightsError, match=r"that it was trained with$"):
        open_network(write_weights(tmp_path / "small.weights"), "tiny-gru")
    with pytest.raises(WeightsError, match=r'give it: load_network\("my\.cfg", .*small\.weights'):
        load_network(tmp_path / "small.weights")


def test_without_a_cfg_the_error_says_what_was_tried(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "net_best.weights")
    with pytest.raises(WeightsError) as caught:
        find_cfg_of(weights)
    message = str(caught.value)
    assert message.startswith(f"{weights}: ")
    assert str(tmp_path / "net.cfg") in message
    assert f"{PARAMETERS:,}" in message
    assert "--cfg" in message
    for name in bundled_cfgs():
        assert name in message


def test_a_bundled_cfg_that_does_not_parse_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_weights(tmp_path / "strange.weights")
    damaged = tmp_path / "damaged.cfg"
    damaged.write_text("[net")
    fitting = write_cfg(tmp_path / "fitting.cfg")
    cfgs = {"damaged": damaged, "fitting": fitting}
    for module in (finding, building):
        monkeypatch.setattr(module, "bundled_cfgs", lambda: cfgs)
    assert find_cfg_of(weights).path == str(fitting)


def test_a_missing_weights_file_is_an_error_before_a_missing_cfg(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        find_cfg_of(tmp_path / "net.weights")


# --- both ----------------------------------------------------------------------------------------


def test_a_network_is_opened_for_one_stream_whatever_its_cfg_says(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "net.weights")
    write_cfg(tmp_path / "net.cfg", NET + " subdivisions=2", RNN, CONNECTED, SOFTMAX)
    options = open_network(weights).options
    assert (options.batch, options.subdivisions, options.time_steps) == (1, 1, 1)
    assert read_cfg(tmp_path / "net.cfg").net.integer("batch", 0) == 4


def test_what_was_found_is_said_and_what_was_given_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = write_weights(tmp_path / "net_final.weights")
    cfg = write_cfg(tmp_path / "net.cfg")
    with caplog.at_level(logging.INFO, "darknet_py"):
        from_folder = open_network(tmp_path)
    assert f"weights: {weights}" in caplog.text
    assert "using" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "darknet_py"):
        from_file = open_network(weights, cfg)
    assert caplog.text == ""
    assert from_file.parameters.tobytes() == from_folder.parameters.tobytes()


def test_the_dialect_is_that_of_the_file_unless_it_is_given(tmp_path: Path) -> None:
    cfg = write_cfg(tmp_path / "net.cfg", NET, "[gru] output=8", CONNECTED, SOFTMAX)
    weights = tmp_path / "net.weights"
    net: Network = load_network(cfg, seed=1, dialect="alexeyab")
    net.save_weights(weights)
    assert open_network(weights).dialect.name == "alexeyab"
    assert open_network(weights, dialect="upstream").dialect.name == "upstream"
    same = open_network(weights)
    assert same.parameters.tobytes() == net.parameters.tobytes()


def test_a_trained_network_comes_with_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every command that takes weights; what the user has under its name comes first."""
    monkeypatch.chdir(tmp_path)
    assert list(trained_networks()) == ["tales"]
    assert trained_networks()["tales"].stat().st_size < 2_000_000
    written = invoke("generate", "tales", "--seed", "1", "--length", "60", "--no-prompt")
    assert (written.status, written.stderr) == (0, "")
    net = load_network("tales")
    assert written.stdout.decode().rstrip("\n").startswith(dn.generate_text(net, length=60, seed=1))
    for command in (("info", "tales"), ("valid", "tales", "-"), ("export", "tales", "t.npz")):
        assert invoke(*command, stdin=b"Once upon a time").status == 0
    Path("tales").mkdir()
    assert invoke("info", "tales").status == 0
    write_weights(Path("tales", "net.weights"))
    assert find_weights("tales") == Path("tales", "net.weights")


def test_its_loss_is_what_the_makefile_says() -> None:
    text = Path(__file__).parent.parent.joinpath("data", "tales.txt").read_bytes()
    score = evaluate(load_network("tales"), text[-20_000:], streams=16)
    assert score.nats == pytest.approx(0.5146, abs=0.03)
