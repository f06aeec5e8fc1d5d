"""Writes the small images of formats that Go's libraries cannot write, by Pillow."""
from PIL import Image

Image.new("CMYK", (16, 16), (255, 0, 51, 0)).save("cmyk.jpg", quality=95)
Image.new("RGB", (16, 16), (200, 30, 60)).save("lossy.webp", quality=95)
half = Image.new("RGBA", (16, 16), (200, 30, 60, 255))
half.paste((200, 30, 60, 0), (0, 0, 8, 16))
half.save("transparent.webp", quality=95)
Image.new("LA", (16, 16), (90, 128)).save("grey-alpha.png")
