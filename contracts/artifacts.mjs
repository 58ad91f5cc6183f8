// Writes abi/<Contract>.json: what the Rust build and the deployment need, so that neither needs npm or a compiler.
//   node artifacts.mjs           write them from forge's out/
//   node artifacts.mjs --check   fail if the committed ones are not what the sources give
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
const ABI_DIR = join(ROOT, 'abi');
const CONTRACTS = [
  'ClaimsChecker',
  'EcdsaCertificateVerifier',
  'Ed25519Verifier',
  'EvidenceChecker',
  'ForcedQueue',
  'Inbox',
  'Registry',
  'Rewards',
  'Slasher',
];

/** By kind and name, so that moving a function in the source changes nothing. */
function inOrder(abi) {
  const key = (entry) => `${entry.type} ${entry.name ?? ''} ${JSON.stringify(entry.inputs ?? [])}`;
  return [...abi].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function trimmed(name) {
  const full = JSON.parse(readFileSync(join(ROOT, 'out', `${name}.sol`, `${name}.json`), 'utf8'));
  const bytecode = full.bytecode.object;
  if (!/^0x([0-9a-f]{2})+$/.test(bytecode)) throw new Error(`${name}: no linked bytecode in out/`);
  const deployed = Buffer.from(full.deployedBytecode.object.slice(2), 'hex');
  const artifact = {
    contractName: name,
    abi: inOrder(full.abi),
    bytecode,
    deployedBytecodeSha256: `0x${createHash('sha256').update(deployed).digest('hex')}`,
  };
  return `${JSON.stringify(artifact, null, 1)}\n`;
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

const check = process.argv.includes('--check');
mkdirSync(ABI_DIR, { recursive: true });
const problems = [];
for (const name of CONTRACTS) {
  const file = join(ABI_DIR, `${name}.json`);
  const text = trimmed(name);
  if (!check) writeFileSync(file, text);
  else if (read(file) !== text) problems.push(`abi/${name}.json is not what the sources give`);
}
for (const file of readdirSync(ABI_DIR)) {
  if (!CONTRACTS.includes(file.replace(/\.json$/, ''))) problems.push(`abi/${file} belongs to no contract`);
}
if (problems.length > 0) {
  console.error(`${problems.join('\n')}\nrun: npm run artifacts`);
  process.exit(1);
}
console.log(`${CONTRACTS.length} artifacts ${check ? 'match' : 'written'}`);
