"""The page of a report in a real browser: the run's network writes there."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import darknet_py as dn
from tests.support.commands import invoke
from tools.browser import missing, open_browser

# Control characters as the page shows them.
PICTURES = {code: 0x2400 + code for code in range(32) if code not in (9, 10)} | {127: 0x2421}

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
