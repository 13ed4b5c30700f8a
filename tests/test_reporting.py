"""The page about a run: complete in itself, well-formed, and true to the network."""

from __future__ import annotations

import base64
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import darknet_py as dn
from darknet_py.exporting import html_page
from darknet_py.loading.finding import open_network
from darknet_py.reporting import chart
from darknet_py.reporting import page as report
from darknet_py.terminal.messages import visible
from darknet_py.text.symbols import Symbols
from darknet_py.training.curves import read_losses
from tests.support.commands import invoke
from tests.support.runs import files_in

pytestmark = pytest.mark.usefixtures("run_inputs")

BYTES = Symbols(256, is_tokens=False, names=None)


@pytest.fixture
def trained(run_inputs: None) -> None:
    args = ("--batches", "30", "--val-every", "5", "--sample-every", "2", "--seed", "1", "-q")
    assert invoke("train", "net.cfg", "text.txt", *args).status == 0


class Page(HTMLParser):
    """The text of a page by the element it stands in; fails where elements are not nested right."""

    VOID = ("meta", "link", "input", "line", "polyline", "circle", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts.setdefault(tag, []).append(data)


@pytest.mark.usefixtures("trained")
def test_a_page_about_a_run_is_complete_in_itself() -> None:
    outcome = invoke("report", "backup")
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == b""
    text = Path("backup/net.html").read_text(encoding="utf-8")
    page = Page(text)
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert links[0] == "data:,"
    assert links[1:] == [
        f"#{name}" for name in ("losses", "what-it-wrote", "try-it", "how-it-reads")
    ]
    assert {link[1:] for link in links[1:] if link} <= {v for n, v in page.attributes if n == "id"}
    assert "url(" not in text
    assert "default-src 'none'" in text
    headings = " ".join(page.texts["h2"])
    for words in ("Losses", "Try it", "What it wrote", "How it reads"):
        assert words in headings
    assert sum("after batch" in name for name in page.texts["h3"]) == 3
    tabs = re.findall(r'<label for="tab\d">([^<]*)<', text)
    assert tabs[0] == "surprise"
    assert len(tabs) == 1 + report.UNITS
    facts = dict(zip(page.texts["th"], page.texts["td"], strict=False))
    assert facts["command"].startswith("darknet-py train net.cfg text.txt --seed 1 --batches 30")
    assert "bits, perplexity" in facts["best held-out loss"]
    assert re.search(r"960 bytes of text.txt, 0\.\d times the text, in \d+ s", facts["trained on"])
    assert {"Write", "Text", "What comes next"} <= set(page.texts["h3"])
    # The network of the page is that of the run.
    numbers = re.findall(r'id="numbers">([^<]*)<', text)
    net = open_network("backup")
    found = np.frombuffer(base64.b64decode(numbers[0]), "<f4")
    np.testing.assert_array_equal(np.sort(found), np.sort(net.parameters))
    assert invoke("report", "backup", "--half").status == 0
    assert len(Path("backup/net.html").read_text(encoding="utf-8")) < len(text)
    held_out = Path("text.txt").read_bytes()[-held_out_length() :][:1200].decode()
    assert held_out in "".join(page.texts["pre"])


@pytest.mark.usefixtures("trained")
def test_a_network_that_no_page_can_hold_has_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_page, "MAX_BYTES", 1000)
    assert invoke("report", "backup").status == 0
    text = Path("backup/net.html").read_text(encoding="utf-8")
    assert "cannot be tried here: backup/net.cfg: a page holds up to" in text.replace("\\", "/")
    assert "<script" not in text
    Page(text)


def held_out_length() -> int:
    return int(len(Path("text.txt").read_bytes()) * 0.1)


@pytest.mark.usefixtures("trained")
def test_options_of_the_report() -> None:
    Path("other.txt").write_bytes("naïve <b>&amp;\x1b[31m \xff".encode("latin-1") + b"abc")
    args = ("report", "backup/net", "--text", "other.txt", "--layer", "1", "--out", "page.html")
    assert invoke(*args).status == 0
    page = Page(Path("page.html").read_text(encoding="utf-8"))
    assert "the units of layer 1" in " ".join(page.texts["p"])
    passage = "".join(page.texts["pre"])
    assert "<b>&amp;␛[31m" in passage
    assert "\x1b" not in passage
    assert "\ufffd" in passage
    assert "layer" in invoke("report", "backup", "--layer", "9").stderr
    assert "missing" in invoke("report", "backup", "-q", "--text", "missing").error()
    assert "nowhere" in invoke("report", "nowhere").error()
    assert "nowhere" in invoke("report", "backup", "-q", "--out", "nowhere/page.html").error()


def test_a_run_without_validation_or_batches_has_a_page() -> None:
    dn.train("net.cfg", "text.txt", batches=3, seed=1, val=0.0, stop=lambda: True)
    assert invoke("report").status == 0
    assert "backup/net.html" in {f"backup/{name}" for name in files_in(Path("backup"))}


@pytest.mark.usefixtures("trained")
def test_the_reading_is_the_networks() -> None:
    net = open_network("backup")
    passage = Path("text.txt").read_bytes()[:200]
    reading = report.read_passage(net, passage, 0, BYTES)
    assert reading.losses.mean() == pytest.approx(dn.evaluate(net, passage, b"").nats, rel=1e-5)
    symbols = np.frombuffer(passage, np.uint8)[:, None]
    y, _ = net.forward(symbols, net.initial_state(1), count=1)
    np.testing.assert_allclose(reading.responses, y[:, 0][:, reading.units], rtol=1e-6)
    slow = [np.corrcoef(unit[1:], unit[:-1])[0, 1] for unit in y[:, 0].T]
    assert reading.units[0] == int(np.argmax(slow)) or len(set(reading.units)) == report.UNITS


@given(st.binary(min_size=2, max_size=60))
def test_any_bytes_are_shaded_and_none_is_lost(passage: bytes) -> None:
    losses, parts = np.linspace(0, 9, len(passage) - 1), BYTES.parts(passage)
    surprises = report._surprises(parts, losses)
    assert surprises.sum() == pytest.approx(losses.sum())
    pieces = [text for _, _, text in parts]
    tabs = [("surprise", surprises), ("unit 3", report._signed(np.arange(len(parts))))]
    page = Page(report._passage(tabs, pieces))
    shown = "".join(page.texts["span"])
    assert visible("".join(pieces)) == shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", shown)


def test_a_surprise_is_a_whole_character_with_whole_ones_before_it() -> None:
    passage = "жаба жжёт".encode()
    losses = np.zeros(len(passage) - 1)
    losses[passage.index("ё".encode())] = 5.0  # Its second byte.
    parts = BYTES.parts(passage)
    table = Page(report._greatest(parts, report._surprises(parts, losses), most=1))
    assert table.texts["td"] == ["5.00", "жаба жж", "ё"]


def test_the_score_of_the_last_network_is_on_the_curve() -> None:
    args = ("--batches", "7", "--val-every", "5", "--seed", "1", "-q", "--out", "run")
    assert invoke("train", "net.cfg", "text.txt", *args).status == 0
    _, validations = read_losses(Path("run/net.csv"))
    assert [batch for batch, _ in validations] == [5, 7]
    page = dn.report("run").read_text(encoding="utf-8")
    best = re.search(r"best held-out loss</th><td>([\d.]+) nats per byte", page)
    assert best
    assert f"at best {float(best[1]):.2f}" in page
    assert page.count('<circle class="dot" r="2.5"') == 2


def test_several_runs_share_a_chart() -> None:
    args = ("--val-every", "3", "--sample-every", "1", "--seed", "1", "-q")
    for name, batches in (("a", "6"), ("b", "9"), ("c <i>", "3")):
        run = ("train", "net.cfg", "text.txt", *args, "--out", name, "--batches", batches)
        assert invoke(*run).status == 0
    assert invoke("report", "a", "b/net", "c <i>/net.state").status == 0
    text = Path("report.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = text.count("<figure>") * (1 + text.count('class="later"'))
    assert text.count("<polyline") == pictures * 3 * 2
    assert text.count('<circle class="dot" r="2.5"') == pictures * (2 + 3 + 1)
    names = [cell for cell in page.texts["td"] if cell.endswith("net")]
    assert [name.replace("\\", "/") for name in names[::2]] == ["a/net", "b/net", "c <i>/net"]
    assert {"6", "9", "3"} <= set(page.texts["td"])
    assert [name.rpartition("batch ")[2][:1] for name in page.texts["h3"]] == ["6", "9", "3"]
    assert "cannot be compared" not in text
    assert [value for name, value in page.attributes if name in ("src", "href")] == ["data:,"]
    other = ("--batches", "3", "--val", "0.2", "--seed", "1", "-q", "--out", "d")
    assert invoke("train", "net.cfg", "text.txt", *other).status == 0
    assert dn.report("a", "d", out="page.html") == Path("page.html")
    assert "cannot be compared" in Path("page.html").read_text(encoding="utf-8")
    assert "layer" in invoke("report", "a", "b", "--layer", "0").stderr
    Path("b/net.state").write_bytes(b"broken")
    assert "net.state" in invoke("report", "a", "b", "-q").error()
    assert "net.csv" in invoke("report", "a", "d", "-q", "--out", "a/net.csv").error()


def test_several_runs_in_a_folder_are_told_apart() -> None:
    for cfg in ("net.cfg", "other.cfg"):
        Path("other.cfg").write_bytes(Path("net.cfg").read_bytes())
        args = ("--batches", "3", "--seed", "1", "-q", "--out", "two runs")
        assert invoke("train", cfg, "text.txt", *args).status == 0
    os.utime("two runs/net.state", (1, 1))
    error = invoke("report", "two runs").error()
    assert error.endswith("(net, other): name one, e.g. darknet-py report 'two runs/other'")
    assert invoke("report", "two runs/other").status == 0
    assert Path("two runs/other.html").exists()


@pytest.mark.parametrize("folder", ["nothing", "text.txt", "."])
def test_what_is_no_run_is_named_with_what_to_do(folder: str) -> None:
    error = invoke("report", folder).error()
    assert "; give the " in error


def test_characters_are_those_of_utf_8() -> None:
    text = "aé€😀b"
    assert [part for _, _, part in BYTES.parts(text.encode())] == list(text)
    ends = [end for _, end, _ in BYTES.parts(text.encode())]
    assert ends == [1, 3, 6, 10, 11]


HALVES = {
    ".csv": [b"31,992,2.5,2.4", b"31,992,2.5,2.4,0.01,1,0.2,1.", b"31,", b"\xff\x00\xfe"],
    ".samples": [b'{"batch": 31, "val": 2.5, "te', b"{", b'{"batch": 31', b"\xff\x00{"],
}
NO_ROWS = {
    ".csv": [
        *(b"x,1,2,3,4,5,6,7", b"32,1", b",,,,,,,", b"32,1,2,nan,4,5,6,7", b"\xff\0,1,2,3,4,5,6,7"),
        *(b"32,1,2,3,4,5,6,x", b"1,2,3,4,5,6,7,8,9", b"0,1,2,3,4,5,6,7", b"", b'"' * 200_000),
    ],
    ".samples": [
        *(b"{}", b"[1]", b"null", b'{"batch": 1, "val": null, "text": "a"}', b"\xff", b""),
        *(b'{"batch": 1e999, "val": 1, "text": "a"}', b'{"batch": 1, "val": 1, "text": 5}'),
        *(b'{"batch": "x", "val": 1, "text": "a"}', b'{"batch": 1, "text": "a"}', b"[" * 100_000),
        *(b'{"batch": 1, "val": 1' + b"0" * 400 + b', "text": "a"}',),
    ],
}


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("suffix", HALVES)
def test_what_is_not_a_whole_row_is_skipped(suffix: str) -> None:
    def page() -> str:
        outcome = invoke("report", "backup", "-q")
        assert outcome.status == 0, outcome.stderr
        return Path("backup/net.html").read_text(encoding="utf-8")

    expected = page()
    table = Path(f"backup/net{suffix}")
    whole = table.read_bytes()
    for half in HALVES[suffix]:
        table.write_bytes(whole + half)
        assert page() == expected
    for line in NO_ROWS[suffix]:
        table.write_bytes(whole + line + b"\n")
        assert page() == expected
    table.write_bytes(whole.replace(b"\n", b"\n" + b"\n".join(NO_ROWS[suffix]) + b"\n", 3))
    assert page() == expected


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("content", [b"", b"\n", b"batch", b"\xff\0\n\xfe\n", b"a,b\n1,2\n"])
def test_a_table_without_a_row_is_a_page_without_curves(content: bytes) -> None:
    Path("backup/net.csv").write_bytes(content)
    Path("backup/net.samples").write_bytes(content)
    assert invoke("report", "backup", "-q").status == 0
    text = Path("backup/net.html").read_text(encoding="utf-8")
    assert "no batch yet" in text
    assert "after batch" not in text
    Page(text)


def test_a_table_without_validations_has_averages(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(b"batch,avg\r\n1,3\r\n2,2.5\r\n")
    assert read_losses(table) == ([(1, 3), (2, 2.5)], [])
    table.write_bytes(b"batch,avg,val\n1,3,\n2,2.5,2\n3,2,1")
    assert read_losses(table) == ([(1, 3), (2, 2.5)], [(2, 2)])


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_ticks_are_round_numbers_around_all_that_is_shown(one: float, other: float) -> None:
    low, high = sorted([one, other])
    found = chart.ticks(low, high)
    assert 2 <= len(found) <= 9
    assert found[0] <= low + 1e-9 * high
    assert found[-1] >= high * (1 - 1e-9)
    steps = np.diff(found)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)
    assert f"{steps[0]:.0e}"[0] in "125"


def test_the_high_losses_of_the_beginning_are_shown_at_a_click() -> None:
    averages = [(float(n), 5.6 - n / 1000) for n in range(1, 101)]
    losses = [(1.0, 90.0), *averages[1:]], [(50.0, 5.55), (80.0, 5.51), (100.0, 5.53)]
    drawn = chart.chart({"a": losses}, "byte")
    later, whole = drawn.split('<div class="whole">')
    assert 'text-anchor="end">100<' in whole
    assert 'text-anchor="end">80<' not in later
    assert drawn.count(">best 5.5100<") == 2
    assert "training 90.0000" in drawn
    assert "held out 5.5100" in drawn
    flat = chart.chart({"a": (averages, [])}, "byte")
    assert "later" not in flat
    labels = re.findall(r'text-anchor="end">([\d.]+)<', flat)
    assert len(labels) == len(set(labels)) >= 4


def test_a_curve_has_the_mean_of_each_pixel() -> None:
    curve = [(float(n), float(n % 2)) for n in range(1000)]
    found = chart.averaged(curve, lambda batch: batch / 10)
    assert found == [(10 * n + 4.5, 0.5) for n in range(100)]
