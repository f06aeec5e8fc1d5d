"""Writes randaugment.txt: the operations of torchvision's RandAugment on PIL images, by Pillow.

Each line: operation, magnitude (0 to 30), sign, side of the image, CRC-32 of the planes (3,S,S) of the result.
The matrices, ranges and calls are those of torchvision.transforms (autoaugment.py, functional.py, functional_pil.py).
"""
import math
import zlib

import PIL
import torch
from PIL import Image, ImageEnhance, ImageOps

BINS = 31


def image(size):
    n = size * size
    planes = [bytes(40 + (i * i * 7 + i * (13 + c) + (i >> 3)) % (160 + 20 * c) for i in range(n)) for c in range(3)]
    return Image.merge("RGB", [Image.frombytes("L", (size, size), p) for p in planes])


def affine(img, matrix):
    return img.transform(img.size, Image.AFFINE, matrix, Image.NEAREST, fillcolor=None)


def inverse(center, translate, shear):  # torchvision's _get_inverse_affine_matrix with angle 0 and scale 1
    sx, sy = (math.radians(math.degrees(math.atan(s))) for s in shear)
    (cx, cy), (tx, ty) = center, translate
    a, b = math.cos(-sy) / math.cos(sy), -math.cos(-sy) * math.tan(sx) / math.cos(sy)
    c, d = math.sin(-sy) / math.cos(sy), -math.sin(-sy) * math.tan(sx) / math.cos(sy) + 1
    m = [d, -b, 0.0, -c, a, 0.0]
    m[2] += m[0] * (-cx - tx) + m[1] * (-cy - ty) + cx
    m[5] += m[3] * (-cx - tx) + m[4] * (-cy - ty) + cy
    return m


def ops(size):
    line = lambda a, b: torch.linspace(a, b, BINS)
    middle = (size * 0.5, size * 0.5)
    bits = 8 - (torch.arange(BINS) / ((BINS - 1) / 4)).round().int()
    return {
        "identity": (None, False, lambda i, m: i),
        "shear_x": (line(0.0, 0.3), True, lambda i, m: affine(i, inverse((0, 0), (0, 0), (m, 0.0)))),
        "shear_y": (line(0.0, 0.3), True, lambda i, m: affine(i, inverse((0, 0), (0, 0), (0.0, m)))),
        "translate_x": (line(0.0, 150.0 / 331.0 * size), True, lambda i, m: affine(i, inverse(middle, (int(m), 0), (0.0, 0.0)))),
        "translate_y": (line(0.0, 150.0 / 331.0 * size), True, lambda i, m: affine(i, inverse(middle, (0, int(m)), (0.0, 0.0)))),
        "rotate": (line(0.0, 30.0), True, lambda i, m: i.rotate(m, Image.NEAREST)),
        "brightness": (line(0.0, 0.9), True, lambda i, m: ImageEnhance.Brightness(i).enhance(1.0 + m)),
        "color": (line(0.0, 0.9), True, lambda i, m: ImageEnhance.Color(i).enhance(1.0 + m)),
        "contrast": (line(0.0, 0.9), True, lambda i, m: ImageEnhance.Contrast(i).enhance(1.0 + m)),
        "sharpness": (line(0.0, 0.9), True, lambda i, m: ImageEnhance.Sharpness(i).enhance(1.0 + m)),
        "posterize": (bits, False, lambda i, m: ImageOps.posterize(i, int(m))),
        "solarize": (line(255.0, 0.0), False, lambda i, m: ImageOps.solarize(i, m)),
        "autocontrast": (None, False, lambda i, m: ImageOps.autocontrast(i)),
        "equalize": (None, False, lambda i, m: ImageOps.equalize(i)),
    }


with open("randaugment.txt", "w") as out:
    out.write(f"# by randaugment.py with Pillow {PIL.__version__} and PyTorch {torch.__version__}\n")
    for size in (32, 45):
        img = image(size)
        for name, (magnitudes, signed, op) in ops(size).items():
            for k in range(BINS) if magnitudes is not None else [9]:
                m = float(magnitudes[k].item()) if magnitudes is not None else 0.0
                for sign in (1, -1) if signed else (1,):
                    planes = b"".join(p.tobytes() for p in op(img, sign * m).split())
                    out.write(f"{name} {k} {sign} {size} {zlib.crc32(planes):08x}\n")
