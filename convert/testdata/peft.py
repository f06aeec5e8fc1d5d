# Computes in PyTorch the logits of a GPT-2 in Hugging Face's layout with LoRA in
# PEFT's beside it. PEFT itself is in no registry that tests may use, so what it
# does is spelled here: which modules have adapters, and their forward pass.
# Reads {"dir": ..., "ids": [...]} from standard input and prints the logits.
import json
import os
import re
import struct
import sys

import torch
import torch.nn.functional as F


def tensors(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(bytearray(data[slice(*t["data_offsets"])]), dtype=torch.float32).reshape(t["shape"])
        for name, t in header.items()
    }


def load(path):
    with open(path) as f:
        return json.load(f)


question = json.load(sys.stdin)
folder = question["dir"]
config, lora = load(os.path.join(folder, "config.json")), load(os.path.join(folder, "adapter_config.json"))
w, adapter = tensors(os.path.join(folder, "model.safetensors")), tensors(os.path.join(folder, "adapter_model.safetensors"))
assert lora["peft_type"] == "LORA" and lora["task_type"] == "CAUSAL_LM" and lora["bias"] == "none" and lora["fan_in_fan_out"]


def adapted(path):
    """Whether PEFT puts an adapter at the module of this path."""
    layers = lora.get("layers_to_transform")
    if layers and int(re.match(r".*?\.[^.]*\.(\d+)\.", path).group(1)) not in layers:
        return False
    return any(path == t or path.endswith("." + t) for t in lora["target_modules"])


def conv1d(x, name):
    y = x @ w[name + ".weight"] + w[name + ".bias"]
    path = "transformer." + name
    if adapted(path):
        a, b = (adapter.pop("base_model.model.%s.lora_%s.weight" % (path, s)) for s in "AB")
        assert a.shape[0] == b.shape[1] == lora["r"]
        y = y + F.linear(F.linear(x, a), b) * (lora["lora_alpha"] / lora["r"])
    return y


def norm(x, name):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], config["layer_norm_epsilon"])


def gelu(x):
    assert config["activation_function"] == "gelu_new"
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


ids = torch.tensor(question["ids"])
T, H = len(ids), config["n_head"]
x = w["wte.weight"][ids] + w["wpe.weight"][:T]
mask = torch.full((T, T), float("-inf")).triu(1)
for n in range(config["n_layer"]):
    h = "h.%d." % n
    q, k, v = (s.view(T, H, -1).transpose(0, 1) for s in conv1d(norm(x, h + "ln_1"), h + "attn.c_attn").split(config["n_embd"], 1))
    weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + mask, -1)
    x = x + conv1d((weights @ v).transpose(0, 1).reshape(T, -1), h + "attn.c_proj")
    x = x + conv1d(gelu(conv1d(norm(x, h + "ln_2"), h + "mlp.c_fc")), h + "mlp.c_proj")
assert not adapter, "adapters of no module: %s" % sorted(adapter)
json.dump((norm(x, "ln_f") @ w["wte.weight"].T).flatten().tolist(), sys.stdout)
