// Runs GGUF files in llama.cpp by way of node-llama-cpp. A request comes on
// standard input, the answer leaves on standard output, both JSON:
//
//   {texts: [...], models: [{file, prompt, tokens, forced: [ids]}]}
//   [{bos, eos, addsBos, ids: [[...] of each text], special: [[...] with special tokens matched], completion, generated: [ids], logits: [[...] after each of forced]}]
import path from "node:path";
import {pathToFileURL} from "node:url";

const folder = path.join(process.env.BDIA_CLIENTS, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaCompletion, LlamaLogLevel} = await import(pathToFileURL(folder));

let text = "";
process.stdin.setEncoding("utf8"); // a chunk may end within a character
for await (const chunk of process.stdin) text += chunk;
const request = JSON.parse(text);

const llama = await getLlama({build: "never", gpu: false, logLevel: LlamaLogLevel.error, maxThreads: 1});
const answer = [];
for (const {file, prompt, tokens, forced} of request.models) {
    const model = await llama.loadModel({modelPath: file, gpuLayers: 0});
    const context = await model.createContext({
        contextSize: model.trainContextSize, sequences: 1, threads: 1,
        // keys and values as they are computed; the default rounds them to binary16
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"
    });
    const sequence = context.getSequence();
    const completion = await new LlamaCompletion({contextSequence: sequence}).generateCompletion(prompt, {maxTokens: tokens, temperature: 0});

    await sequence.clearHistory();
    const generated = [];
    const begin = model.tokens.shouldPrependBosToken ? [model.tokens.bos] : [];
    for await (const token of sequence.evaluate([...begin, ...model.tokenize(prompt)], {temperature: 0, yieldEogToken: true})) {
        generated.push(token);
        if (generated.length === tokens) break;
    }

    await sequence.clearHistory();
    const items = forced.map((token) => [token, {generateNext: {token: true, logits: true, options: {temperature: 0}}}]);
    const logits = (await sequence.controlledEvaluate(items)).map(({next}) => {
        const row = new Array(next.logits.size);
        for (const [token, logit] of next.logits) row[token] = logit;
        return row;
    });

    answer.push({
        bos: model.tokens.bos, eos: model.tokens.eos, addsBos: model.tokens.shouldPrependBosToken,
        ids: request.texts.map((text) => model.tokenize(text)),
        special: request.texts.map((text) => model.tokenize(text, true)),
        completion, generated, logits
    });
    await context.dispose();
    await model.dispose();
}
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
