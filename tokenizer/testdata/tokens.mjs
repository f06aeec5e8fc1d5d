// Encodes texts with both of Hugging Face's tokenizers: the library itself, in
// Rust (npm tokenizers), and the one in JavaScript that transformers.js uses (npm
// @huggingface/tokenizers). A request comes on standard input, the answer leaves on
// standard output, both JSON:
//
//   {folder, files: [path, ...]}
//   {rust: [[ids] of each file], js: [...], rustText: [decoded ids], jsText: [...]}
import fs from "node:fs";
import path from "node:path";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const modules = path.join(process.env.BDIA_CLIENTS, "node_modules");
const rust = createRequire(path.join(modules, "."))("tokenizers");
const js = await import(pathToFileURL(path.join(modules, "@huggingface/tokenizers/dist/tokenizers.mjs")));

let request = "";
process.stdin.setEncoding("utf8"); // a chunk may end within a character
for await (const chunk of process.stdin) request += chunk;
const {folder, files} = JSON.parse(request);
const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"));

const one = rust.Tokenizer.fromFile(path.join(folder, "tokenizer.json"));
const other = new js.Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
const answer = {rust: [], js: [], rustText: [], jsText: []};
for (const file of files) {
    const text = fs.readFileSync(file, "utf8");
    const ids = (await one.encode(text, null, {addSpecialTokens: true})).getIds();
    answer.rust.push(ids);
    answer.rustText.push(await one.decode(ids, false));
    const {ids: jsIDs} = other.encode(text);
    answer.js.push(jsIDs);
    answer.jsText.push(jsIDs.length ? other.decode(jsIDs, {skip_special_tokens: false}) : "");
}
process.stdout.write(JSON.stringify(answer));
