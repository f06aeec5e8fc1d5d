// Writes smooth.jpg and smooth.webp, and as PNG the pixels that libjpeg-turbo (of mozjpeg) and libwebp 1.6.0 read from
// them: npm install sharp@0.35.5; node smooth.mjs
import sharp from "sharp";

const [width, height] = [17, 13];
const pixels = Buffer.alloc(width * height * 3);
for (let y = 0; y < height; y++)
  for (let x = 0; x < width; x++) {
    const at = 3 * (y * width + x);
    pixels[at] = Math.round(127 + 120 * Math.sin(x / 9 + y / 31));
    pixels[at + 1] = Math.round(127 + 120 * Math.sin(y / 11 + 1 + x / 50));
    pixels[at + 2] = Math.round(127 + 120 * Math.cos((x + y) / 13));
  }
const picture = () => sharp(pixels, { raw: { width, height, channels: 3 } });
await picture().jpeg({ quality: 75, chromaSubsampling: "4:2:0" }).toFile("smooth.jpg");
await picture().webp({ quality: 75 }).toFile("smooth.webp");
for (const kind of ["jpg", "webp"]) await sharp("smooth." + kind).png({ compressionLevel: 9 }).toFile(`smooth-${kind}.png`);
