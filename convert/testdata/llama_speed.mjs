// Times llama.cpp, by way of node-llama-cpp, token by token. A request comes on standard input, the answer leaves on
// standard output, both JSON:
//
//   {file, threads, prompt: [ids], tokens}
//   {seconds: [of each token after the prompt]}
import path from "node:path";
import {pathToFileURL} from "node:url";

const folder = path.join(process.env.BDIA_CLIENTS, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(folder));

let text = "";
process.stdin.setEncoding("utf8"); // a chunk may end within a character
for await (const chunk of process.stdin) text += chunk;
const {file, threads, prompt, tokens} = JSON.parse(text);

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error, maxThreads: threads});
const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
const context = await model.createContext({contextSize: 256, sequences: 1, threads,
    experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"});
const seconds = [];
let last = 0;
for await (const _ of context.getSequence().evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
    const now = performance.now();
    if (last > 0) seconds.push((now - last) / 1000);
    last = now;
    if (seconds.length === tokens) break;
}
process.stdout.write(JSON.stringify({seconds}), () => process.exit(0));
