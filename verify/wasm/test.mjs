// Runs the WebAssembly build on the vectors of the Rust tests: node verify/wasm/test.mjs <module.wasm>
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { load } from "./rota-verify.mjs";

const [, , path] = process.argv;
const module = await readFile(path);
const vectors = JSON.parse(await readFile(new URL("../../tests/vectors/receipts.json", import.meta.url)));
const verifier = await load(module);

const imports = WebAssembly.Module.imports(new WebAssembly.Module(module));
assert.deepEqual(imports, [], "the module needs nothing from its surroundings");

/** The receipt with one change made to it, as `verify/tests/vectors.rs` makes it. */
function changed(good, { path, flip, set }) {
  const bad = structuredClone(good);
  const keys = path.split("/").slice(1);
  const last = keys.pop();
  const parent = keys.reduce((value, key) => value[key], bad);
  if (flip === undefined) {
    parent[last] = set;
  } else {
    const text = parent[last];
    const at = 2 + 2 * flip;
    const byte = (parseInt(text.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, "0");
    parent[last] = text.slice(0, at) + byte + text.slice(at + 2);
  }
  return bad;
}

function answer(receipt, anchor = vectors.anchor) {
  try {
    return { ok: verifier.verify(JSON.stringify(receipt), anchor) };
  } catch (error) {
    const why = error.message;
    return { error: why.startsWith("not a receipt") ? "not a receipt" : why };
  }
}

let count = 0;
for (const { name, receipt, answer: want } of vectors.stages) {
  assert.deepEqual(answer(receipt), want, name);
  count++;
}
const good = vectors.stages.at(-1).receipt;
for (const change of vectors.changes) {
  assert.deepEqual(answer(changed(good, change)), change.answer, JSON.stringify(change));
  count++;
}
const zero = `0x${"00".repeat(32)}`;
for (const anchor of [{ ...vectors.anchor, ctx: zero }, { ...vectors.anchor, setId: zero }]) {
  assert.match(answer(good, anchor).error, /another (network|set)/);
  count++;
}
assert.match(answer("").error, /not a receipt/);

const light = JSON.parse(await readFile(new URL("../../tests/vectors/light.json", import.meta.url)));
const proven = (proof, { ctx, l1Block }) => {
  try {
    return { ok: verifier.verifyLight(JSON.stringify(proof), { ctx, l1Block }) };
  } catch (error) {
    return { error: error.message };
  }
};
for (const { name, proof, answer: want, ...anchor } of light.proofs) {
  assert.deepEqual(proven(proof, anchor), want, name);
  count++;
}
const last = light.proofs.at(-1);
for (const change of light.changes) {
  assert.deepEqual(proven(changed(last.proof, change), last), change.answer, change.path);
  count++;
}
assert.match(proven(last.proof, { ...last, l1Block: zero }).error, /another L1 block/);
assert.match(proven(last.proof, { ctx: last.ctx }).error, /missing field `setId`/);
console.log(`${count} receipts and light proofs judged as in Rust by ${module.length} bytes of WebAssembly`);
