"""What our program said against what the model and the tools know."""

import json
import re
from dataclasses import dataclass

from model import BOOM


@dataclass
class Verdict:
    mark: str
    """`yes`, `no` or `–` where the producer has no such thing."""
    why: str = ""


def yes():
    return Verdict("yes")


def no(why):
    return Verdict("no", why)


def none(why):
    return Verdict("–", why)


def flat(text):
    return re.sub(r"\s+", " ", text).strip()


def judge_text(shown, told):
    expected = [request.text for request in told if request.text]
    if not expected:
        return no(f"the producer never asked the model; exit {shown.code}; {flat(shown.words or shown.stderr)[:200]}")
    if shown.outcome != "completed" or shown.code != 0:
        return no(f"outcome {shown.outcome}, exit {shown.code}: {flat(shown.words)[:200]}")
    if list(map(flat, shown.texts)) != list(map(flat, expected)):
        return no(f"shown {shown.texts!r}, said {expected!r}")
    return yes()


def judge_calls(shown, told, name=None, arguments=None):
    asked = next((request for request in told if request.called), None)
    if asked is None:
        return no(f"no call was asked for; exit {shown.code}; {flat(shown.words or shown.stderr)[:200]}")
    results = [text for request in told for role, text in request.history if role == "tool"]
    if not results:
        return no("the producer did not run the call")
    name, arguments = name or asked.called[0], asked.called[1] if arguments is None else arguments
    if [call["name"] for call in shown.calls] != [name]:
        return no(f"calls shown: {[call['name'] for call in shown.calls]}, asked: {[name]}")
    call = shown.calls[0]
    if not arguments_match(call["arguments"], arguments):
        return no(f"arguments shown: {call['arguments']}, asked: {arguments}")
    codes = set(re.findall(r"code-[0-9a-f]{8}", results[-1]))
    if not codes:
        return no(f"the result that the model got has no code: {results[-1][:200]}")
    if not all(code in str(call.get("output")) for code in codes):
        return no(f"the result shown is {str(call.get('output'))[:200]!r}, the model got {results[-1][:200]!r}")
    if call["status"] != "ok":
        return no(f"the call is shown as {call['status']}")
    return judge_text(shown, told)


def arguments_match(shown, asked):
    if isinstance(shown, str):
        try:
            shown = json.loads(shown)
        except ValueError:
            return False
    if callable(asked):
        return asked(shown)
    return all(shown.get(key) == value for key, value in asked.items())


def judge_usage(shown, told, keys=("input", "output", "cached")):
    usage = shown.object.get("usage") or {}
    expected = {key: sum(request.usage[key] for request in told) for key in keys}
    got = {key: usage.get(f"{key}_tokens") for key in keys}
    if not told or not shown.object.get("usage"):
        return no("no usage shown")
    if usage.get("estimated"):
        return no("the usage is only estimated")
    return yes() if got == expected else no(f"shown {got}, counted {expected}")


def judge_error(shown, told, words=BOOM):
    failed = [request for request in told if request.end == "error"]
    if not failed:
        return no(f"the model never failed; exit {shown.code}; {flat(shown.words or shown.stderr)[:200]}")
    if shown.outcome != "failed" or shown.code == 0:
        return no(f"outcome {shown.outcome}, exit {shown.code}")
    if words not in shown.words:
        return no(f"the reason is not told: {flat(shown.words)[:200]}")
    return yes()


def judge_interrupt(shown, told, keeps):
    if shown.outcome != "cancelled" or shown.code != 130:
        return no(f"outcome {shown.outcome}, exit {shown.code}: {flat(shown.words or shown.stderr)[:200]}")
    said, text = "".join(request.text for request in told), "".join(shown.texts)
    if not flat(said).startswith(flat(text)):
        return no(f"shown {text[:100]!r} is no beginning of {said[:100]!r}")
    if keeps and not text.strip():
        return no("what was said so far is not shown")
    return yes()


def judge_cancel(model, told):
    if not told:
        return no("the model was never asked")
    if model.wait(lambda: told[-1].end != "running", 8) and told[-1].end == "cut":
        return yes()
    return no("the model could go on: nobody closed its stream")


def judge_second(turns, told, prompts):
    """The second turn is shown, and the model got the first one, once, with the second prompt."""
    if len(told) < 2:
        return no(f"the model was asked {len(told)} times")
    first, last = told[0], told[-1]
    if len(turns) < 2 or not turns[-1]:
        return no(f"turns shown: {turns!r}")
    if list(map(flat, turns[-1])) != [flat(last.text)]:
        return no(f"shown {turns[-1]!r}, said {last.text!r}")
    whole = [text for _, text in last.history]
    for what, words in (
        ("first prompt", prompts[0]),
        ("first answer", flat(first.text)),
        ("second prompt", prompts[1]),
    ):
        times = sum(flat(text).count(flat(words)) for text in whole)
        if times != 1:
            return no(f"the model got the {what} {times} times")
    return yes()
