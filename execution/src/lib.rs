//! Applies transactions and blocks, and gives the root.
mod trie;
pub use trie::Trie;
