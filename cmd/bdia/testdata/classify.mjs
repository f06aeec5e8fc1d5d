// Loads a folder of a vision transformer in transformers.js. A request comes on
// standard input, the answer leaves on standard output, both JSON:
//
//   {folder, pixels: [...], dims: [B, 3, I, I]}
//   {logits: [...], labels: [names by logit], size: the side to which its pipeline brings images}
import path from "node:path";
import {pathToFileURL} from "node:url";

const main = path.join(process.env.BDIA_CLIENTS, "node_modules/@huggingface/transformers/dist/transformers.node.mjs");
const {env, pipeline, Tensor} = await import(pathToFileURL(main));
env.allowRemoteModels = false;

let request = "";
process.stdin.setEncoding("utf8"); // a chunk may end within a character
for await (const chunk of process.stdin) request += chunk;
const {folder, pixels, dims} = JSON.parse(request);

env.localModelPath = path.dirname(folder);
const classify = await pipeline("image-classification", path.basename(folder), {dtype: "fp32"});
const {logits} = await classify.model({pixel_values: new Tensor("float32", Float32Array.from(pixels), dims)});
const names = classify.model.config.id2label;
const answer = {
    logits: Array.from(logits.data),
    labels: Object.keys(names).map(k => names[k]),
    size: classify.processor.image_processor.size.height,
};
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
