"""How fast the page of `export` is in a browser: `shakespeare`, in 32 bits and with --half.

make bench-page
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import darknet_py as dn
from tools.browser import Browser, missing, open_browser

TALES = Path(__file__).parent.parent / "data" / "tales.txt"
BATCHES = 40  # until it has heard of letters
LENGTH = 3000  # characters of a text
TIMES = 5  # of each measurement; the median counts

READY = "performance.getEntriesByName('ready')"
DONE = "document.getElementById('reading').ariaBusy === 'false'"


def measured(browser: Browser, page: Path) -> tuple[float, float]:
    """Seconds from opening the page until it can write, and characters a second."""
    starts, speeds = [], []
    for _ in range(TIMES):
        browser.open(page)
        browser.wait(f"{READY}.length === 1")
        starts.append(browser.run(f"return {READY}[0].startTime") / 1000)
        browser.clear("#length")
        browser.type("#length", str(LENGTH))
        browser.click("#write")
        browser.wait(DONE)
        figures = browser.text("#figures").split(" · ")
        speeds.append(float(figures[1].split()[0].replace(",", "")))
    return statistics.median(starts), statistics.median(speeds)


def main() -> None:
    reason = missing()
    if reason:
        raise SystemExit(f"bench-page needs a browser: {reason}")
    with tempfile.TemporaryDirectory() as name, open_browser() as browser:
        folder = Path(name)
        dn.train("shakespeare", TALES, out=folder / "run", batches=BATCHES, seed=1)
        net = dn.load_network(folder / "run")
        for words, half in (("32 bits", False), ("16 bits", True)):
            (page,) = dn.export(net, folder / f"{words[:2]}.html", half=half)
            start, speed = measured(browser, page)
            size = page.stat().st_size / 1e6
            print(
                f"{words}, {size:.1f} MB: starts in {start:.2f} s, {speed:,.0f} characters a second"
            )


if __name__ == "__main__":
    main()
