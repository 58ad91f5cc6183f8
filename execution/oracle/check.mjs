// Re-executes vector files in EthereumJS and demands the same genesis hash, block hashes and state roots.
//
// usage: npm ci && npm run check
// The vectors hold a genesis file as stock clients read it and the blocks as RLP. Nothing of Rota runs here:
// EthereumJS checks each header against its parent (base fee, gas limit, time), recovers the senders, executes,
// and compares state root, receipts root, bloom, gas and requests hash with the header.
import { readFileSync } from 'node:fs'
import { createBlockFromRLP } from '@ethereumjs/block'
import { createBlockchain } from '@ethereumjs/blockchain'
import { createCommonFromGethGenesis, parseGethGenesisState } from '@ethereumjs/common'
import { MerkleStateManager } from '@ethereumjs/statemanager'
import { bytesToHex, hexToBytes } from '@ethereumjs/util'
import { createVM, runBlock } from '@ethereumjs/vm'

const files = process.argv.slice(2)
if (files.length === 0) throw new Error('usage: check.mjs <vectors.json>...')

const same = (what, ours, theirs) => {
  if (ours !== theirs) throw new Error(`${what}: vector ${ours}, EthereumJS ${theirs}`)
}

let blocks = 0
for (const file of files) {
  for (const chain of JSON.parse(readFileSync(file, 'utf8')).chains) {
    const common = createCommonFromGethGenesis(chain.genesis, { chain: chain.name })
    const genesisState = parseGethGenesisState(chain.genesis)
    const stateManager = new MerkleStateManager({ common })
    await stateManager.generateCanonicalGenesis(genesisState)
    const genesisStateRoot = await stateManager.getStateRoot()
    const blockchain = await createBlockchain({ common, genesisStateRoot, validateBlocks: true, validateConsensus: false })
    same(`${chain.name} genesis`, chain.genesis_hash, bytesToHex(blockchain.genesisBlock.hash()))
    const vm = await createVM({ common, stateManager, blockchain })
    let root = genesisStateRoot
    for (const [at, vector] of chain.blocks.entries()) {
      const name = `${chain.name} block ${at + 1}`
      const block = createBlockFromRLP(hexToBytes(vector.rlp), { common, setHardfork: true })
      same(`${name} hash`, vector.hash, bytesToHex(block.hash()))
      await blockchain.putBlock(block)
      const result = await runBlock(vm, { block, root })
      root = result.stateRoot
      same(`${name} state root`, vector.state_root, bytesToHex(root))
      blocks += 1
    }
    console.log(`${chain.name}: ${chain.blocks.length} blocks agree`)
  }
}
console.log(`EthereumJS agreed with ${blocks} blocks`)
