// Loads model folders in transformers.js and continues prompts, the likeliest token
// each time. A request comes on standard input, the answer leaves on standard output,
// both JSON:
//
//   {folders: [...], prompts: [...], tokens}
//   [[{ids, generated: [ids], text}, ... of each prompt], ... of each folder]
import path from "node:path";
import {pathToFileURL} from "node:url";

const main = path.join(process.env.BDIA_CLIENTS, "node_modules/@huggingface/transformers/dist/transformers.node.mjs");
const {env, pipeline} = await import(pathToFileURL(main));
env.allowRemoteModels = false;

let request = "";
process.stdin.setEncoding("utf8"); // a chunk may end within a character
for await (const chunk of process.stdin) request += chunk;
const {folders, prompts, tokens} = JSON.parse(request);

const answer = [];
for (const folder of folders) {
    env.localModelPath = path.dirname(folder);
    const generate = await pipeline("text-generation", path.basename(folder), {dtype: "fp32"});
    const own = [];
    for (const prompt of prompts) {
        const inputs = generate.tokenizer(prompt);
        const limits = {max_new_tokens: tokens, min_new_tokens: tokens, do_sample: false};
        const all = (await generate.model.generate({...inputs, ...limits})).tolist()[0].map(Number);
        const ids = inputs.input_ids.tolist()[0].map(Number);
        const [{generated_text: text}] = await generate(prompt, {...limits, return_full_text: false});
        own.push({ids, generated: all.slice(ids.length), text});
    }
    answer.push(own);
}
process.stdout.write(JSON.stringify(answer), () => process.exit(0));
