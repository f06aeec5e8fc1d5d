"""Writes a GPT-2 with random weights as a Hugging Face model folder, and computes
with it: what other software does with such a folder, in PyTorch and nothing else.

Asked on standard input: {"dir", "layers", "heads", "width", "vocab", "context",
"dtype": "float32", "float16" or "bfloat16", "shards": number of files, "prefix":
"transformer." or "", "tied", "activation": "gelu_new" or "gelu", "prompt": ids,
"steps": tokens to add}. Answers {"logits": a row for each position of the prompt,
"tokens": the likeliest continuation, "margin": the least distance, at a step, of
the two likeliest tokens' logits}.
"""
import json
import math
import os
import struct
import sys

import torch
import torch.nn.functional as F

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def weights(q):
    """Tensors by Hugging Face's names. Linear weights are Conv1D's: (in, out).
    The scale of the head spreads the logits, so that greedy choices are clear."""
    torch.manual_seed(7)
    C, V = q["width"], q["vocab"]

    def normal(std, *shape):
        return torch.randn(*shape) * std

    w = {"wte.weight": normal(0.3, V, C), "wpe.weight": normal(0.2, q["context"], C)}
    for n in range(q["layers"]):
        h = f"h.{n}."
        for name in ("ln_1", "ln_2"):
            w[h + name + ".weight"] = 1 + normal(0.2, C)
            w[h + name + ".bias"] = normal(0.1, C)
        for name, rows, cols in (("attn.c_attn", C, 3 * C), ("attn.c_proj", C, C), ("mlp.c_fc", C, 4 * C), ("mlp.c_proj", 4 * C, C)):
            w[h + name + ".weight"] = normal(1.2 / math.sqrt(rows), rows, cols)
            w[h + name + ".bias"] = normal(0.1, cols)
        # Masks, which old files hold, are no weights.
        w[h + "attn.bias"] = torch.ones(q["context"], q["context"]).tril().view(1, 1, q["context"], q["context"])
        w[h + "attn.masked_bias"] = torch.tensor(-1e4)
    w["ln_f.weight"], w["ln_f.bias"] = 1 + normal(0.2, C), normal(0.1, C)
    if not q["tied"]:
        w["lm_head.weight"] = normal(0.3, V, C)
    return {name: t.to(getattr(torch, q["dtype"])) for name, t in w.items()}


def save(path, tensors):
    """safetensors: length of the header, header, data."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, t in tensors.items():
        raw = t.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def write(q, w):
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": q["layers"], "n_head": q["heads"], "n_embd": q["width"],
              "n_positions": q["context"], "n_ctx": q["context"], "vocab_size": q["vocab"], "layer_norm_epsilon": 1e-5,
              "activation_function": q["activation"], "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "torch_dtype": q["dtype"]}
    if not q["tied"]:
        config["tie_word_embeddings"] = False
    with open(os.path.join(q["dir"], "config.json"), "w") as f:
        json.dump(config, f)
    named = {name if name.startswith("lm_head") else q["prefix"] + name: t for name, t in w.items()}
    n = q["shards"]
    if n == 1:
        save(os.path.join(q["dir"], "model.safetensors"), named)
        return
    names, index = list(named), {}
    for k in range(n):
        file = f"model-{k + 1:05}-of-{n:05}.safetensors"
        own = names[len(names) * k // n:len(names) * (k + 1) // n]
        index.update(dict.fromkeys(own, file))
        save(os.path.join(q["dir"], file), {name: named[name] for name in own})
    with open(os.path.join(q["dir"], "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": sum(t.numel() * t.element_size() for t in named.values())}, "weight_map": index}, f)


def logits(q, w, ids):
    """GPT-2 in float32: logits (T, V) of ids."""
    T, C, H = len(ids), q["width"], q["heads"]
    gelu = (lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))) if q["activation"] == "gelu_new" else F.gelu
    x = w["wte.weight"][torch.tensor(ids)] + w["wpe.weight"][:T]
    mask = torch.full((T, T), -math.inf).triu(1)
    for n in range(q["layers"]):
        h = f"h.{n}."

        def norm(x, name):
            return F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], 1e-5)

        def conv(x, name):
            return x @ w[name + ".weight"] + w[name + ".bias"]

        queries, keys, values = (t.view(T, H, C // H).transpose(0, 1) for t in conv(norm(x, h + "ln_1"), h + "attn.c_attn").split(C, dim=1))
        a = torch.softmax(queries @ keys.transpose(1, 2) / math.sqrt(C // H) + mask, dim=-1) @ values
        x = x + conv(a.transpose(0, 1).reshape(T, C), h + "attn.c_proj")
        x = x + conv(gelu(conv(norm(x, h + "ln_2"), h + "mlp.c_fc")), h + "mlp.c_proj")
    x = F.layer_norm(x, (C,), w["ln_f.weight"], w["ln_f.bias"], 1e-5)
    return x @ w["lm_head.weight" if "lm_head.weight" in w else "wte.weight"].T


def main():
    q = json.load(sys.stdin)
    torch.set_num_threads(1)
    w = weights(q)
    write(q, w)
    w = {name: t.float() for name, t in w.items()}
    ids, margin = list(q["prompt"]), math.inf
    with torch.no_grad():
        answer = {"logits": logits(q, w, ids).tolist()}
        for _ in range(q["steps"]):
            best = logits(q, w, ids)[-1].topk(2)
            margin = min(margin, float(best.values[0] - best.values[1]))
            ids.append(int(best.indices[0]))
    json.dump({**answer, "tokens": ids[len(q["prompt"]):], "margin": margin}, sys.stdout)


main()
