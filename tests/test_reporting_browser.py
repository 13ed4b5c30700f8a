"""The page of a report in a real browser: the run's network writes there."""

from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import pytest

import darknet_py as dn
from tests.support.commands import invoke
from tools.browser import missing, open_browser

# Control characters as the page shows them.
PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}
BATCHES = range(1, 101)
TOLD = {  # of a chart's middle
    "one.html": ["training 2.0000, held out 1.5000"],
    "two.html": [f"{name}/net: training 2.0000, held out 1.5000" for name in "ab"],
}

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.mark.usefixtures("run_inputs")
def test_a_report_lets_one_try_the_network() -> None:
    dn.train("net.cfg", "text.txt", batches=30, seed=1)
    assert invoke("report", "backup").status == 0
    net = dn.load_network("backup")
    with open_browser() as browser:
        for width in (1200, 360):
            browser.resize(width, 800)
            browser.open(Path("backup/net.html"))
            browser.wait("performance.getEntriesByName('ready').length === 1")
            # It begins with a text.
            browser.wait("document.getElementById('reading').ariaBusy === 'false'")
            assert browser.run("return document.getElementById('text').textContent.length") > 500
            browser.type("#prompt", "the ")
            browser.click("#write")
            browser.wait("document.getElementById('reading').ariaBusy === 'false'")
            blocks = browser.run(
                "return Array.from(document.querySelectorAll('#text > div'), (e) => e.textContent)"
            )
            text = b"the " + bytes(dn.generate(net, "the ", seed=1))
            shown = text.decode("utf-8", "replace").translate(PICTURES).rstrip("\n")
            assert "\n".join(blocks).rstrip("\n") == shown
            assert browser.run("return document.documentElement.scrollWidth") <= width
            assert dn.report("backup", "backup/net", out="compared.html").exists()
            browser.open(Path("compared.html"))
            assert browser.run("return document.documentElement.scrollWidth") <= width
            browser.open(Path("backup/net.html"))
        levels = browser.run(
            "return Array.from(document.querySelectorAll('h1,h2,h3'), e => e.tagName)"
        )
        assert all(int(b[1]) - int(a[1]) <= 1 for a, b in pairwise(levels))


@pytest.mark.usefixtures("run_inputs")
def test_a_chart_has_the_width_of_the_page_and_tells_its_values() -> None:
    rows = [f"{batch},{90 if batch == 1 else 2},{1.5 if batch == 50 else ''}" for batch in BATCHES]
    for name in "ab":
        dn.train("net.cfg", "text.txt", batches=3, seed=1, out=name)
        Path(f"{name}/net.csv").write_text("\n".join(["batch,avg,val", *rows, ""]))
    dn.report("a", out="one.html")
    dn.report("a", "b", out="two.html")
    with open_browser() as browser:
        for (page, values), width in product(TOLD.items(), (1200, 400)):
            browser.resize(width, 800)
            browser.open(Path(page))
            for _ in range(2):
                whole, (left, top, size, height) = browser.run(
                    "const parts = document.querySelectorAll('figure, figure > div > svg');"
                    "const boxes = Array.from(parts, (e) => e.getBoundingClientRect())"
                    ".filter((box) => box.width);"
                    "return [boxes[0].width, [boxes[1].x, boxes[1].y, boxes[1].width,"
                    "boxes[1].height]]"
                )
                assert round(size) == round(whole) > 0.9 * min(width, 736)
                point = {"x": left + size * 0.535, "y": top + height / 2}
                browser.command("Input.dispatchMouseEvent", type="mouseMoved", **point)
                shown = browser.run(
                    "return Array.from(document.querySelectorAll('.over tspan'))"
                    ".filter((e) => e.getClientRects().length).map((e) => e.textContent)"
                )
                assert shown == ["about batch 51", *values], (page, width)
                browser.click(".range input")
