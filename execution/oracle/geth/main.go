// Imports vector files into go-ethereum's own chain code and demands the same genesis hash, block hashes and
// state roots. Nothing of Rota runs here.
//
// usage: go run . ../../../tests/vectors/execution_blocks.json
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/beacon"
	"github.com/ethereum/go-ethereum/consensus/ethash"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

type vectors struct {
	Chains []struct {
		Name        string       `json:"name"`
		Genesis     core.Genesis `json:"genesis"`
		GenesisHash common.Hash  `json:"genesis_hash"`
		Blocks      []struct {
			RLP       hexutil.Bytes `json:"rlp"`
			Hash      common.Hash   `json:"hash"`
			StateRoot common.Hash   `json:"state_root"`
		} `json:"blocks"`
	} `json:"chains"`
}

func main() {
	if err := check(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(files []string) error {
	if len(files) == 0 {
		return fmt.Errorf("usage: geth <vectors.json>")
	}
	total := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var vectors vectors
		if err := json.Unmarshal(text, &vectors); err != nil {
			return err
		}
		for _, one := range vectors.Chains {
			engine := beacon.New(ethash.NewFaker())
			chain, err := core.NewBlockChain(rawdb.NewMemoryDatabase(), &one.Genesis, engine, core.DefaultConfig())
			if err != nil {
				return fmt.Errorf("%s: %w", one.Name, err)
			}
			if hash := chain.Genesis().Hash(); hash != one.GenesisHash {
				return fmt.Errorf("%s genesis: vector %s, geth %s", one.Name, one.GenesisHash, hash)
			}
			for at, vector := range one.Blocks {
				block := new(types.Block)
				if err := rlp.DecodeBytes(vector.RLP, block); err != nil {
					return fmt.Errorf("%s block %d: %w", one.Name, at+1, err)
				}
				if block.Hash() != vector.Hash || block.Root() != vector.StateRoot {
					return fmt.Errorf("%s block %d: vector %s, geth %s", one.Name, at+1, vector.Hash, block.Hash())
				}
				if _, err := chain.InsertChain(types.Blocks{block}); err != nil {
					return fmt.Errorf("%s block %d: %w", one.Name, at+1, err)
				}
			}
			head := one.Blocks[len(one.Blocks)-1].Hash
			if chain.CurrentBlock().Hash() != head {
				return fmt.Errorf("%s: geth's head is %s", one.Name, chain.CurrentBlock().Hash())
			}
			chain.Stop()
			total += len(one.Blocks)
			fmt.Printf("%s: %d blocks agree\n", one.Name, len(one.Blocks))
		}
	}
	fmt.Printf("geth agreed with %d blocks\n", total)
	return nil
}
