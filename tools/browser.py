"""A real browser, driven through the WebDriver protocol, which is plain HTTP and JSON."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVERS = ("chromedriver", "chromium.chromedriver")
BROWSERS = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "chrome")
PATIENCE = 60  # seconds until something that is waited for counts as missing
PAUSE = 0.02  # seconds between looks at what is waited for
# What an element is called in the protocol.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "Space": " "} | {
    "Left": "\ue012",
    "Up": "\ue013",
    "Right": "\ue014",
    "Down": "\ue015",
    "Shift": "\ue008",
    "Control": "\ue009",
}


def _found(names: tuple[str, ...]) -> str | None:
    return next((path for path in map(shutil.which, names) if path), None)


def missing() -> str:
    """Why no browser can be driven here; empty if one can."""
    if _found(BROWSERS) is None:
        return "no browser is installed (Chromium or Google Chrome)"
    if _found(DRIVERS) is None:
        return "no chromedriver is installed"
    return ""


class Browser:
    """One window of a browser. Every method raises AssertionError with what the browser says."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = ""
        options = {
            "binary": _found(BROWSERS),
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"],
        }
        wanted = {"alwaysMatch": {"goog:chromeOptions": options}}
        self._session = self._ask("POST", "/session", {"capabilities": wanted})["sessionId"]

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        prefix = f"/session/{self._session}" if self._session else ""
        request = urllib.request.Request(
            f"{self._address}{prefix}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise AssertionError(f"{path}: {said['error']}: {said['message']}") from None

    def open(self, path: Path) -> None:
        """Open a file."""
        self._ask("POST", "/url", {"url": path.resolve().as_uri()})

    def close(self) -> None:
        self._ask("DELETE", "")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def command(self, name: str, **arguments: Any) -> Any:
        """A command of the browser's own protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": arguments})

    def resize(self, width: int, height: int) -> None:
        """Make the page so large, whatever the window."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`, as a user prefers it."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def find(self, selector: str) -> str:
        """The one element of a CSS selector, as other methods take it."""
        found = self._ask("POST", "/elements", {"using": "css selector", "value": selector})
        assert len(found) == 1, f"{len(found)} elements {selector}"
        return str(found[0][ELEMENT])

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Put the text at the end of what the element has."""
        self._ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def clear(self, selector: str) -> None:
        self._ask("POST", f"/element/{self.find(selector)}/clear", {})

    def press(self, *names: str) -> None:
        """Press keys together, the first of them first, wherever the focus is."""
        keys = [KEYS.get(name, name) for name in names]
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._ask("POST", "/actions", {"actions": [keyboard]})

    def text(self, selector: str) -> str:
        """The text of an element as it is in the page, even if it is hidden."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def focused(self) -> str:
        """The id of the element that has the focus, or its class."""
        return str(
            self.run("const e = document.activeElement; return e.id || e.value || e.tagName")
        )

    def picture(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self._ask("GET", "/screenshot"))

    def wait(self, condition: str, *arguments: Any) -> None:
        """Until an expression of JavaScript is true."""
        self.wait_for(lambda: bool(self.run(f"return {condition}", *arguments)), condition)

    def wait_for(self, condition: Callable[[], bool], name: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited {PATIENCE} s for: {name}"
            time.sleep(PAUSE)


@contextmanager
def driver() -> Iterator[str]:
    """The address of a driver that runs meanwhile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = _found(DRIVERS)
    assert program
    with subprocess.Popen(
        [program, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + PATIENCE
            while not _answers(address):
                assert process.poll() is None, "the driver ended"
                assert time.monotonic() < end, "the driver does not answer"
                time.sleep(PAUSE)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/status", timeout=PATIENCE) as answer:
            return bool(json.load(answer)["value"]["ready"])
    except OSError:
        return False


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser, closed at the end."""
    # A proxy of the environment is not meant for this machine.
    os.environ.setdefault("no_proxy", "127.0.0.1,localhost")
    with driver() as address:
        browser = Browser(address)
        try:
            yield browser
        finally:
            browser.close()
