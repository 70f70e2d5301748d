"""A Chromium, by its DevTools protocol."""
import atexit, base64, json, os, signal, subprocess, tempfile, time, urllib.request
from pathlib import Path

import websocket

PATIENCE = 30


class Browser:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--remote-debugging-port=0", "--remote-allow-origins=*",
                     f"--user-data-dir={self.folder.name}", "about:blank"]
        self.process = subprocess.Popen(["chromium", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        atexit.register(self.close)
        told = Path(self.folder.name) / "DevToolsActivePort"
        until(lambda: told.exists() and "\n" in told.read_text(), "Chromium's port")
        self.port = told.read_text().split("\n")[0]

    def page(self, width=1280, height=900, scheme="light"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new", method="PUT")
        target = json.load(urllib.request.urlopen(request))
        return Page(target["webSocketDebuggerUrl"], width, height, scheme)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Page:
    def __init__(self, url, width, height, scheme):
        self.socket = websocket.create_connection(url, timeout=PATIENCE)
        self.last, self.events = 0, []
        for domain in ["Page", "Network", "Runtime", "Log"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        # What a policy forbids, and what keeps the page from answering for long.
        self.call("Page.addScriptToEvaluateOnNewDocument", source="""
            window.seen = {forbidden: [], long: []};
            addEventListener('securitypolicyviolation', (e) => seen.forbidden.push(e.violatedDirective));
            new PerformanceObserver((l) => l.getEntries().forEach((e) => seen.long.push(e.duration)))
                .observe({type: 'longtask', buffered: true});
        """)

    def call(self, method, **parameters):
        self.last += 1
        self.socket.send(json.dumps({"id": self.last, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.last:
                assert "error" not in message, (method, message)
                return message["result"]
            self.events.append(message)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (script, result)
        return result["result"].get("value")

    def close(self):
        self.call("Page.close")
        self.socket.close()

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def until(self, script, what):
        return until(lambda: self.run(f"!!({script})"), what)

    def key(self, key, code=None, text=None):
        for kind in ["keyDown", "keyUp"]:
            more = {"text": text} if text and kind == "keyDown" else {}
            codes = {"Tab": 9, "Enter": 13, " ": 32}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code or key,
                      windowsVirtualKeyCode=codes.get(key, 0), **more)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def shot(self, path):
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)
        Path(path).write_bytes(base64.b64decode(image["data"]))

    def requested(self):
        """The addresses that it has asked for."""
        sent = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("about:")]

    def errors(self):
        """What the console says is wrong."""
        entries = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        thrown = [e["params"] for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        return [e for e in entries if e["level"] == "error"] + thrown


def until(look, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} does not come about"
        time.sleep(0.01)
    return found
