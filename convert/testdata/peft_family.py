# Computes in PyTorch the logits of a Qwen3 in Hugging Face's layout with LoRA in PEFT's beside it: peft.py for a family.
# Reads {"dir": ..., "ids": [...]} from standard input and prints the logits.
import json
import os
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
assert lora["peft_type"] == "LORA" and lora["bias"] == "none" and not lora["fan_in_fan_out"]
H, G, D = config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]


def adapted(path):
    layers = lora.get("layers_to_transform")
    if layers and int(path.split(".")[2]) not in layers:
        return False
    return any(path.endswith("." + t) for t in lora["target_modules"])


def linear(x, path):
    y = F.linear(x, w[path + ".weight"])
    if adapted(path):
        a, b = (adapter.pop("base_model.model.%s.lora_%s.weight" % (path, s)) for s in "AB")
        assert a.shape[0] == b.shape[1] == lora["r"]
        y = y + F.linear(F.linear(x, a), b) * (lora["lora_alpha"] / lora["r"])
    return y


def rms(x, name):
    return w[name + ".weight"] * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"]))


ids = torch.tensor(question["ids"])
T = len(ids)
angle = torch.arange(T)[:, None] / config["rope_theta"] ** (torch.arange(0, D, 2) / D)
cos, sin = angle.cos(), angle.sin()


def heads(x, n, norm=None):
    x = x.view(T, n, D).transpose(0, 1)
    if norm is None:
        return x
    first, second = rms(x, norm).chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


x = w["model.embed_tokens.weight"][ids]
mask = torch.full((T, T), float("-inf")).triu(1)
for n in range(config["num_hidden_layers"]):
    h = "model.layers.%d." % n
    y = rms(x, h + "input_layernorm")
    q = heads(linear(y, h + "self_attn.q_proj"), H, h + "self_attn.q_norm")
    k = heads(linear(y, h + "self_attn.k_proj"), G, h + "self_attn.k_norm").repeat_interleave(H // G, 0)
    v = heads(linear(y, h + "self_attn.v_proj"), G).repeat_interleave(H // G, 0)
    y = torch.softmax(q @ k.transpose(1, 2) / D**0.5 + mask, -1) @ v
    x = x + linear(y.transpose(0, 1).reshape(T, H * D), h + "self_attn.o_proj")
    y = rms(x, h + "post_attention_layernorm")
    x = x + linear(F.silu(linear(y, h + "mlp.gate_proj")) * linear(y, h + "mlp.up_proj"), h + "mlp.down_proj")
assert not adapter, "adapters of no module: %s" % sorted(adapter)
json.dump((rms(x, "model.norm") @ w["model.embed_tokens.weight"].T).flatten().tolist(), sys.stdout)
