//! Both stores against each other and against damage.

#![expect(clippy::arithmetic_side_effects, reason = "a test may overflow and panic")]

use super::*;
use proptest::prelude::*;

const CACHE: u64 = 8 << 20;

fn op() -> impl Strategy<Value = (u8, Vec<u8>, Option<Vec<u8>>)> {
    let value = (0usize..5, any::<u8>()).prop_map(|(n, b)| vec![b; [0, 10, 4096, 4097, 20_000][n]]);
    (0u8..3, prop::collection::vec(0u8..3, 0..3), prop::option::of(value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn disk_and_memory_agree_also_after_reopening(
        batches in prop::collection::vec(prop::collection::vec(op(), 0..8), 1..6),
        from in prop::collection::vec(0u8..3, 0..3),
        to in prop::option::of(prop::collection::vec(0u8..3, 0..3)),
        limit in 0usize..6,
    ) {
        let tmp = tempfile::tempdir().unwrap();
        let trees = [Tree::Meta, Tree::Blocks, Tree::Accounts];
        let memory = MemKv::default();
        let mut disk = SledKv::open(tmp.path().join("db"), CACHE).unwrap();
        for ops in batches {
            let mut batch = Batch::default();
            for (t, k, v) in ops {
                match v {
                    Some(v) => batch.put(trees[usize::from(t)], k, v),
                    None => batch.delete(trees[usize::from(t)], k),
                };
            }
            memory.apply(batch.clone()).unwrap();
            disk.apply(batch).unwrap();
        }
        for reopened in [false, true] {
            if reopened {
                disk.flush().unwrap();
                drop(disk);
                disk = SledKv::open(tmp.path().join("db"), CACHE).unwrap();
            }
            for tree in trees {
                for order in [Order::Ascending, Order::Descending] {
                    let all = Scan { from: vec![], to: None, order, limit: 1000 };
                    let part = Scan { from: from.clone(), to: to.clone(), order, limit };
                    for scan in [&all, &part, &Scan::prefix(&from, 1000)] {
                        prop_assert_eq!(disk.scan(tree, scan).unwrap(), memory.scan(tree, scan).unwrap());
                    }
                    let mut paged = Vec::new();
                    for_each(&disk, tree, Scan { limit: 2, ..all.clone() }, |k, v| {
                        paged.push((k.to_vec(), v));
                        Ok(())
                    }).unwrap();
                    prop_assert_eq!(paged, memory.scan(tree, &all).unwrap());
                }
            }
        }
    }
}

#[test]
fn a_prefix_of_all_ones_reaches_the_end_of_the_tree_only() {
    let kv = MemKv::default();
    let mut batch = Batch::default();
    batch.put(Tree::Meta, [0xff, 0xff], [1]).put(Tree::Heights, [0], [2]);
    kv.apply(batch).unwrap();
    assert_eq!(kv.scan(Tree::Meta, &Scan::prefix(&[0xff], 9)).unwrap().len(), 1);
    assert_eq!(kv.scan(Tree::Meta, &Scan::prefix(&[], 9).descending()).unwrap().len(), 1);
}

#[test]
fn a_replaced_large_value_leaves_no_piece_behind() {
    let tmp = tempfile::tempdir().unwrap();
    let kv = SledKv::open(tmp.path(), CACHE).unwrap();
    let put = |n: usize| {
        let mut batch = Batch::default();
        batch.put(Tree::Heights, [1], vec![7; n]);
        kv.apply(batch).unwrap();
        assert_eq!(kv.get(Tree::Heights, &[1]).unwrap().unwrap().len(), n);
    };
    let count = || kv.scan_raw_len();
    put(100_000);
    assert_eq!(count(), 26);
    put(9_000);
    assert_eq!(count(), 4);
    put(5);
    assert_eq!(count(), 1);
}

#[test]
fn a_changed_piece_of_a_large_value_is_noticed() {
    let tmp = tempfile::tempdir().unwrap();
    let kv = SledKv::open(tmp.path(), CACHE).unwrap();
    let mut batch = Batch::default();
    batch.put(Tree::Blocks, [1], vec![7; 10_000]);
    kv.apply(batch).unwrap();
    kv.overwrite_piece(Tree::Blocks, &[1], vec![8; 4096]);
    assert!(kv.get(Tree::Blocks, &[1]).unwrap_err().is_corrupt());
}

/// Damage in any file of the directory is an error or old data, never a panic or wrong data.
#[test]
fn a_damaged_directory_is_an_error_not_a_panic() {
    let tmp = tempfile::tempdir().unwrap();
    let good = tmp.path().join("good");
    {
        let kv = SledKv::open(&good, CACHE).unwrap();
        for i in 0u32..200 {
            let mut batch = Batch::default();
            batch.put(Tree::Blocks, i.to_be_bytes(), vec![u8::try_from(i).unwrap(); 3000]);
            kv.apply(batch).unwrap();
        }
        kv.flush().unwrap();
    }
    let names: Vec<_> = std::fs::read_dir(&good)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file())
        .map(|p| p.file_name().unwrap().to_owned())
        .collect();
    let mut corrupt = 0;
    for name in &names {
        for round in 0usize..12 {
            let bad = tmp.path().join(format!("bad-{round}-{}", name.to_string_lossy()));
            std::fs::create_dir_all(bad.join("blobs")).unwrap();
            for n in &names {
                std::fs::copy(good.join(n), bad.join(n)).unwrap();
            }
            damage(&bad.join(name), round);
            match SledKv::open(&bad, CACHE) {
                Err(e) => {
                    assert!(e.is_corrupt(), "{name:?} {round}: {e}");
                    corrupt += 1;
                }
                Ok(kv) => match for_each(&kv, Tree::Blocks, Scan::prefix(&[], 50), |k, v| {
                    assert!(v.len() == 3000 && v.iter().all(|b| *b == k[3]), "wrong data");
                    Ok(())
                }) {
                    Ok(()) => {}
                    Err(e) => assert!(e.is_corrupt(), "{e}"),
                },
            }
        }
    }
    assert!(corrupt > 0, "no damage was noticed");
}

fn damage(path: &std::path::Path, round: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let len = bytes.len();
    match round {
        0 => bytes.clear(),
        1 => bytes.truncate(len / 2),
        2 => bytes.fill(0xff),
        3 => bytes.truncate(len.saturating_sub(1)),
        n => {
            let start = len * (n - 4) / 8;
            for b in bytes.iter_mut().skip(start).take(16) {
                *b ^= 0x5a;
            }
        }
    }
    std::fs::write(path, bytes).unwrap();
}
