"""A headless Chromium, driven over the WebDriver protocol of its chromedriver."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from rag_pipelines_tests.client.serving import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, SPACE = "\ue004", "\ue007", " "
SHIFT = "\ue008"


class Browser:
    """One window of it."""

    def __init__(self, http: httpx.Client, session: str) -> None:
        self._http = http
        self._at = f"/session/{session}"

    def open(self, address: str) -> None:
        """Goes there and waits until it is loaded."""
        self._send("POST", "/url", {"url": address})

    def script(self, code: str, *arguments: Any) -> Any:
        """What a function body returns in the page."""
        return self._send("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def press(self, *keys: str) -> None:
        """Presses and releases keys, one after the other, wherever the focus is."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def click(self, selector: str) -> None:
        """As a mouse would: it fails where something else is in the way."""
        found = self._send("POST", "/element", {"using": "css selector", "value": selector})
        self._send("POST", f"/element/{found[ELEMENT]}/click", {})

    def text(self, selector: str) -> str:
        """What is shown there."""
        return str(self.script("return document.querySelector(arguments[0]).innerText", selector))

    def resize(self, width: int, height: int) -> None:
        """The window, in CSS pixels."""
        self._send("POST", "/window/rect", {"width": width, "height": height})

    def picture(self, path: Path) -> None:
        """What is seen, as a PNG."""
        path.write_bytes(base64.b64decode(self._send("GET", "/screenshot")))

    def wait(self, code: str, seconds: float = 20.0) -> Any:
        """Until the function body returns something true."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(RuntimeError):
                if found := self.script(code):
                    return found
            if time.monotonic() > until:
                raise TimeoutError(f"not in {seconds} s: {code}")
            time.sleep(0.05)

    def log(self) -> list[str]:
        """What the page complained of, such as what its Content-Security-Policy refused."""
        return [str(entry["message"]) for entry in self._send("POST", "/se/log", {"type": "browser"})]

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, self._at + path, json=body)
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise RuntimeError(f"{method} {path}: {value['error']}: {value['message']}")
        return value


@contextlib.contextmanager
def opened(*options: str, phone: tuple[int, int] | None = None) -> Iterator[Browser]:
    """For the length of the block; as a phone of this width and height, which no window of a desk can have."""
    with tempfile.TemporaryDirectory() as profile:
        port = free_port()
        driver = subprocess.Popen(
            [str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as http:
                yield from _session(http, profile, options, phone)
        finally:
            driver.terminate()
            driver.wait()


def _session(
    http: httpx.Client, profile: str, options: tuple[str, ...], phone: tuple[int, int] | None
) -> Iterator[Browser]:
    for _ in range(200):
        with contextlib.suppress(httpx.TransportError):
            if http.get("/status").json()["value"]["ready"]:
                break
        time.sleep(0.05)
    flags = ["--headless", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={profile}", *options]
    chrome: dict[str, Any] = {"binary": CHROMIUM, "args": flags}
    if phone is not None:
        metrics = {"width": phone[0], "height": phone[1], "pixelRatio": 1.0, "mobile": True, "touch": True}
        chrome["mobileEmulation"] = {"deviceMetrics": metrics}
    wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"browser": "ALL"}}
    made = http.post("/session", json={"capabilities": {"alwaysMatch": wanted}}).json()["value"]
    try:
        yield Browser(http, made["sessionId"])
    finally:
        http.delete(f"/session/{made['sessionId']}")
