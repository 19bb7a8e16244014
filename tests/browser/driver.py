"""A JupyterLab on loopback, driven through Chromium as a hand and a keyboard would.

``Lab`` starts the server, ``Page`` is a notebook in a tab, ``PanelDriver`` an instrument in it.
Latency is taken inside the page: from the moment a control's value changes on the screen to the
moment the new picture is decoded.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import BlockingKernelClient

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("REDISTILL_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (  # no sandbox: tests run as root in containers; the rest keeps Chromium off the network
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
SETTINGS = {  # of JupyterLab, by file
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension/tracker": {
        "windowingMode": "none"
    },  # all cells are in the page
}
WATCH = """
(root) => {
  if (root.redistill) return;
  const seen = root.redistill = {changes: 0, pending: null, latencies: []};
  const begun = () => { if (seen.pending === null) seen.pending = performance.now(); };
  const image = root.querySelector('img');
  const about = {subtree: true, attributes: true, attributeFilter: ['aria-valuenow']};
  for (const control of root.querySelectorAll('[class*=redistill-control-]')) {
    new MutationObserver(begun).observe(control, about);
    control.addEventListener('change', begun, true);
    control.addEventListener('click', (e) => { if (e.target.closest('button')) begun(); }, true);
  }
  new MutationObserver(() => {
    const since = seen.pending;
    seen.pending = null;
    seen.changes += 1;
    if (since !== null)
      image.decode().then(() => seen.latencies.push(performance.now() - since), () => {});
  }).observe(image, {attributes: true, attributeFilter: ['src']});
}
"""


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """JupyterLab over a copy of the notebooks, with settings and runtime files of its own."""

    def __init__(self, folder: Path, browser) -> None:
        self.folder, self._browser = folder, browser
        self.notebooks, self._log = folder / "notebooks", folder / "server.log"
        self.notebooks.mkdir(parents=True)
        reference = ROOT / "reports" / "reference"
        (folder / "reports").mkdir()
        (folder / "reports" / "reference").symlink_to(reference)
        for name, content in SETTINGS.items():
            path = folder / "config/lab/user-settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        self._port, self._token, self._pages = free_port(), "redistill", {}
        env = os.environ | {
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "config/lab/user-settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "config/lab/workspaces"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "IPYTHONDIR": str(folder / "ipython"),
        }
        env.pop("REDISTILL_PROGRESS", None)
        env.pop("REDISTILL_RUN_DIR", None)
        command = [
            sys.executable, "-m", "jupyterlab", f"--notebook-dir={self.notebooks}",
            "--ip=127.0.0.1", f"--port={self._port}", "--no-browser", "--allow-root",
            f"--IdentityProvider.token={self._token}",
        ]  # fmt: skip
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
            )
        self._await_server()

    def run_notebook(self, stem: str) -> "Page":
        """Open a notebook of the suite, run all its cells, and wait until all have run.

        The same notebook is run once and kept.  ``REDISTILL_BROWSER_TWINS=1`` takes the cells
        from the text twins (while they are being written).
        """
        if stem not in self._pages:
            path = self.notebooks / f"{stem}.ipynb"
            if os.environ.get("REDISTILL_BROWSER_TWINS") == "1":
                twin = jupytext.read(ROOT / "notebooks" / "text" / f"{stem}.py")
                nbformat.write(twin, path)
            else:
                shutil.copy(ROOT / "notebooks" / path.name, path)
            self._pages[stem] = self._open(path)
        return self._pages[stem]

    def run_cells(self, cells: list[str]) -> "Page":
        """Open a new notebook of these code cells and run them."""
        path = self.notebooks / f"cells-{len(list(self.notebooks.glob('cells-*')))}.ipynb"
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        code = [nbformat.v4.new_code_cell(text) for text in cells]
        book = nbformat.v4.new_notebook(cells=code, metadata={"kernelspec": kernel})
        nbformat.write(book, path)
        return self._open(path, limit=90)

    def log(self) -> str:
        """Return what the server, and the kernels' own logs, wrote so far."""
        return self._log.read_text()

    def close(self) -> None:
        """End the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def get(self, path: str):
        """Return the JSON that the server answers to ``path``."""
        url = f"http://127.0.0.1:{self._port}/{path}?token={self._token}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def _await_server(self) -> None:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                self.get("api/status")
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log()}")

    def _open(self, path: Path, *, limit: float = 400) -> "Page":
        url = f"http://127.0.0.1:{self._port}/lab/tree/{path.name}?token={self._token}&reset"
        page = Page(self, path, self._browser.new_page(viewport={"width": 1400, "height": 1000}))
        page.open(url)
        page.run_all(limit)
        return page

    def connection(self, path: Path) -> Path:
        """Return the connection file of the kernel of a notebook."""
        (found,) = [s for s in self.get("api/sessions") if s["path"] == path.name]
        return self.folder / "runtime" / f"kernel-{found['kernel']['id']}.json"


class Page:
    """One notebook in one tab.

    Attributes:
        tab: Playwright's page, for what is not foreseen here.
        errors: what the browser's console complained of.
    """

    def __init__(self, lab: Lab, path: Path, tab) -> None:
        self.lab, self.path, self.tab, self.errors = lab, path, tab, []
        self._client = None
        tab.set_default_timeout(20_000)
        tab.on("pageerror", lambda error: self.errors.append(f"{error}"))
        tab.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)

    def open(self, url: str) -> None:
        """Load the page and wait for the notebook and its kernel."""
        self.tab.goto(url)
        self.tab.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        bar = self.tab.locator("#jp-main-statusbar", has_text=re.compile(r"\| Idle"))
        bar.wait_for(timeout=60_000)  # before that, running cells would ask for a kernel
        self.tab.wait_for_timeout(300)

    def run_all(self, limit: float) -> None:
        """Run all cells by the menu, as a user would; wait until the last has run."""
        self.tab.locator(".lm-MenuBar-item", has_text=re.compile(r"^Run$")).click()
        self.tab.locator(".lm-Menu-item", has_text=re.compile("^Run All Cells$")).click()
        code = len([c for c in nbformat.read(self.path, 4).cells
                    if c.cell_type == "code" and c.source.strip()])  # fmt: skip
        waiting = """(n) => {
          const all = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
          const texts = all.map((p) => p.textContent);
          const error = '[data-mime-type="application/vnd.jupyter.error"]';
          if (document.querySelector('.jp-CodeCell ' + error)) return true;
          return texts.filter((t) => /\\[\\d+\\]/.test(t)).length >= n;
        }"""
        try:
            self.tab.wait_for_function(waiting, arg=code, timeout=1000 * limit)
        except Exception as error:
            self.screenshot(self.lab.folder / "stuck.png")
            raise AssertionError(f"{self.path.name} did not run to its end within {limit:g} s; "
                                 f"see {self.lab.folder / 'stuck.png'}") from error  # fmt: skip
        failed = self.tab.locator('.jp-CodeCell [data-mime-type="application/vnd.jupyter.error"]')
        if failed.count():
            raise AssertionError(f"{self.path.name}: {failed.first.inner_text()[-3000:]}")
        self.tab.wait_for_timeout(500)  # widgets of the last cell are built after it has run

    def kernel(self, expression: str):
        """Return the value of a Python expression in this notebook's kernel, through JSON."""
        if self._client is None:
            self._client = BlockingKernelClient(connection_file=str(self.lab.connection(self.path)))
            self._client.load_connection_file()
            self._client.start_channels()
            self._client.wait_for_ready(timeout=60)
        asked = {"value": f"__import__('json').dumps({expression})"}
        reply = self._client.execute("", silent=True, user_expressions=asked, reply=True)
        found = reply["content"]["user_expressions"]["value"]
        if found["status"] != "ok":
            raise AssertionError(f"{expression}: {found['ename']}: {found['evalue']}")
        return json.loads(eval(found["data"]["text/plain"], {"__builtins__": {}}))

    def panel(self, name: str) -> "PanelDriver":
        """Return the driver of the instrument of this name, scrolled into view."""
        root = self.tab.locator(f".redistill-panel-{name}").last
        root.wait_for(state="attached")
        root.scroll_into_view_if_needed()
        return PanelDriver(self, root)

    def panels(self) -> list[str]:
        """Return the names of all instruments in the notebook."""
        classes = self.tab.eval_on_selector_all(
            ".redistill-panel", "all => all.map((one) => one.className)"
        )
        return [re.search(r"redistill-panel-([\w.-]+)", one)[1] for one in classes]

    def screenshot(self, path) -> None:
        """Write what is in the window now."""
        self.tab.screenshot(path=str(path))


class PanelDriver:
    """One instrument, moved by mouse and keyboard."""

    def __init__(self, page: Page, root) -> None:
        self.page, self.root = page, root
        root.locator("img").wait_for()
        root.evaluate(WATCH)

    @property
    def latencies(self) -> list[float]:
        """Milliseconds from a control's change on the screen to the new picture, all so far."""
        return self.root.evaluate("(root) => root.redistill.latencies")

    def said(self) -> str:
        """Return the sentence under the picture."""
        return self.root.locator("[role=status]").inner_text()

    def picture(self) -> bytes:
        """Return the picture shown, PNG."""
        data = self.root.evaluate("""async (root) => {
          const blob = await (await fetch(root.querySelector('img').src)).arrayBuffer();
          return [...new Uint8Array(blob)];
        }""")
        return bytes(data)

    def controls(self) -> list[str]:
        """Return the names of all controls, as they stand."""
        classes = self.root.locator("[class*=redistill-control-]").evaluate_all(
            "all => all.map((one) => one.className)"
        )
        return [re.search(r"redistill-control-([\w.-]+)", one)[1] for one in classes]

    def control(self, name: str):
        """Return the element of a control."""
        return self.root.locator(f".redistill-control-{name}")

    def press(self, name: str, key: str, *, times: int = 1, changes: bool = True) -> None:
        """Give a control the keyboard's focus and press a key."""
        part = self.control(name).locator(".noUi-handle, select, input, button").first
        part.focus()
        for _ in range(times):
            self._moving(lambda: self.page.tab.keyboard.press(key), changes)

    def drag(self, name: str, share: float, *, steps: int = 6, changes: bool = True) -> None:
        """Drag a slider's handle with the mouse to a share of its track."""
        handle = self.control(name).locator(".noUi-handle").last
        box, track = handle.bounding_box(), self.control(name).locator(".noUi-base").bounding_box()
        mouse = self.page.tab.mouse
        y = box["y"] + box["height"] / 2

        def move() -> None:
            mouse.move(box["x"] + box["width"] / 2, y)
            mouse.down()
            mouse.move(track["x"] + share * track["width"], y, steps=steps)
            mouse.up()

        self._moving(move, changes)

    def choose(self, name: str, label: str, *, changes: bool = True) -> None:
        """Choose an entry of a dropdown."""
        part = self.control(name).locator("select")
        self._moving(lambda: part.select_option(label=label), changes)

    def click(self, name: str, label: str | None = None, *, changes: bool = True) -> None:
        """Click a checkbox or button, or the button of this label among several."""
        part = self.control(name).locator("input[type=checkbox], button")
        if label is not None:
            part = self.control(name).locator(
                "button", has_text=re.compile(f"^{re.escape(label)}$")
            )
        self._moving(lambda: part.first.click(), changes)

    def _moving(self, act, changes: bool) -> None:
        self.root.evaluate("(root) => { root.redistill.pending = null; }")  # of a move unseen
        before = self._state()
        act()
        until = time.monotonic() + (10 if changes else 0.5)
        while self._state() == before:
            if time.monotonic() > until:
                if changes:
                    raise AssertionError(f"nothing changed; it still says: {before[1]}")
                return
            self.page.tab.wait_for_timeout(100)  # asking more often would take the time it measures
        while (now := self._state()) != before:  # until it has settled
            before = now
            self.page.tab.wait_for_timeout(120)

    def _state(self) -> tuple[int, str]:
        return self.root.evaluate("(root) => root.redistill.changes"), self.said()
