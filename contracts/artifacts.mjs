// Writes abi/<Contract>.json, and bin/<Contract>.bin for the contracts of the genesis: what the Rust build and the deployment need, so that neither needs npm or a compiler.
//   node artifacts.mjs           write them from forge's out/
//   node artifacts.mjs --check   fail if the committed ones are not what the sources give
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(fileURLToPath(import.meta.url));
const ABI_DIR = join(ROOT, 'abi');
const BIN_DIR = join(ROOT, 'bin');
const CONTRACTS = [
  'BondedSlot',
  'BridgedToken',
  'ClaimsChecker',
  'EcdsaCertificateVerifier',
  'Ed25519Verifier',
  'EvidenceChecker',
  'FeeVault',
  'ForcedQueue',
  'Inbox',
  'MessagePasser',
  'Oracle',
  'Portal',
  'Registry',
  'Rewards',
  'Safe',
  'SafeProxyFactory',
  'Slasher',
  'Timelock30',
  'TokenBridgeL1',
  'TokenBridgeL2',
  'Warranty',
];
/** In the first block of the rollup: their runtime code as it is there, in bin/. */
const PREDEPLOYS = ['FeeVault', 'MessagePasser', 'TokenBridgeL2'];

/** By kind and name, so that moving a function in the source changes nothing. */
function inOrder(abi) {
  const key = (entry) => `${entry.type} ${entry.name ?? ''} ${JSON.stringify(entry.inputs ?? [])}`;
  return [...abi].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function built(name) {
  return JSON.parse(readFileSync(join(ROOT, 'out', `${name}.sol`, `${name}.json`), 'utf8'));
}

/** The code that a contract without a constructor has once it is deployed. */
function runtime(name) {
  const { object, immutableReferences } = built(name).deployedBytecode;
  if (Object.keys(immutableReferences ?? {}).length > 0) throw new Error(`${name} has immutables`);
  return Buffer.from(object.slice(2), 'hex');
}

function trimmed(name) {
  const full = built(name);
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

function read(file, encoding) {
  try {
    return readFileSync(file, encoding);
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
  else if (read(file, 'utf8') !== text) problems.push(`abi/${name}.json is not what the sources give`);
}
mkdirSync(BIN_DIR, { recursive: true });
for (const name of PREDEPLOYS) {
  const file = join(BIN_DIR, `${name}.bin`);
  const code = runtime(name);
  if (!check) writeFileSync(file, code);
  else if (!read(file)?.equals(code)) problems.push(`bin/${name}.bin is not what the sources give`);
}
for (const file of readdirSync(ABI_DIR)) {
  if (!CONTRACTS.includes(file.replace(/\.json$/, ''))) problems.push(`abi/${file} belongs to no contract`);
}
if (problems.length > 0) {
  console.error(`${problems.join('\n')}\nrun: npm run artifacts`);
  process.exit(1);
}
console.log(`${CONTRACTS.length} artifacts ${check ? 'match' : 'written'}`);
