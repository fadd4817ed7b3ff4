"""Drives the page of `serve` in a real Chromium: signs in, prompts, approves, loses the connection, at 390 and 1280 pixels,
light and dark.

    python3 -m venv venv && venv/bin/pip install selenium==4.51.0
    venv/bin/python tests/browser/page.py [target/debug/jarvis-tui] [--pictures FOLDER]

Needs Chromium and its driver (on Debian: chromium, chromium-driver). Without them, or without selenium, it says what is
missing and succeeds; with JUDGES=required that is a failure. `cargo test` doesn't run it.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

TOKEN = "browser-test-token-0123456789"
SECONDS = 20


def skip(why):
    print(f"judge missing: {why}")
    sys.exit(1 if os.environ.get("JUDGES") == "required" else 0)


try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    skip("selenium for Python")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not CHROMIUM or not DRIVER:
    skip("Chromium and its driver")


class Server:
    """`serve` in a folder of its own, with the embedded engine."""

    def __init__(self, program, home, port=0, args=()):
        env = {"PATH": os.environ["PATH"], "JARVIS_TUI_HOME": str(home), "PAGE_TOKEN": TOKEN}
        command = [program, "serve", "-m", "offline", "--port", str(port), "--token-env", "PAGE_TOKEN", *args]
        work = home / "work"
        work.mkdir(exist_ok=True)
        self.child = subprocess.Popen(command, env=env, cwd=work, stdout=subprocess.PIPE, text=True)
        line = self.child.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body else None)
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith("{") else text

    def stop(self, how=signal.SIGTERM):
        self.child.send_signal(how)
        self.child.wait(SECONDS)


class Proxy:
    """Between the browser and the server; can cut every connection, and take none for a while."""

    def __init__(self, port):
        self.port, self.is_cut, self.sockets = port, False, set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = None if self.is_cut else socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                server = None
            if server is None:
                client.close()
                continue
            self.sockets |= {client, server}
            for one, other in [(client, server), (server, client)]:
                threading.Thread(target=self.forward, args=(one, other), daemon=True).start()

    def forward(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.is_cut = True
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self.is_cut = False


class Page:
    def __init__(self, width, height, dark, pictures):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(options=options, service=Service(DRIVER))
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 800}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        if width < 800:
            self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        self.name = f"{width}-{'dark' if dark else 'light'}"
        self.pictures = pictures

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def until(self, what, condition):
        try:
            return WebDriverWait(self.browser, SECONDS, ignored_exceptions=(Exception,)).until(lambda _: condition())
        except Exception:
            self.picture("failed")
            raise AssertionError(f"{self.name}: {what}; the log has {self.text('#log')!r}; {self.console()}") from None

    def text(self, selector):
        return self.browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def picture(self, name):
        if self.pictures:
            self.browser.save_screenshot(str(self.pictures / f"{self.name}-{name}.png"))

    def console(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def send(self, text):
        self.find("#prompt").send_keys(text)
        self.find("#send").click()

    def check_layout(self):
        """Nothing is wider than the screen, and what is tapped is large enough."""
        wide = self.browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{self.name}: {wide} px too wide"
        small = self.browser.execute_script(
            "return [...document.querySelectorAll('button')].filter(b => b.offsetParent && b.offsetHeight < 44)"
            ".map(b => b.textContent)"
        )
        assert not small, f"{self.name}: small buttons: {small}"


def check(server, url, page):
    # A link with the token: it works, and is gone from the address at once.
    page.browser.get(f"{url}/")
    page.until("it asks for a token", lambda: page.find("#login").is_displayed())
    page.check_layout()
    page.picture("login")
    page.find("#token").send_keys("wrong" + Keys.ENTER)
    page.until("a wrong token is refused", lambda: "unknown token" in page.text("#login-problem"))
    page.browser.get(f"{url}/#token={TOKEN}")
    page.browser.refresh()
    page.until("it is signed in", lambda: page.find("#app").is_displayed())
    assert "token" not in page.browser.current_url, page.browser.current_url
    cookies = page.browser.get_cookies()
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")], cookies
    assert page.browser.execute_script("return document.cookie") == "", "scripts can't read it"

    if page.find("#toggle").is_displayed() and page.find("#toggle").get_attribute("aria-expanded") == "false":
        page.find("#toggle").click()
    page.find("#new").click()
    page.until("a session is open", lambda: page.find("#compose").is_displayed())

    # Markup in a prompt stays text, and the answer comes live.
    page.send("say <img src=x onerror=alert(1)> <b>bold</b>")
    page.until("the turn ends", lambda: "Done" in page.text("#log"))
    assert "<img src=x onerror=alert(1)>" in page.text("#log")
    assert not page.all("#log img") and not page.all("#log b")

    # A call that waits, seen and heard.
    page.send("run `echo one && echo two`")
    page.until("it asks", lambda: page.all(".ask button"))
    assert "echo one" in page.text(".ask")
    page.until("it is read out", lambda: "Decide: allow" in page.text("#alarm"))
    page.check_layout()
    page.picture("approval")
    page.find(".ask button.main").click()
    page.until("it runs", lambda: page.all('.call[data-state="ok"]') and not page.all(".ask"))
    page.until("the turn ends", lambda: page.text("#log").count("Done") == 2)
    page.until("the end is read out", lambda: "Answer finished" in page.text("#say"))
    call = page.find('.call[data-state="ok"] details summary')
    page.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", call)
    call.click()
    page.until("its output is there", lambda: "two" in page.text(".call .parts"))
    page.check_layout()
    page.picture("call")

    # Another client prompts; this page shows it.
    session = page.browser.current_url.split("session=")[1]
    server.ask("POST", f"/v1/sessions/{session}/commands", {"type": "prompt", "text": "what is 6*7?"})
    page.until("what others ask is shown", lambda: "42" in page.text("#log"))
    page.until("the turn ends", lambda: page.text("#log").count("Done") == 3)

    # By keys alone: Enter sends where there is a keyboard, Escape stops.
    if page.find("#prompt").is_displayed() and not page.browser.execute_script("return matchMedia('(pointer: coarse)').matches"):
        page.find("#prompt").send_keys("hello" + Keys.ENTER)
        page.until("Enter sends", lambda: page.text("#log").count("Done") == 4)
    page.send("show me a table, a list and code")
    page.until("the turn ends", lambda: page.find("#stop").is_displayed() or "Done" in page.text("#log").split("code")[-1])
    page.until("the turn ends", lambda: not page.find("#stop").is_displayed())
    page.picture("transcript")
    if page.find("#toggle").is_displayed():
        page.find("#toggle").click()
        covered = "document.elementFromPoint(innerWidth / 2, innerHeight * 0.8).closest('#sessions') !== null"
        page.until("the list covers the rest", lambda: page.browser.execute_script(f"return {covered}"))
    page.until("the list names the session", lambda: "bold" in page.text("#list a[aria-current] .name"))
    page.check_layout()
    page.picture("sessions")
    if page.find("#toggle").is_displayed():
        page.browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
        page.until("Escape closes the list", lambda: not page.find("#sessions").is_displayed())
    return session


def check_timeline(page):
    """Any moment of the session, and what comes meanwhile stays hidden until the end."""
    shown = "return [...document.querySelectorAll('#log > .item')].filter(n => !n.hidden).length"
    total = page.browser.execute_script(shown)
    page.find("#show-timeline").click()
    page.until("the player is there", lambda: page.find("#timeline").is_displayed())
    page.check_layout()
    page.picture("timeline")
    slider = page.find("#timeline input[type=range]")
    slider.send_keys(Keys.HOME)
    page.until("it begins anew", lambda: page.browser.execute_script(shown) < total)
    page.find("#timeline .step:last-child").click()
    page.until("the next call is told", lambda: "Call " in page.text("#say"))
    slider.send_keys(Keys.END)
    page.until("all of it is back", lambda: page.browser.execute_script(shown) >= total)
    page.find("#show-timeline").click()
    page.until("it is closed", lambda: not page.find("#timeline").is_displayed())


def check_branches(server, page):
    """Where a session has branches any of them can be shown again, by keys alone; without, nothing of it is there."""
    session = page.browser.current_url.split("session=")[1]
    commands = f"/v1/sessions/{session}/commands"
    assert not page.find("#branches").is_displayed()
    first = page.browser.execute_script("return document.querySelector('#log .user').id.split('-')[1]")
    numbers = page.browser.execute_script("return [...document.querySelectorAll('#log .note')].map(n => [n.id, n.textContent])")
    done = next(int(name.split("-")[1]) for name, text in numbers if "Done" in text and int(name.split("-")[1]) > int(first))
    server.ask("POST", commands, {"type": "branch", "after": done})
    page.until("it says that it was gone back", lambda: "is another branch" in page.text("#log"))
    page.until("there is a choice", lambda: page.find("#branches").is_displayed())
    server.ask("POST", commands, {"type": "prompt", "text": "what is 5*9?"})
    page.until("the other branch is shown", lambda: "5*9 = 45" in page.text("#log"))
    assert "6*7 = 42" not in page.text("#log"), "what is on the other branch is not shown"
    page.until("the turn ends", lambda: not page.find("#stop").is_displayed())
    options = lambda: [option.text for option in page.all("#branch option")]
    page.until("both are named", lambda: len(options()) == 2 and "5*9" in options()[1] and "shown" in options()[1])
    assert not page.find("#branches button").is_enabled(), "it is there already"
    page.check_layout()
    page.picture("branches")
    page.find("#branch").send_keys(Keys.HOME)
    page.until("one is chosen", lambda: page.find("#branches button").is_enabled())
    assert "5*9 = 45" in page.text("#log"), "nothing moves before it is said"
    page.find("#branch").send_keys(Keys.TAB)
    page.browser.switch_to.active_element.send_keys(Keys.ENTER)
    page.until("the first branch is back", lambda: "6*7 = 42" in page.text("#log") and "5*9" not in page.text("#log"))
    page.until("it is read out", lambda: "another branch" in page.text("#say"))
    page.until("it is the one that is shown", lambda: "shown" in options()[0])


def check_resume(program, home, server, page, session):
    """The server goes away in the middle and comes back: nothing is missing, nothing twice."""
    before = page.browser.execute_script("return [...document.querySelectorAll('.seq')].map(n => n.textContent)")
    server.stop(signal.SIGKILL)
    page.until("it says so", lambda: "Connection lost" in page.text("#link"))
    page.picture("lost")
    server = Server(program, home, server.port)
    # Logins live in memory: the token is asked for again.
    page.until("it asks again", lambda: page.find("#login").is_displayed())
    page.find("#token").send_keys(TOKEN + Keys.ENTER)
    page.until("it is back", lambda: page.find("#compose").is_displayed())
    page.send("what is 6*8?")
    page.until("the answer is there", lambda: "48" in page.text("#log"))
    after = page.browser.execute_script("return [...document.querySelectorAll('.seq')].map(n => n.textContent)")
    assert after[: len(before)] == before and len(set(after)) == len(after), (before, after)
    return server


def check_cut_stream(server, proxy, page):
    """A connection that breaks goes on behind the last number."""
    session = page.browser.current_url.split("session=")[1]
    before = len(page.all(".seq"))
    proxy.cut()
    page.until("it notices", lambda: "Connection lost" in page.text("#link"))
    server.ask("POST", f"/v1/sessions/{session}/commands", {"type": "prompt", "text": "what is 7*7?"})
    proxy.mend()
    page.until("what was missed is there", lambda: "49" in page.text("#log"))
    numbers = page.browser.execute_script("return [...document.querySelectorAll('.seq')].map(n => n.textContent)")
    assert len(numbers) > before and len(set(numbers)) == len(numbers), numbers


def check_links(program, home, page):
    """A link that shows one session, in a browser that knows nothing else; and one that decides one call."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    push = home / "push.py"
    push.write_text(f"import sys\nopen({str(home / 'pushed.txt')!r}, 'a').write(sys.stdin.readline())\n")
    (home / "config.toml").write_text(
        f'[server]\nread_link_lifetime = "1h"\npublic_url = "http://127.0.0.1:{port}"\n'
        f"approval_link_command = [{json.dumps(sys.executable)}, {json.dumps(str(push))}]\n"
    )
    server = Server(program, home, port)
    try:
        session = server.ask("POST", "/v1/sessions")["id"]
        server.ask("POST", "/v1/sessions")
        command = f"/v1/sessions/{session}/commands"
        server.ask("POST", command, {"type": "prompt", "text": "what is 6*7?"})
        link = server.ask("POST", f"/v1/sessions/{session}/links")
        page.browser.delete_all_cookies()
        page.browser.get(link["url"])
        page.browser.refresh()
        page.until("the session is shown", lambda: "42" in page.text("#log"))
        page.until("it says that one may watch", lambda: page.find("#watching").is_displayed())
        assert link["token"] not in page.browser.current_url
        assert not page.find("#compose").is_displayed() and not page.find("#new").is_displayed()
        assert len(page.all("#list li")) <= 1, page.text("#list")
        page.check_layout()
        page.picture("read-link")

        # Somebody else decides, and this page shows it.
        server.ask("POST", command, {"type": "prompt", "text": "run `echo one && echo two`"})
        page.until("the ask is shown", lambda: "echo one" in page.text("#asks") + page.text("#log"))
        assert not page.all(".ask button"), "a watcher decides nothing"
        pushed = home / "pushed.txt"
        page.until("a link came", lambda: pushed.exists() and pushed.read_text().endswith("\n"))
        page.picture("read-link-asks")
        page.browser.get(pushed.read_text().strip())
        page.until("it says what is asked", lambda: "echo one && echo two" in page.text("body.decision"))
        page.check_layout()
        page.picture("decision")
        page.find("button[value]").click()
        page.until("it is decided", lambda: "ecided" in page.text("h1"))
        page.check_layout()
        page.picture("decided")
        page.browser.back()
        page.browser.get(link["url"])
        page.browser.refresh()
        page.until("the call ran", lambda: "two" in page.text("#log"))
        server.ask("DELETE", f"/v1/sessions/{session}/links")
        page.browser.refresh()
        page.until("the link is over", lambda: page.find("#login").is_displayed())
    finally:
        server.stop(signal.SIGKILL)


def check_headers(server):
    with urllib.request.urlopen(urllib.request.Request(server.url + "/", headers={"Accept": "text/html"})) as answer:
        policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy

    def status(path, method="GET", **headers):
        request = urllib.request.Request(server.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code

    assert status("/v1/sessions", **{"X-Forwarded-For": "10.0.0.1"}) == 401
    assert status("/v1/sessions") == 401
    assert status("/v1/login", method="POST") == 403, "no page of ours"


def main():
    args = sys.argv[1:]
    pictures = None
    if "--pictures" in args:
        at = args.index("--pictures")
        pictures = pathlib.Path(args[at + 1])
        pictures.mkdir(parents=True, exist_ok=True)
        del args[at : at + 2]
    program = str(pathlib.Path(args[0] if args else "target/debug/jarvis-tui").resolve())
    version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout.strip()
    for width, height, dark in [(390, 844, False), (390, 844, True), (1280, 800, False), (1280, 800, True)]:
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            server = Server(program, home)
            proxy = Proxy(server.port)
            page = Page(width, height, dark, pictures)
            try:
                check_headers(server)
                session = check(server, proxy.url, page)
                check_timeline(page)
                check_branches(server, page)
                check_cut_stream(server, proxy, page)
                server = check_resume(program, home, server, page, session)
                with tempfile.TemporaryDirectory() as other:
                    check_links(program, pathlib.Path(other), page)
                complaints = [text for text in page.console() if "Content Security Policy" in text or "Uncaught" in text]
                assert not complaints, complaints
            finally:
                page.browser.quit()
                server.stop(signal.SIGKILL)
        print(f"{page.name}: well")
    print(f"judged: the page, by {version}")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    print(f"{time.monotonic() - started:.0f} s")
