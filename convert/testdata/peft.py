# Computes in PyTorch the logits of a GPT-2 or a Qwen3 in Hugging Face's layout with
# LoRA in PEFT's beside it. PEFT itself is in no registry that tests may use, so what
# it does is spelled here: which modules have adapters, and their forward pass.
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
assert lora["peft_type"] == "LORA" and lora["task_type"] == "CAUSAL_LM" and lora["bias"] == "none"
ids = torch.tensor(question["ids"])
T = len(ids)
mask = torch.full((T, T), float("-inf")).triu(1)


def adapted(path):
    """Whether PEFT puts an adapter at the module of this path."""
    layers = lora.get("layers_to_transform")
    if layers and int(re.match(r".*?\.[^.]*\.(\d+)\.", path).group(1)) not in layers:
        return False
    return any(path == t or path.endswith("." + t) for t in lora["target_modules"])


def with_adapter(x, y, path):
    """y = module(x) and what the adapter of the module at this path adds."""
    if adapted(path):
        a, b = (adapter.pop("base_model.model.%s.lora_%s.weight" % (path, s)) for s in "AB")
        assert a.shape[0] == b.shape[1] == lora["r"]
        y = y + F.linear(F.linear(x, a), b) * (lora["lora_alpha"] / lora["r"])
    return y


def attention(q, k, v):
    """Heads (H, T, D) to (T, H D)."""
    weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + mask, -1)
    return (weights @ v).transpose(0, 1).reshape(T, -1)


def gpt2():
    assert lora["fan_in_fan_out"] and config["activation_function"] == "gelu_new"

    def conv1d(x, name):
        return with_adapter(x, x @ w[name + ".weight"] + w[name + ".bias"], "transformer." + name)

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], config["layer_norm_epsilon"])

    def gelu(x):
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))

    x = w["wte.weight"][ids] + w["wpe.weight"][:T]
    for n in range(config["n_layer"]):
        h = "h.%d." % n
        heads = conv1d(norm(x, h + "ln_1"), h + "attn.c_attn").split(config["n_embd"], 1)
        q, k, v = (s.view(T, config["n_head"], -1).transpose(0, 1) for s in heads)
        x = x + conv1d(attention(q, k, v), h + "attn.c_proj")
        x = x + conv1d(gelu(conv1d(norm(x, h + "ln_2"), h + "mlp.c_fc")), h + "mlp.c_proj")
    return norm(x, "ln_f") @ w["wte.weight"].T


def qwen3():
    assert not lora["fan_in_fan_out"]
    H, G, D = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]
    angle = torch.arange(T)[:, None] / config["rope_theta"] ** (torch.arange(0, D, 2) / D)
    cos, sin = angle.cos(), angle.sin()

    def linear(x, path):
        return with_adapter(x, F.linear(x, w[path + ".weight"]), path)

    def rms(x, name):
        return w[name + ".weight"] * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"]))

    def heads(x, n, norm=None):
        x = x.view(T, n, D).transpose(0, 1)
        if norm is None:
            return x
        first, second = rms(x, norm).chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    x = w["model.embed_tokens.weight"][ids]
    for n in range(config["num_hidden_layers"]):
        h = "model.layers.%d." % n
        y = rms(x, h + "input_layernorm")
        q = heads(linear(y, h + "self_attn.q_proj"), H, h + "self_attn.q_norm")
        k = heads(linear(y, h + "self_attn.k_proj"), G, h + "self_attn.k_norm").repeat_interleave(H // G, 0)
        v = heads(linear(y, h + "self_attn.v_proj"), G).repeat_interleave(H // G, 0)
        x = x + linear(attention(q, k, v), h + "self_attn.o_proj")
        y = rms(x, h + "post_attention_layernorm")
        x = x + linear(F.silu(linear(y, h + "mlp.gate_proj")) * linear(y, h + "mlp.up_proj"), h + "mlp.down_proj")
    return rms(x, "model.norm") @ w["model.embed_tokens.weight"].T


logits = {"gpt2": gpt2, "qwen3": qwen3}[config["model_type"]]()
assert not adapter, "adapters of no module: %s" % sorted(adapter)
json.dump(logits.flatten().tolist(), sys.stdout)
