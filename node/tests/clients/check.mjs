// Checks a live node with the libraries that wallets use: node check.mjs URL PRIVATE_KEY
// The account must be funded. Prints one line per check; the exit code is the number of failures.
import assert from 'node:assert/strict'
import { ethers } from 'ethers'
import {
  createPublicClient, createWalletClient, defineChain, encodeFunctionData, http, parseAbi, webSocket,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const [url, key] = process.argv.slice(2)
if (!url || !key) {
  console.error('usage: node check.mjs URL PRIVATE_KEY')
  process.exit(2)
}
const wsUrl = url.replace(/^http/, 'ws')
const to = '0x00000000000000000000000000000000000000b2'

// Emits one log with the topic below, then returns: PUSH32 topic, PUSH1 0, PUSH1 0, LOG1, STOP.
const topic = ethers.id('Ping()')
const runtime = `0x7f${topic.slice(2)}60006000a100`
const size = ((runtime.length - 2) / 2).toString(16).padStart(2, '0')
const initcode = `0x60${size}600c60003960${size}6000f3${runtime.slice(2)}`

let failures = 0
async function check(name, run) {
  const start = performance.now()
  try {
    const note = await run()
    console.log(`ok    ${name} (${(performance.now() - start).toFixed(1)} ms)${note ? ' ' + note : ''}`)
  } catch (error) {
    failures += 1
    console.log(`FAIL  ${name}: ${error.shortMessage ?? error.message}\n${error.stack}`)
  }
}

const rpc = async (body) => {
  const answer = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  })
  return answer.json()
}
const call = async (method, params = []) => {
  const { result, error } = await rpc({ jsonrpc: '2.0', id: 1, method, params })
  if (error) throw Object.assign(new Error(error.message), error)
  return result
}

const chainId = Number(await call('eth_chainId'))
const chain = defineChain({
  id: chainId, name: 'rota', rpcUrls: { default: { http: [url] } },
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
})
const account = privateKeyToAccount(key)
const transport = http(url)
const reader = createPublicClient({ chain, transport, pollingInterval: 50 })
const wallet = createWalletClient({ account, chain, transport, pollingInterval: 50 })
const provider = new ethers.JsonRpcProvider(url, undefined, {
  polling: true, pollingInterval: 50, cacheTimeout: -1,
})
const signer = new ethers.Wallet(key, provider)

await check('viem: send and wait', async () => {
  const hash = await wallet.sendTransaction({ to, value: 1n })
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 10_000 })
  assert.equal(receipt.status, 'success')
  assert.match(receipt.preconf.stage, /preconfirmed|acked|decided|posted|finalized|proven/)
  const block = await reader.getBlock({ blockHash: receipt.blockHash, includeTransactions: true })
  assert.ok(block.transactions.some((t) => t.hash === hash))
})

await check('viem: sendTransactionSync', async () => {
  const receipt = await wallet.sendTransactionSync({ to, value: 1n, timeout: 5_000 })
  assert.equal(receipt.status, 'success')
  assert.match(receipt.blockHash, /^0x[0-9a-f]{64}$/)
})

await check('viem: 50 in a row without a nonce error', async () => {
  const request = await wallet.prepareTransactionRequest({ to, value: 1n })
  const times = []
  for (let i = 0; i < 50; i += 1) {
    const nonce = await reader.getTransactionCount({ address: account.address, blockTag: 'latest' })
    const serializedTransaction = await wallet.signTransaction({ ...request, nonce })
    const start = performance.now()
    const receipt = await wallet.sendRawTransactionSync({ serializedTransaction })
    times.push(performance.now() - start)
    assert.equal(receipt.status, 'success')
  }
  times.sort((a, b) => a - b)
  return `p50 ${times[25].toFixed(2)} ms, max ${times[49].toFixed(2)} ms`
})

let contract
await check('viem: deploy, call, logs', async () => {
  const deployed = await wallet.sendTransactionSync({ data: initcode, timeout: 5_000 })
  contract = deployed.contractAddress
  assert.ok(contract)
  assert.equal(await reader.getCode({ address: contract, blockTag: 'pending' }), runtime)
  const abi = parseAbi(['event Ping()', 'function ping()'])
  const receipt = await wallet.sendTransactionSync({
    to: contract, data: encodeFunctionData({ abi, functionName: 'ping' }), timeout: 5_000,
  })
  assert.equal(receipt.logs.length, 1)
  assert.equal(receipt.logs[0].topics[0], topic)
  const fromBlock = receipt.blockNumber
  const logs = await reader.getLogs({ address: contract, fromBlock, toBlock: fromBlock })
  assert.ok(logs.some((log) => log.transactionHash === receipt.transactionHash))
})

await check('viem: fee history, fees, balance, proof', async () => {
  const history = await reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [20, 50] })
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1)
  assert.equal(history.reward[0].length, 2)
  const fees = await reader.estimateFeesPerGas()
  assert.ok(fees.maxFeePerGas > 0n)
  assert.ok(await reader.getBalance({ address: account.address }) > 0n)
  const proof = await reader.getProof({ address: account.address, storageKeys: [] })
  assert.ok(proof.accountProof.length > 0)
  assert.equal(await reader.estimateGas({ account, to, value: 1n }), 21_000n)
})

await check('viem: subscription to heads and pending transactions', async () => {
  const live = createPublicClient({ chain, transport: webSocket(wsUrl) })
  const seen = { head: null, tx: null }
  const both = new Promise((resolve, reject) => {
    const done = () => seen.head && seen.tx && resolve()
    setTimeout(() => reject(new Error(`nothing in 10 s: ${JSON.stringify(seen)}`)), 10_000).unref()
    live.watchBlocks({ onBlock: (b) => { seen.head = b.hash; done() }, onError: reject })
    live.watchPendingTransactions({ onTransactions: ([t]) => { seen.tx = t; done() }, onError: reject })
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  await wallet.sendTransactionSync({ to, value: 1n, timeout: 5_000 })
  await both
  const client = await live.transport.getRpcClient()
  client.close()
})

await check('ethers: send, wait, read back', async () => {
  const sent = await signer.sendTransaction({ to, value: 1n })
  const receipt = await sent.wait()
  assert.equal(receipt.status, 1)
  const block = await provider.getBlock(receipt.blockNumber, true)
  assert.ok(block.prefetchedTransactions.some((t) => t.hash === sent.hash))
  assert.ok((await provider.getTransaction(sent.hash)).blockNumber >= 1)
  assert.ok((await provider.getFeeData()).gasPrice > 0n)
})

await check('ethers: 10 sent at once', async () => {
  const nonce = await signer.getNonce('pending')
  const all = Array.from({ length: 10 }, (_, i) => signer.sendTransaction({ to, value: 1n, nonce: nonce + i }))
  const receipts = await Promise.all((await Promise.all(all)).map((t) => t.wait()))
  assert.ok(receipts.every((r) => r.status === 1))
})

await check('ethers: events over WebSocket', async () => {
  const live = new ethers.WebSocketProvider(wsUrl)
  const log = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('no log in 10 s')), 10_000).unref()
    live.on({ address: contract, topics: [topic] }, resolve)
  })
  await live.getBlockNumber()
  await new Promise((resolve) => setTimeout(resolve, 300))
  await (await signer.sendTransaction({ to: contract, data: '0x' })).wait()
  assert.equal((await log).topics[0], topic)
  await live.destroy()
})

await check('plain: batch in order of ids, unknown method, ids of every type', async () => {
  const answers = await rpc([
    { jsonrpc: '2.0', id: 'a', method: 'eth_chainId', params: [] },
    { jsonrpc: '2.0', id: 7, method: 'eth_fillTransaction', params: [{}] },
  ])
  const byId = new Map(answers.map((a) => [a.id, a]))
  assert.equal(Number(byId.get('a').result), chainId)
  assert.equal(byId.get(7).error.code, -32601)
})

await check('plain: preconfirmation status and promise', async () => {
  const receipt = await wallet.sendTransactionSync({ to, value: 1n, timeout: 5_000 })
  const status = await call('preconf_getTransactionStatus', [receipt.transactionHash])
  assert.equal(status.transactionHash, receipt.transactionHash)
  assert.ok(status.stages.some((s) => s.stage === 'preconfirmed'))
  const promise = await call('preconf_getReceipt', [receipt.transactionHash])
  assert.equal(promise.v, 2)
  assert.equal((promise.signature.length - 2) / 2, 64)
})

await check('mistakes are answered with words', async () => {
  const refusal = async (params) => call('eth_sendRawTransaction', params).then(() => null, (e) => e)
  assert.equal((await refusal(['0x1234'])).code, -32602)
  const wrong = await account.signTransaction({ chainId: 1, to, gas: 21_000n, maxFeePerGas: 10n ** 10n, nonce: 0, type: 'eip1559' })
  assert.match((await refusal([wrong])).message, /invalid chain id/)
  const used = await account.signTransaction({ chainId, to, gas: 21_000n, maxFeePerGas: 10n ** 10n, nonce: 0, type: 'eip1559' })
  assert.match((await refusal([used])).message, /nonce too low/)
})

provider.destroy()
console.log(failures === 0 ? 'all checks passed' : `${failures} checks failed`)
process.exit(failures)
