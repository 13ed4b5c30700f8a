"""The page that writes, in a real browser: every control of it, by mouse and by keyboard."""

from __future__ import annotations

import os
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import darknet_py as dn
from darknet_py.inference.generation import Session
from darknet_py.network import Network
from tests.support.networks import make_network, randomized
from tools.browser import Browser, missing, open_browser

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

BYTES = "[net] inputs=256 batch=1 time_steps=1"
LAST = "[connected] output=256 activation=linear"
IS_READY = "performance.getEntriesByName('ready').length === 1"
IS_IDLE = "document.getElementById('reading').ariaBusy === 'false'"
IS_WRITING = "document.getElementById('go').textContent === 'Stop'"
WIDTHS = [(1200, 900), (768, 1000), (360, 740)]


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def writes(letters: str) -> Network:
    """A network of a few units that writes these letters, some more and some less."""
    net = make_network(
        BYTES,
        *("[gru] output=24 tanh=1", "[lstm] output=16", LAST, "[softmax]"),
        dtype=np.float32,
        reach=0.6,
    )
    bias = next(tensor for tensor in net.tensors() if tensor.name == "2.bias")
    bias.values[...] = -30
    bias.values[[*letters.encode()]] = 0
    return net


@pytest.fixture(scope="module")
def net() -> Network:
    return writes("abcdefghij \n")


@pytest.fixture(scope="module")
def page(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dn.export(net, tmp_path_factory.mktemp("page") / "net.html")[0]


@pytest.fixture
def browser(window: Browser, page: Path) -> Browser:
    """The page, just opened, without an error or a request to anywhere."""
    window.resize(1200, 900)
    window.prefer("light")
    open_page(window, page)
    return window


def open_page(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.wait(IS_READY)
    browser.wait(IS_IDLE)
    loaded = browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def text_of(browser: Browser) -> str:
    """The text as it is shown, prompt and all."""
    blocks = browser.run(
        "return Array.from(document.querySelectorAll('#text > div'), (e) => e.textContent)"
    )
    return "\n".join(blocks)


def shown_count(browser: Browser) -> int:
    """The characters that the page says it shows, prompt and all."""
    return int(browser.text("#figures").split()[0].replace(",", ""))


def write(browser: Browser, length: int, prompt: str = "", **fields: str) -> str:
    for field, value in {"length": str(length), "prompt": prompt, **fields}.items():
        browser.clear(f"#{field}")
        browser.type(f"#{field}", value)
    browser.click("#write")
    browser.wait(IS_IDLE)
    return text_of(browser)


def generated(net: Network, prompt: bytes, length: int, **how: float) -> str:
    drawn = dn.generate(net, prompt, length, **how)  # type: ignore[arg-type]
    # Without a character that the length cut.
    return getincrementaldecoder("utf-8")("replace").decode(prompt + bytes(drawn))


def set_value(browser: Browser, selector: str, value: str) -> None:
    """What a user's drag of a slider does, or a choice from a list."""
    browser.run(
        "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
        "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true}))",
        selector,
        value,
    )


def bars(browser: Browser) -> list[tuple[bytes, str, str]]:
    """Symbols, name and percentage of each bar."""
    found = browser.run(
        "return Array.from(document.querySelectorAll('#bars li:not([hidden]) button'), "
        "(e) => [e.value, e.ariaLabel.split(': ')[0], e.children[2].textContent])"
    )
    return [(bytes(map(int, value.split())), name, share) for value, name, share in found]


def focused_bar(browser: Browser) -> bytes:
    return bytes(map(int, browser.focused().split()))


def assert_bars(browser: Browser, net: Network, text: bytes, temperature: float) -> None:
    session = Session(net)
    session.feed([*text])
    p = session.probabilities(temperature)
    p[p <= 1e-4] = 0
    p /= p.sum()
    found = bars(browser)
    likeliest = np.argsort(-p, kind="stable")[: len(found)].tolist()
    assert [symbols for symbols, _, _ in found] == [bytes([symbol]) for symbol in likeliest]
    for symbol, (_, _, share) in zip(likeliest, found, strict=True):
        assert float(share.rstrip(" %")) == pytest.approx(100 * p[symbol], abs=0.6, rel=0.02)


# --- writing -------------------------------------------------------------------------------------


def test_the_text_is_that_of_generate(browser: Browser, net: Network) -> None:
    assert write(browser, 400) == generated(net, b"\n\n", 400, seed=1)
    prompt = "Zoë said:\nhow"
    assert write(browser, 400, prompt, seed="77") == generated(net, prompt.encode(), 400, seed=77)
    set_value(browser, "#temperature", "1.2")
    assert browser.text("#temperature-shown") == "1.20"
    found = write(browser, 300, "a", **{"top-k": "3"})
    assert found == generated(net, b"a", 300, seed=77, temperature=1.2, top_k=3)
    set_value(browser, "#temperature", "0")
    assert write(browser, 100, "b") == generated(net, b"b", 100, greedy=True)
    assert re.search(r"^101 characters · [\d,]+ a second · ", browser.text("#figures"))


def test_it_stops_and_goes_on_where_it_was(browser: Browser, net: Network) -> None:
    browser.clear("#length")
    browser.type("#length", "90000")
    browser.click("#write")
    browser.wait(f"{IS_WRITING} && document.getElementById('text').textContent.length > 100")
    assert browser.run("return document.querySelector('#bars button').ariaDisabled") == "true"
    browser.click("#go")
    browser.wait(IS_IDLE)
    written = text_of(browser)
    assert 100 < len(written) < 90_000
    assert "stopped: " in browser.text("#status")
    before = shown_count(browser)
    browser.clear("#length")
    browser.type("#length", "200")
    browser.click("#go")
    browser.wait(IS_IDLE)
    longer = text_of(browser)
    assert longer.startswith(written)
    assert shown_count(browser) == before + 200
    whole = generated(net, b"\n\n", before + 198, seed=1)
    assert longer.rstrip("\n") == whole.rstrip("\n")
    assert "done: " in browser.text("#status")


def test_another_seed_and_the_same_again(browser: Browser) -> None:
    first = write(browser, 200)
    browser.click("#new-seed")
    browser.wait(IS_IDLE)
    seed = browser.run("return document.getElementById('seed').value")
    assert seed != "1"
    assert text_of(browser) != first
    assert write(browser, 200, seed="1") == first


def test_a_bar_is_chosen(browser: Browser, net: Network) -> None:
    browser.type("#prompt", "ab")
    browser.wait("document.getElementById('text').textContent === 'ab'")
    browser.wait(IS_IDLE)
    assert_bars(browser, net, b"ab", 0.7)
    chosen = bars(browser)[2]
    browser.click("#bars li:nth-child(3) button")
    browser.wait(IS_IDLE)
    text = b"ab" + chosen[0]
    assert_bars(browser, net, text, 0.7)
    assert focused_bar(browser) == bars(browser)[2][0]  # the focus stays in its place
    assert f"wrote {chosen[1]}" == browser.text("#status")
    set_value(browser, "#temperature", "1.5")
    assert_bars(browser, net, text, 1.5)
    assert "1.50" in browser.text("#odds-note")
    browser.clear("#top-k")
    browser.type("#top-k", "2")
    assert len(bars(browser)) == 2
    # What is written then is what `generate` draws after that text, from the first draw on.
    browser.clear("#length")
    browser.type("#length", "50")
    browser.click("#go")
    browser.wait(IS_IDLE)
    assert text_of(browser) == generated(net, text, 50, seed=1, temperature=1.5, top_k=2)


def test_characters_of_several_bytes(window: Browser, tmp_path: Path) -> None:
    """Written as bytes they are shown whole, and the bars choose whole ones."""
    net = writes("abcé\n")
    (path,) = dn.export(net, tmp_path / "accents.html")
    open_page(window, path)
    assert write(window, 300, "é") == generated(net, "é".encode(), 300, seed=1)
    write(window, 20, "ab")
    set_value(window, "#temperature", "2")
    while "é" not in (names := [name for _, name, _ in bars(window)]):
        window.click("#bars li:nth-child(1) button")
    place = names.index("é")
    assert bars(window)[place][0] == "é".encode()
    window.click(f"#bars li:nth-child({place + 1}) button")
    window.wait("document.getElementById('text').textContent.endsWith('é')")
    assert window.text("#status") == "wrote é"


def test_wrong_fields_are_named(browser: Browser) -> None:
    for field, value, words in [
        *[("seed", "-1", "Seed must be a whole number from 0 to 4294967295")],
        *[("seed", "4294967296", "Seed must be"), ("seed", "", "Seed must be")],
        *[("length", "0", "Length must be"), ("length", "1.5", "Length must be")],
        *[("top-k", "-2", "Top k must be a whole number from 0 on")],
    ]:
        before = browser.run(f"return document.getElementById('{field}').value")
        browser.clear(f"#{field}")
        browser.type(f"#{field}", value)
        browser.run("document.getElementById('controls').noValidate = true")
        browser.click("#write")
        assert words in browser.text("#trouble"), value
        assert browser.run(f"return document.getElementById('{field}').matches(':invalid')")
        browser.clear(f"#{field}")
        browser.type(f"#{field}", before)
    browser.click("#write")
    browser.wait(IS_IDLE)
    assert browser.run("return document.getElementById('trouble').hidden")


# --- what is shown -------------------------------------------------------------------------------


def colors(browser: Browser) -> list[tuple[str, str, str]]:
    """Class, level and text of each span, with the newlines that the ends of blocks stand for."""
    found = browser.run(
        "return Array.from(document.querySelectorAll('#text span'), (e) => [e.className,"
        "e.style.getPropertyValue('--level'), e.textContent"
        "+ (!e.nextSibling && e.parentElement.nextSibling ? '\\n' : '')])"
    )
    return [(kind, level, text) for kind, level, text in found]


def test_colors_by_surprise(browser: Browser, net: Network) -> None:
    text = write(browser, 120, "ab", seed="5").encode()
    symbols = np.frombuffer(text, np.uint8)[:, None]
    losses, _ = net.losses(symbols[:-1], symbols[1:], net.initial_state(1))
    bits = [0.0, *(losses[:, 0] / np.log(2))]
    place = 0
    for kind, level, shown in colors(browser):
        size = len(shown.encode())
        piece = len(shown[0].encode())
        expected = round(12 * min(1, sum(bits[place : place + piece]) / 6))
        assert ("hot" in kind) == (expected > 0)
        assert float(level or 0) == pytest.approx(expected / 12, abs=0.01)
        assert ("prompt" in kind) == (place < 2)
        place += size
    mean = float(np.sum(losses)) / (len(text.decode()) - 1)
    assert f"{mean:.2f} nats a character" in browser.text("#figures")
    assert browser.text("#scale-high") == "4.2 nats and more"
    browser.run("document.getElementById('surprises').open = true")
    top = browser.text("#surprises-rows td")
    assert float(top) == pytest.approx(max(bits) * np.log(2), abs=1.05)  # of whole characters
    browser.type("#measure", "bits")
    browser.wait("document.getElementById('scale-high').textContent === '6 bits and more'")
    assert f"{mean / np.log(2):.2f} bits a character" in browser.text("#figures")
    assert float(browser.text("#surprises-rows td")) == pytest.approx(
        float(top) / np.log(2), abs=0.13
    )


def test_colors_by_unit(browser: Browser, net: Network) -> None:
    text = write(browser, 300, "ab", seed="5").encode()
    set_value(browser, "#color", "unit")
    browser.wait("document.querySelectorAll('#slow button').length > 0")
    browser.type("#layer", "0: gru")
    browser.clear("#unit")
    browser.type("#unit", "7")
    browser.wait("document.querySelectorAll('#text .cold').length > 0")
    symbols = np.frombuffer(text, np.uint8)[:, None]
    outputs, _ = net.forward(symbols, net.initial_state(1), count=1)
    unit = outputs[:, 0, 7]
    low, high = (float(browser.text(f"#unit-{end}")) for end in ("low", "high"))
    reach = (high - low) / 2
    assert (low + high) / 2 == pytest.approx(unit.mean(), abs=0.011)
    place = 0
    for kind, level, shown in colors(browser):
        place += len(shown.encode())
        shade = (unit[place - 1] - unit.mean()) / reach
        # Twelve levels, and a mean that is shown with two decimals.
        assert float(level or 0) == pytest.approx(min(1, abs(shade)), abs=1 / 24 + 0.02 / reach)
        if level:
            assert ("hot" if shade > 0 else "cold") in kind
    browser.click("#slow button:nth-of-type(2)")
    slow = browser.text("#slow button:nth-of-type(2)")
    assert browser.run("return document.getElementById('unit').value") == slow
    # Colors go on while it writes.
    browser.click("#go")
    browser.wait(IS_IDLE)
    assert sum(len(shown) for _, _, shown in colors(browser)) > 590
    set_value(browser, "#color", "nothing")
    browser.wait("document.querySelectorAll('#text .hot, #text .cold').length === 0")


# --- keyboard, names, widths ---------------------------------------------------------------------


def test_all_of_it_by_keyboard(browser: Browser) -> None:
    order = ["prompt", "temperature", "top-k", "top-p", "length", "seed", "new-seed"]
    order += ["write", "go"]
    for name in order:
        browser.press("Tab")
        assert browser.focused() == name
        visible = browser.run(
            "const s = getComputedStyle(document.activeElement); return s.outlineStyle"
        )
        assert visible == "solid", name
        if name == "temperature":
            browser.press("Right")
            assert browser.text("#temperature-shown") == "0.75"
        if name == "length":
            browser.press("Control", "a")
            for digit in "90000":
                browser.press(digit)
    browser.press("Shift", "Tab")
    browser.press("Enter")  # Write
    browser.wait(f"{IS_WRITING} && document.getElementById('text').textContent.length > 50")
    browser.press("Escape")
    browser.wait(IS_IDLE)
    assert "stopped: " in browser.text("#status")
    written = text_of(browser)
    browser.press("Tab")
    browser.press("Space")  # Continue
    browser.wait(f"document.getElementById('text').textContent.length > {len(written)}")
    browser.press("Space")  # Stop
    browser.wait(IS_IDLE)
    assert len(text_of(browser)) < 90_000
    assert text_of(browser).startswith(written)
    for name in ("copy", "link", "color"):
        browser.press("Tab")
        assert browser.focused() == name
    browser.press("Down")
    assert browser.run("return document.activeElement.value") == "unit"
    browser.press("Up")
    browser.press("Tab")
    assert browser.focused() == "measure"
    browser.press("Tab")
    assert browser.focused() == "text"
    browser.press("Tab")  # the greatest surprises
    browser.press("Enter")
    assert browser.run("return document.getElementById('surprises').open")
    browser.press("Tab")
    chosen = bars(browser)[0][0]
    assert focused_bar(browser) == chosen
    before = browser.run("return document.getElementById('text').textContent.length")
    browser.press("Enter")
    browser.wait(IS_IDLE)
    assert browser.run("return document.getElementById('text').textContent.length") >= before
    browser.run("document.getElementById('prompt').focus()")
    browser.press("x")
    browser.press("Control", "Enter")
    browser.wait("document.getElementById('text').textContent.startsWith('x')")


def test_everything_has_a_name(browser: Browser) -> None:
    """What a screen reader is given: no control without a name, no two elements of one id."""
    write(browser, 100)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    controls = ("button", "slider", "spinbutton", "textbox", "combobox")
    found = [node for node in nodes if node.get("role", {}).get("value") in controls]
    names = [str(node.get("name", {}).get("value", "")).strip() for node in found]
    assert all(names)
    assert len(names) >= 20
    for words in ("Prompt", "Temperature", "Top k", "Seed", "Length", "New seed", "Color by"):
        assert any(name.startswith(words) for name in names), words
    assert any(re.fullmatch(r".+: [\d.]+ %", name) for name in names)
    twice = browser.run(
        "const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id);"
        "return ids.filter((id, place) => ids.indexOf(id) !== place)"
    )
    assert twice == []
    levels = browser.run(
        "return Array.from(document.querySelectorAll('h1,h2,h3'), (e) => e.tagName)"
    )
    assert levels == ["H1", "H2", "H2", "H2"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_width_and_both_schemes(browser: Browser, scheme: str) -> None:
    """Nothing is wider than the page, and all text stands out from what is below it.

    With PAGE_PICTURES set, pictures of them go to that folder.
    """
    browser.prefer(scheme)
    write(browser, 600, "a long word: " + "x" * 200)
    for mode in ("surprise", "unit"):
        set_value(browser, "#color", mode)
        for width, height in WIDTHS:
            browser.resize(width, height)
            browser.wait("document.querySelectorAll('#text .hot').length > 0")
            assert browser.run("return document.documentElement.scrollWidth") <= width
            small = browser.run(
                "return Array.from(document.querySelectorAll('button, input, select, textarea'))"
                ".filter((e) => e.offsetParent && e.type !== 'range')"
                ".map((e) => e.getBoundingClientRect().height).filter((h) => h < 24)"
            )
            assert small == []
            assert browser.run(CONTRASTS) == []
            if folder := os.environ.get("PAGE_PICTURES"):
                picture = Path(folder) / f"{scheme}-{mode}-{width}.png"
                picture.write_bytes(browser.picture())


# Texts whose contrast with what is behind them is below 4.5 to 1, as WCAG 2 measures it.
CONTRASTS = """
const numbers = (color) => (color.match(/[0-9.]+/g) || []).map(Number);
function over([r, g, b, a = 1], below) {
  return [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
}
function behind(element) {
  if (!element) return [255, 255, 255];
  return over(numbers(getComputedStyle(element).backgroundColor), behind(element.parentElement));
}
function light(color) {
  const [r, g, b] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
const faint = [];
for (const element of document.querySelectorAll("#writer *, header *")) {
  const own = Array.from(element.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !element.offsetParent || element.disabled) continue;
  const below = behind(element);
  const lights = [light(over(numbers(getComputedStyle(element).color), below)), light(below)];
  const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
  if (ratio < 4.5) faint.push([element.textContent.slice(0, 40), ratio]);
}
return faint;
"""


# --- size and speed ------------------------------------------------------------------------------


def test_nothing_freezes_and_a_text_has_an_end(window: Browser, tmp_path: Path) -> None:
    """A network of 3 MB writes while the page answers; the room for a text is bounded."""
    large = randomized(
        make_network(
            BYTES,
            "[gru] output=256 tanh=1",
            "[gru] output=256 tanh=1",
            LAST,
            "[softmax]",
            dtype=np.float32,
        )
    )
    (path,) = dn.export(large, tmp_path / "large.html")
    open_page(window, path)
    window.clear("#length")
    window.type("#length", "100000")
    window.click("#write")
    window.wait("document.getElementById('text').textContent.length > 300")
    window.click("#go")
    window.wait(IS_IDLE)
    assert "stopped: " in window.text("#status")
    count = window.run("return document.getElementById('text').textContent.length")
    assert 300 < count < 50_000
    wide = make_network(
        "[net] inputs=40000 batch=1 time_steps=1 tokenized=1",
        *("[connected] output=4", "[connected] output=40000 activation=linear", "[softmax]"),
    )
    (path,) = dn.export(wide, tmp_path / "wide.html")
    open_page(window, path)
    room = (1 << 25) // 40000
    write(window, 2000)
    assert window.run("return document.getElementById('go').disabled")
    assert "no room for more" in window.text("#status")
    assert int(window.text("#figures").split()[0].replace(",", "")) <= room


def test_a_network_of_tokens(window: Browser, tmp_path: Path) -> None:
    names = ["the", "cat", "\n", "New York", "sat"]
    (tmp_path / "names").write_text("the\ncat\n<NEWLINE>\nNew York\nsat\n")
    net = make_network(
        "[net] inputs=5 batch=1 time_steps=1 tokenized=1",
        *("[rnn] output=6 activation=tanh", "[connected] output=5 activation=linear", "[softmax]"),
    )
    (path,) = dn.export(net, tmp_path / "page.html", tokens=tmp_path / "names")
    open_page(window, path)
    text = write(window, 40, "the New York 4")
    drawn = [0, 3, 4, *dn.generate(net, [0, 3, 4], 40, seed=1)]
    assert text == "".join(f"{names[token]} " for token in drawn)
    assert {name for _, name, _ in bars(window)} <= {*names, "line break"}
    assert " tokens · " in window.text("#figures")
    window.type("#prompt", " dog")
    window.click("#write")
    assert "“dog”" in window.text("#trouble")


def test_a_damaged_page_says_so(window: Browser, page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(re.sub(r'id="numbers">.{4000}', 'id="numbers">', text), encoding="utf-8")
    window.open(broken)
    window.wait("document.getElementById('loading').textContent.startsWith('This page is damaged')")


# --- links and copies ----------------------------------------------------------------------------


def test_a_link_writes_the_same_text_again(browser: Browser) -> None:
    found = write(browser, 200, "the ", seed="7", **{"top-p": "0.9"})
    browser.click("#link")
    browser.wait("location.hash.includes('seed=7')")
    address = browser.run("return location.href")
    assert "top-p=0.9" in address
    assert "prompt=the+" in address
    browser.wait("document.getElementById('figures').textContent.startsWith('copied')")
    browser.wait("document.getElementById('figures').textContent.includes(' a character')")
    assert text_of(browser) == found
    # Into the page that is open, and into a new one.
    write(browser, 20, "other ")
    browser.run("location.hash = ''")
    for way in ("location.hash = arguments[0]", "location.reload()"):
        browser.run(way, address.partition("#")[2])
        browser.wait("document.getElementById('prompt').value === 'the '")
        browser.wait("performance.getEntriesByName('ready').length === 1")
        browser.wait(IS_IDLE)
        assert text_of(browser) == found


def test_a_phone_shows_the_text_and_one_row_of_buttons(browser: Browser) -> None:
    browser.resize(400, 800)
    write(browser, 600, "a ")
    top, bottom, *buttons = browser.run(
        "const box = (e) => e.getBoundingClientRect();"
        "const text = box(document.getElementById('text'));"
        "const buttons = document.querySelectorAll('#actions button');"
        "return [text.top, text.bottom, ...Array.from(buttons, (e) => box(e).top)]"
    )
    assert len(set(buttons)) == 1
    assert 44 <= top < bottom <= 800
    assert bottom - top >= 400
    browser.resize(1000, 800)
    label, legend = browser.run(
        "return ['.coloring label', '.coloring .legend'].map((name) => {"
        "const { top, bottom } = document.querySelector(name).getBoundingClientRect();"
        "return (top + bottom) / 2;})"
    )
    assert abs(label - legend) < 4
