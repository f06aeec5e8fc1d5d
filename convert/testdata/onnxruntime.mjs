// Runs ONNX models with onnxruntime. Question: a list of runs, each a file and its
// inputs by name: {dims, ints} or {dims, floats}. A run with "steps" is a greedy
// generation through keys and values: so many tokens after the ids "prompt".
// Answer: for each run {outputs: {name: {dims, data}}}, or {tokens, inputs, names}.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const require = createRequire(join(process.env.BDIA_CLIENTS, 'node_modules', 'x.js'));
const ort = require('onnxruntime-node');

const tensor = ({ dims, ints, floats = [] }) => ints
  ? new ort.Tensor('int64', BigInt64Array.from(ints, BigInt), dims ?? []) // Go's null is a number alone
  : new ort.Tensor('float32', Float32Array.from(floats), dims);

async function run(session, inputs) {
  const feeds = {};
  for (const [name, value] of Object.entries(inputs)) feeds[name] = tensor(value);
  const outputs = {};
  for (const [name, { dims, data }] of Object.entries(await session.run(feeds))) outputs[name] = { dims, data: Array.from(data) };
  return { outputs };
}

async function generate(session, { prompt, steps, heads, width }) {
  const feeds = {};
  for (const name of session.inputNames) {
    if (name.startsWith('past_key_values.')) feeds[name] = new ort.Tensor('float32', new Float32Array(0), [1, heads, 0, width]);
  }
  const tokens = [...prompt];
  let fresh = prompt;
  while (tokens.length < prompt.length + steps) {
    const past = tokens.length - fresh.length;
    feeds.input_ids = tensor({ dims: [1, fresh.length], ints: fresh });
    feeds.attention_mask = tensor({ dims: [1, tokens.length], ints: tokens.map(() => 1) });
    feeds.position_ids = tensor({ dims: [1, fresh.length], ints: fresh.map((_, i) => past + i) });
    if (session.inputNames.includes('num_logits_to_keep')) feeds.num_logits_to_keep = tensor({ dims: [], ints: [1] });
    const out = await session.run(feeds);
    const vocab = out.logits.dims[2];
    const last = out.logits.data.subarray(out.logits.data.length - vocab);
    fresh = [last.indexOf(Math.max(...last))];
    tokens.push(fresh[0]);
    for (const [name, value] of Object.entries(out)) {
      if (name.startsWith('present.')) feeds[name.replace('present.', 'past_key_values.')] = value;
    }
  }
  return { tokens };
}

const answers = [];
for (const question of JSON.parse(readFileSync(0))) {
  const session = await ort.InferenceSession.create(question.file);
  answers.push(question.steps ? await generate(session, question) : await run(session, question.inputs));
  await session.release();
}
process.stdout.write(JSON.stringify(answers));
