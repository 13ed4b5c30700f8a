"""The package as a Python program uses it, without a file of a command line around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import darknet_py as dn
from tests.support.inputs import words

TEXT = words(3000).encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a short run on a text given as bytes."""
    out = tmp_path_factory.mktemp("run")
    dn.train("tiny", TEXT, out=out, batches=5, seed=1, overrides={"rnn.output": 16})
    return out


def test_a_text_may_be_bytes_and_is_given_again_to_resume(folder: Path) -> None:
    with pytest.raises(dn.DarknetError, match="did not come from a file; give the same text again"):
        dn.train(resume=True, out=folder, batches=6)
    with pytest.raises(dn.DarknetError, match="not the text that the run began with"):
        dn.train(data=TEXT + b"!", resume=True, out=folder, batches=6)
    assert dn.train(data=TEXT, resume=True, out=folder, batches=6).batches == 6
    with pytest.raises(dn.CorpusError, match="the text given is empty"):
        dn.train("tiny", b"", out=folder / "none", batches=1)


def test_progress_is_shown_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[int] = []
    for progress in (False, True):
        dn.train(
            *("tiny", TEXT),
            out=tmp_path / str(progress),
            batches=3,
            seed=1,
            progress=progress,
            callback=lambda row: rows.append(row.batch),
        )
        assert ("3: " in capsys.readouterr().err) == progress
    assert rows == [1, 2, 3] * 2


def test_a_network_is_opened_by_its_run_or_its_weights(folder: Path, tmp_path: Path) -> None:
    net = dn.load_network(folder)
    same = dn.load_network(folder / "tiny_best.weights")
    assert net.streams == same.streams == 1
    np.testing.assert_array_equal(net.parameters, same.parameters)
    assert net.predict([[65], [66]]).shape == (2, 1, 256)
    wide = dn.load_network(folder, batch=3)
    assert wide.streams == 3
    # A cfg, by name or file, is a new network to train.
    assert dn.load_network("tiny").streams == 32
    assert dn.load_network(folder / "tiny.cfg").streams == 32
    with pytest.raises(dn.WeightsError, match="holds no weights"):
        dn.load_network(tmp_path)


def test_a_network_shows_what_it_is(folder: Path) -> None:
    net = dn.load_network(folder)
    assert re.fullmatch(
        r"<Network .*tiny\.cfg: 2 x \[rnn\] 16, \[connected\] 256, \[softmax\]; [\d,]+ parameters>",
        repr(net),
    )


def test_prompts_may_be_str_bytes_or_symbols(folder: Path) -> None:
    net = dn.load_network(folder)
    texts = [
        list(dn.generate(net, prompt, 20, 0.5, seed=3))
        for prompt in ("Größe", "Größe".encode(), list("Größe".encode()))
    ]
    assert texts[0] == texts[1] == texts[2]
    assert list(dn.generate(net, "Größe", 20, seed=3, sampling=dn.Sampling(0.5))) == texts[0]
    assert dn.evaluate(net, "some words") == dn.evaluate(net, b"some words")
    tokens = dn.load_network("tiny", tokenized=1)
    assert list(dn.generate(tokens, "7 8", 5)) == list(dn.generate(tokens, [7, 8], 5))
    with pytest.raises(dn.CorpusError, match="prompt: word 1 is 'x'"):
        list(dn.generate(tokens, "x", 5))


def test_export_and_report_are_functions(folder: Path, tmp_path: Path) -> None:
    net = dn.load_network(folder)
    (written,) = dn.export(net, tmp_path / "net.npz")
    with np.load(written) as archive:
        assert archive["0.input.weight"].shape == (16, 256)
    weights, cfg = dn.export(net, tmp_path / "net.weights")
    np.testing.assert_array_equal(dn.load_network(cfg, weights).parameters, net.parameters)
    with pytest.raises(ValueError, match="path must end in"):
        dn.export(net, tmp_path / "net.tar")
    (tmp_path / "text.txt").write_bytes(TEXT)
    page = dn.report(folder, text=tmp_path / "text.txt", out=tmp_path / "page.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(ValueError, match="layer 9"):
        dn.report(folder, text=tmp_path / "text.txt", out=page, layer=9, force=True)


def test_what_a_beginner_gives_is_answered_with_what_is_needed(tmp_path: Path) -> None:
    net = dn.load_network("tiny")
    calls: list[tuple[str, Any]] = [
        ("net must be a Network, as load_network gives it", lambda: dn.generate("run")),  # type: ignore[arg-type]
        ("net must be a Network", lambda: dn.evaluate("run", "text")),  # type: ignore[arg-type]
        ("net must be a Network", lambda: dn.export("run", "net.npz")),  # type: ignore[arg-type]
        ("net must be a Network", lambda: dn.Session("run")),  # type: ignore[arg-type]
        ("folder must be a path", lambda: dn.report(net)),  # type: ignore[arg-type]
        ("sampling must be a Sampling", lambda: dn.generate(net, sampling=0.5)),  # type: ignore[arg-type]
        ("greedy=True takes the most likely", lambda: dn.generate(net, temperature=0)),
        ("as text.encode()", lambda: dn.train("tiny", "a text\nof two lines", batches=1)),
        ("as text.encode()", lambda: dn.train("tiny", "a" * 5000, batches=1)),
    ]
    for told, call in calls:
        with pytest.raises(ValueError, match=re.escape(told)):
            call()
    with pytest.raises(dn.CorpusError, match="text has 1 byte; scoring needs at least 2"):
        dn.evaluate(net, "a")
    dn.train("tiny", b"some text " * 99, out=tmp_path / "run", batches=2, seed=1)
    again = dn.load_network("tiny", tmp_path / "run", batch=1)
    assert again.parameters.any()
