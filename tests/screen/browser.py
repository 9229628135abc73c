# SPDX-License-Identifier: MIT
"""Chromium without a window, driven through its own protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """One page. Everything of it lies in ``directory``."""

    def __init__(self, program: str, directory: Path, width: int = 1280, height: int = 760) -> None:
        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={directory}/browser", f"--window-size={width},{height}",
             "--remote-debugging-port=0", "about:blank"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        line = next(line for line in self._process.stderr if "DevTools listening on" in line)
        self._where = line.rsplit("ws://", 1)[1].split("/")[0]
        self.before = self.after = b""  # PNG of the page, before the key and when it has changed
        self.page_says = ""  # the class of the page's body

    def visit(self, url: str, key: str) -> list[str]:
        """Loads the page, presses the key when it stands still, and waits until it changes; what it complained of."""
        return asyncio.run(asyncio.wait_for(self._visit(url, key), 120))

    async def _visit(self, url: str, key: str) -> list[str]:
        complaints: list[str] = []
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{self._where}/json") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as sock:
                number = 0

                async def call(method: str, **parameters: Any) -> Any:
                    nonlocal number
                    number += 1
                    await sock.send_json({"id": number, "method": method, "params": parameters})
                    async for message in sock:
                        told = json.loads(message.data)
                        if told.get("id") == number:
                            return told.get("result")
                        if told.get("method") == "Runtime.exceptionThrown":
                            complaints.append(json.dumps(told["params"]))
                        entry = told.get("params", {}).get("entry", {})
                        if told.get("method") == "Log.entryAdded" and entry.get("level") == "error":
                            complaints.append(f"{entry.get('text')} {entry.get('url')}")

                async def picture() -> bytes:
                    shot = await call("Page.captureScreenshot", format="png")
                    return base64.b64decode(shot["data"])

                async def says(expression: str) -> str:
                    found = await call("Runtime.evaluate", expression=expression)
                    return str(found["result"].get("value"))

                for domain in ("Runtime", "Log", "Page"):
                    await call(f"{domain}.enable")
                await call("Page.navigate", url=url)
                while "-first-byte" not in (page_says := await says("document.body.className")):
                    await asyncio.sleep(0.5)
                self.page_says = page_says
                while self.before != (now := await picture()):
                    self.before = now
                    await asyncio.sleep(3.0)
                await call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key, windowsVirtualKeyCode=ord(key))
                await call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=ord(key))
                while (now := await picture()) == self.before:
                    await asyncio.sleep(0.5)
                self.after = now
        return [one for one in complaints if "favicon" not in one]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        assert self._process.stderr is not None
        self._process.stderr.close()
