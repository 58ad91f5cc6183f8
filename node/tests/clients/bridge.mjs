// Takes ETH to the rollup and back with a wallet's library: node bridge.mjs L1_URL NODE_URL INBOX PRIVATE_KEY
// Prints "withdrawn BLOCK" and then waits until the oracle holds that block, or a later one, for proven. The oracle is somebody else's
// business: rota output. The exit code is 0 if the money came back.
import assert from 'node:assert/strict'
import { createPublicClient, createWalletClient, defineChain, encodeAbiParameters, http, keccak256, parseAbi, toRlp } from 'viem'
import { parseEventLogs } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'

const [l1Url, l2Url, inbox, key] = process.argv.slice(2)
if (!key) {
  console.error('usage: node bridge.mjs L1_URL NODE_URL INBOX PRIVATE_KEY')
  process.exit(2)
}
const PASSER = '0x526F746100000000000000000000000000000001'
const inboxAbi = parseAbi(['function portal() view returns (address)'])
const portalAbi = parseAbi([
  'struct Withdrawal { uint256 nonce; address sender; address target; uint256 value; uint256 gasLimit; bytes data; }',
  'function oracle() view returns (address)',
  'function maturity() view returns (uint256)',
  'function held() view returns (uint256)',
  'function deposit(address to) payable returns (uint64)',
  'function prove(Withdrawal w, bytes header, bytes[] accountProof, bytes[] storageProof)',
  'function finalize(Withdrawal w)',
  'error Portal_AlreadyPaid()',
])
const oracleAbi = parseAbi([
  'struct Tip { uint64 step; uint64 l2Block; uint64 height; uint64 time; bytes32 valueId; }',
  'function tip() view returns (Tip)',
  'function provenHash(uint64) view returns (bytes32)',
])
const passerAbi = parseAbi([
  'function initiate(address target, uint256 gasLimit, bytes data) payable returns (bytes32)',
  'event Sent(uint256 indexed nonce, address indexed sender, address indexed target, uint256 value, uint256 gasLimit, bytes data, bytes32 withdrawal)',
])

async function connect(url, name) {
  const id = await createPublicClient({ transport: http(url) }).getChainId()
  const chain = defineChain({
    id, name, nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 }, rpcUrls: { default: { http: [url] } },
  })
  return [createPublicClient({ chain, transport: http(url), pollingInterval: 250 }), chain]
}

async function until(what, probe) {
  for (const end = Date.now() + 180_000; Date.now() < end; await new Promise((r) => setTimeout(r, 300))) {
    const found = await probe()
    if (found) return found
  }
  throw new Error(`gave up waiting for ${what}`)
}

const quantity = (hex) => (BigInt(hex) === 0n ? '0x' : `0x${BigInt(hex).toString(16).replace(/^(.(..)*)$/, '0$1')}`)

// The header of a Prague block as it is hashed.
function header(b) {
  return toRlp([
    b.parentHash, b.sha3Uncles, b.miner, b.stateRoot, b.transactionsRoot, b.receiptsRoot, b.logsBloom, quantity(b.difficulty),
    quantity(b.number), quantity(b.gasLimit), quantity(b.gasUsed), quantity(b.timestamp), b.extraData, b.mixHash, b.nonce,
    quantity(b.baseFeePerGas), b.withdrawalsRoot, quantity(b.blobGasUsed), quantity(b.excessBlobGas), b.parentBeaconBlockRoot,
    b.requestsHash,
  ])
}

const [l1, l1Chain] = await connect(l1Url, 'L1')
const [l2, l2Chain] = await connect(l2Url, 'Rota')
const payer = createWalletClient({ account: privateKeyToAccount(key), chain: l1Chain, transport: http(l1Url) })
// On the rollup this account has nothing but what comes from L1.
const owner = privateKeyToAccount(generatePrivateKey())
const there = createWalletClient({ account: owner, chain: l2Chain, transport: http(l2Url) })
const portal = await l1.readContract({ address: inbox, abi: inboxAbi, functionName: 'portal' })
const onPortal = { address: portal, abi: portalAbi }

async function onL1(functionName, args, value) {
  const { request } = await l1.simulateContract({ ...onPortal, functionName, args, value, account: payer.account })
  const receipt = await l1.waitForTransactionReceipt({ hash: await payer.writeContract(request) })
  assert.equal(receipt.status, 'success')
  console.log(`${functionName} ${receipt.gasUsed} gas`)
}

const before = await l1.readContract({ ...onPortal, functionName: 'held' })
const amount = 2_000_000_000_000_000_000n
await onL1('deposit', [owner.address], amount)
await until('the deposit on the rollup', async () => (await l2.getBalance({ address: owner.address })) === amount)
console.log('deposited')

const target = privateKeyToAccount(generatePrivateKey()).address
const value = 1_234_567_890_123_456_789n
const sent = await there.writeContract({
  address: PASSER, abi: passerAbi, functionName: 'initiate', args: [target, 21_000n, '0x'], value,
})
const receipt = await l2.waitForTransactionReceipt({ hash: sent })
assert.equal(receipt.status, 'success')
const { args } = parseEventLogs({ abi: passerAbi, logs: receipt.logs })[0]
const { withdrawal, ...w } = args
console.log(`initiate ${receipt.gasUsed} gas`)
console.log(`withdrawn ${receipt.blockNumber}`)

const oracle = await l1.readContract({ ...onPortal, functionName: 'oracle' })
const number = await until('a proven block', async () => {
  const tip = await l1.readContract({ address: oracle, abi: oracleAbi, functionName: 'tip' })
  return tip.l2Block >= receipt.blockNumber && tip.l2Block
})
const proven = await l1.readContract({ address: oracle, abi: oracleAbi, functionName: 'provenHash', args: [number] })
const at = `0x${number.toString(16)}`
const block = await l2.request({ method: 'eth_getBlockByNumber', params: [at, false] })
const rlp = header(block)
assert.equal(keccak256(rlp), proven, 'the node has the block that L1 has')
const slot = keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint256' }], [withdrawal, 0n]))
const proof = await l2.request({ method: 'eth_getProof', params: [PASSER, [slot], at] })
await onL1('prove', [w, rlp, proof.accountProof, proof.storageProof[0].proof])

const maturity = await l1.readContract({ ...onPortal, functionName: 'maturity' })
const since = (await l1.getBlock()).timestamp
await until('maturity', async () => (await l1.getBlock()).timestamp > since + maturity)
await onL1('finalize', [w])
assert.equal(await l1.getBalance({ address: target }), value)
assert.equal(await l1.readContract({ ...onPortal, functionName: 'held' }), before + amount - value)
await assert.rejects(onL1('finalize', [w]), /Portal_AlreadyPaid/)
console.log('paid')
