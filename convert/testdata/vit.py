"""Computes in PyTorch what Hugging Face's ViTForImageClassification does with a
folder: from config.json and model.safetensors, float32 or float16.

Asked on standard input: {"dir", "pixels": (B,3,I,I) flat, "images": B}. Answers
{"logits": flat}.
"""
import json
import os
import struct
import sys

import torch
import torch.nn.functional as F

TYPES = {"F32": torch.float32, "F16": torch.float16}


def tensors(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(bytearray(data[slice(*t["data_offsets"])]), dtype=TYPES[t["dtype"]]).reshape(t["shape"]).float()
        for name, t in header.items()
    }


def main():
    q = json.load(sys.stdin)
    with open(os.path.join(q["dir"], "config.json")) as f:
        c = json.load(f)
    assert c["architectures"] == ["ViTForImageClassification"] and c["model_type"] == "vit"
    w, C, H, eps = tensors(os.path.join(q["dir"], "model.safetensors")), c["hidden_size"], c["num_attention_heads"], c["layer_norm_eps"]
    gelu = {"gelu": F.gelu, "gelu_pytorch_tanh": lambda x: 0.5 * x * (1 + torch.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))}[c["hidden_act"]]

    def linear(x, name):
        return F.linear(x, w[name + ".weight"], w[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], eps)

    B, size = q["images"], c["image_size"]
    x = torch.tensor(q["pixels"]).reshape(B, 3, size, size)
    patch = "vit.embeddings.patch_embeddings.projection"
    x = F.conv2d(x, w[patch + ".weight"], w[patch + ".bias"], stride=c["patch_size"]).flatten(2).transpose(1, 2)
    x = torch.cat([w["vit.embeddings.cls_token"].expand(B, -1, -1), x], 1) + w["vit.embeddings.position_embeddings"]
    for n in range(c["num_hidden_layers"]):
        layer = f"vit.encoder.layer.{n}."
        a = norm(x, layer + "layernorm_before")
        query, key, value = (linear(a, f"{layer}attention.attention.{s}").view(B, -1, H, C // H).transpose(1, 2) for s in ("query", "key", "value"))
        a = torch.softmax(query @ key.transpose(2, 3) / (C // H) ** 0.5, -1) @ value
        x = x + linear(a.transpose(1, 2).reshape(B, -1, C), layer + "attention.output.dense")
        x = x + linear(gelu(linear(norm(x, layer + "layernorm_after"), layer + "intermediate.dense")), layer + "output.dense")
    x = linear(norm(x, "vit.layernorm")[:, 0], "classifier")
    assert len(c["id2label"]) == x.shape[1]
    json.dump({"logits": x.flatten().tolist()}, sys.stdout)


main()
