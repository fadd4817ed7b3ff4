"""Opens exported pages in a real Chromium: plays, seeks, steps and searches, at 390 and 1280 pixels, light and dark, with
hostile text and with 10,000 messages.

    venv/bin/python tests/browser/export.py [target/debug/jarvis-tui] [--pictures FOLDER]

Needs what page.py needs, and says so as that does. `cargo test` doesn't run it.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from page import CHROMIUM, Keys, Page

HOSTILE = '</script><script>window.owned = 1</script><img src=x onerror="window.owned = 2"><svg onload=alert(3)>'
LOG = [
    {"type": "turn_started", "turn": "t1"},
    {"type": "user_message", "message": "u1", "text": f"Say {HOSTILE}"},
    {"type": "message_started", "message": "m1", "role": "assistant"},
    {"type": "reasoning_delta", "message": "m1", "text": f"Hm, {HOSTILE}"},
    {"type": "text_delta", "message": "m1", "text": f"# One\n\n{HOSTILE}\n\n[a](javascript:window.owned=4)"},
    {"type": "tool_call_started", "call": "c1", "message": "m1", "name": "shell"},
    {"type": "tool_call_ready", "call": "c1", "name": "shell", "args": json.dumps({"command": HOSTILE})},
    {"type": "message_finished", "message": "m1", "stop": "tool_calls"},
    {"type": "tool_output", "call": "c1", "stream": "stdout", "text": "line one\n"},
    {"type": "tool_output", "call": "c1", "stream": "stdout", "text": "line two\n"},
    {"type": "tool_call_finished", "call": "c1", "outcome": "failed", "output": {"text": f"line one\nline two\n{HOSTILE}"}},
    {"type": "message_started", "message": "m2", "role": "assistant"},
    {"type": "text_delta", "message": "m2", "text": "The first half, "},
    {"type": "text_delta", "message": "m2", "text": "the *second* half: unfindable-word."},
    {"type": "message_finished", "message": "m2", "stop": "end"},
    {"type": "turn_finished", "turn": "t1", "end": "completed"},
    {"type": "annotated", "on": "session", "kind": "mark", "data": {"seq": 13, "set": True}},
]


def write_log(path, events, step):
    header = {"format": 1, "session": path.stem, "started_at": 1_795_204_274_395, "folder": "/home/ada"}
    lines = [header] + [{"seq": n + 1, "at": n * step, "event": event} for n, event in enumerate(events)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def long_session(messages):
    for n in range(messages // 2):
        yield {"type": "turn_started", "turn": f"t{n}"}
        yield {"type": "user_message", "message": f"u{n}", "text": f"question {n}"}
        yield {"type": "message_started", "message": f"m{n}", "role": "assistant"}
        yield {"type": "text_delta", "message": f"m{n}", "text": f"## Answer {n}\n\nSome *text* with `code`, " * 4}
        yield {"type": "message_finished", "message": f"m{n}", "stop": "end"}
        yield {"type": "turn_finished", "turn": f"t{n}", "end": "completed"}


def export(program, log, folder):
    target = folder / f"{log.stem}.html"
    env = {"PATH": "/usr/bin:/bin", "JARVIS_TUI_HOME": str(folder)}
    subprocess.run([program, "export", str(log), "-o", str(target)], env=env, check=True, stdout=subprocess.DEVNULL)
    return target


def run(page, script, *args):
    return page.browser.execute_script(f"return {script}", *args)


def shown(page):
    return run(page, "[...document.querySelectorAll('#log > .item')].filter(n => !n.hidden).length")


def press(page, *keys):
    """Where no control has the focus."""
    run(page, "document.activeElement.blur()")
    for key in keys:
        page.find("body").send_keys(key)


def open_page(page, path):
    page.browser.get(path.as_uri())
    page.until("the player is there", lambda: page.find("#bar").is_displayed())


def check_player(page, path):
    open_page(page, path)
    total = len(page.all("#log > .item"))
    assert total > 5 and shown(page) == total, "all of it is there at first"
    page.check_layout()
    page.picture("top")
    press(page, "0")
    page.until("it begins anew", lambda: shown(page) < 3)
    assert page.find("#bar input[type=range]").get_attribute("aria-valuetext").startswith("0:00 of ")
    page.until("it is read out", lambda: page.text("#say").startswith("0:00 of"))
    press(page, "9")
    page.until("tenths", lambda: 3 < shown(page) <= total)
    press(page, "0", "e")
    page.until("the next error", lambda: "Call" in page.text("#say") or "No later error" in page.text("#say"))
    press(page, "0", "n")
    page.until("the next call", lambda: "Call " in page.text("#say"))
    here = run(page, "document.querySelector('#bar input[type=range]').valueAsNumber")
    press(page, Keys.ARROW_RIGHT)
    page.until("five seconds on", lambda: run(page, "document.querySelector('#bar input[type=range]').valueAsNumber") > here)
    press(page, "0", " ")
    page.until("it plays", lambda: page.find("#bar .play").get_attribute("aria-label") == "Pause")
    page.until("more and more", lambda: shown(page) >= 2)
    page.picture("playing")
    press(page, " ")
    page.until("it pauses", lambda: page.find("#bar .play").get_attribute("aria-label") == "Play")
    page.until("it says so", lambda: page.text("#say").startswith("Paused at"))
    press(page, "0", " ")
    for _ in range(8):
        press(page, "+")
    page.until("it comes to its end", lambda: shown(page) == total and not page.all(".growing"))
    page.picture("end")


def check_search(page, path, word, expected):
    open_page(page, path)
    press(page, "0", "/")
    page.until("the field has the focus", lambda: run(page, "document.activeElement.id") == "query")
    page.find("#query").send_keys(word)
    page.until("hits are counted", lambda: page.text("#hits").endswith(str(expected)))
    page.find("#query").send_keys(Keys.ENTER)
    page.until("the first is shown", lambda: page.text("#hits").startswith("1 / "))
    marked = "[...CSS.highlights.get('current-hit')].map(r => [r.toString(), r.getBoundingClientRect().height > 0, r.getBoundingClientRect().top])"
    text, is_laid_out, top = run(page, marked)[0]
    assert text.lower() == word.lower() and is_laid_out and 0 < top < run(page, "innerHeight"), (text, is_laid_out, top)
    page.picture("search")
    page.find("#query").send_keys(Keys.SHIFT + Keys.ENTER)
    page.until("backwards", lambda: page.text("#hits").startswith(f"{expected} / "))


def check_hostile(page, path):
    open_page(page, path)
    assert run(page, "window.owned") is None
    assert not page.all("#log script, #log img, #log svg") and not page.all("a[href^='javascript']")
    assert HOSTILE in page.text("#log .prompt")
    blocked = page.browser.execute_async_script(
        "const done = arguments[0]; document.addEventListener('securitypolicyviolation', e => done(e.effectiveDirective));"
        "setTimeout(() => done('nothing'), 3000); fetch('https://example.org/').catch(() => {});"
    )
    assert blocked == "connect-src", blocked
    # A text half way, its Markdown as far as it goes.
    texts = set()
    for tenth in range(10):
        press(page, str(tenth))
        texts.add(page.text("#log .answer:last-of-type"))
        texts |= {node.text for node in page.all("#log .growing .text") if node.is_displayed()}
    assert any("The first half," in text and "second" not in text for text in texts), texts
    press(page, "0")
    page.find("#bar select").send_keys("marks")
    press(page, "n")
    page.until("the mark", lambda: "Answer" in page.text("#say"))
    page.until("what is marked is shown", lambda: "unfindable-word" in page.text("#log"))


def check_long(page, path):
    started = time.monotonic()
    open_page(page, path)
    opened = time.monotonic() - started
    script = (
        "const done = arguments[0]; const slider = document.querySelector('#bar input[type=range]'); const took = [];"
        "for (const part of [0.1, 0.9, 0.5, 0.2, 0.8]) { const at = performance.now(); slider.value = slider.max * part;"
        "slider.dispatchEvent(new Event('input')); document.body.offsetHeight; took.push(performance.now() - at); } done(took)"
    )
    took = page.browser.execute_async_script(script)
    print(f"{page.name}: 10,000 messages: opened in {opened:.1f} s, seeks {', '.join(f'{ms:.0f}' for ms in took)} ms, {path.stat().st_size >> 10} KiB")


def check_print(page, path):
    open_page(page, path)
    run(page, "window.dispatchEvent(new Event('beforeprint'))")
    assert not page.all("#log details:not([open])")
    pdf = page.browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert len(pdf) > 10_000


def main():
    args = sys.argv[1:]
    pictures = None
    if "--pictures" in args:
        at = args.index("--pictures")
        pictures = pathlib.Path(args[at + 1])
        pictures.mkdir(parents=True, exist_ok=True)
        del args[at : at + 2]
    program = str(pathlib.Path(args[0] if args else "target/debug/jarvis-tui").resolve())
    demo = pathlib.Path(__file__).parents[2] / "assets/demo.jsonl"
    version = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        hostile, long = folder / "hostile.jsonl", folder / "long.jsonl"
        write_log(hostile, LOG, 700)
        write_log(long, long_session(10_000), 50)
        demo, hostile, long = (export(program, log, folder) for log in (demo, hostile, long))
        for width, height, dark in [(390, 844, False), (390, 844, True), (1280, 800, False), (1280, 800, True)]:
            page = Page(width, height, dark, pictures)
            try:
                check_player(page, demo)
                check_search(page, hostile, "unfindable-word", 1)
                check_hostile(page, hostile)
                check_print(page, hostile)
                complaints = [text for text in page.console() if "Uncaught" in text or "inline" in text]
                assert not complaints, complaints
                check_long(page, long)
            finally:
                page.browser.quit()
            print(f"{page.name}: well")
    print(f"judged: exported pages, by {version}")


if __name__ == "__main__":
    main()
