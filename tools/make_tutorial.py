"""What docs/tutorial.md shows of a real run: `make tutorial`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import darknet_py as dn
from darknet_py.terminal.messages import visible
from tools.browser import open_browser
from tools.draw import PICTURES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
TEXT = ROOT / "data" / "tales.txt"
BEGIN, END = "<!-- losses: begin -->\n", "<!-- losses: end -->"
LOSSES = (5.55, 3.3, 2.0, 1.5, 1.0, 0.7)
READY = "document.getElementById('reading').ariaBusy === 'false'"


def texts(out: Path) -> list[tuple[float, int, str]]:
    """Losses of a run, its updates, and what the network writes then; the first before any."""
    found: list[tuple[float, int, str]] = []
    net = dn.load_network("tiny-gru", seed=1)
    found.append((5.55, 0, dn.generate_text(net, length=60, seed=1)))

    def look(row: dn.Row) -> None:
        if row.val is None or len(found) == len(LOSSES) or row.val > LOSSES[len(found)]:
            return
        best = dn.load_network(out)
        found.append((row.val, row.batch, dn.generate_text(best, length=90, seed=1)))

    dn.train("tiny-gru", TEXT, out=out, batches=1500, seed=1, val_every=5, callback=look)
    return found


def table(found: list[tuple[float, int, str]]) -> str:
    rows = ["| loss | updates | what it writes |", "|---|---|---|"]
    for loss, batch, text in found:
        shown = visible(" ".join(text.split()), keep="").replace("|", "\\|").replace("`", "'")
        rows.append(f"| {loss:.2f} | {batch:,} | `{shown}` |")
    return "\n".join(rows) + "\n"


def picture(page: Path, name: str, height: int) -> None:
    with open_browser() as browser:
        browser.resize(1000, height)
        browser.open(page)
        browser.wait(READY)
        if name == "page.png":
            browser.type("#prompt", "Once ")
            browser.click("#write")
            browser.wait(READY)
        (PICTURES / name).write_bytes(browser.picture())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "first"
        found = texts(out)
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}", encoding="utf-8")
        picture(dn.report(out), "report.png", 1000)
        picture(
            dn.export(dn.load_network("tales"), Path(folder) / "tales.html")[0], "page.png", 760
        )


if __name__ == "__main__":
    main()
