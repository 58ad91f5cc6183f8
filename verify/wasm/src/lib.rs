//! `rota-verify` for WebAssembly: text in, text out, over functions that take and give plain numbers.
//!
//! Not for: checking (that is `rota-verify`). No pointer crosses the border: text goes word by word, four bytes
//! of it in one number, so nothing here reads memory that it was told of. `rota-verify.mjs` is the other side.
//! Invariant: whatever is put in, the answer is one JSON object with `ok` or `error`.

use rota_types::{B256, LightProof, Receipt};
use rota_verify::{Anchor, LightAnchor, LightVerdict, TRUST_BLOCKS, Verdict, verify, verify_light};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// Longest text taken, bytes. What is beyond is not kept, and the text is refused.
const MAX: usize = 4 * 1024 * 1024;

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What is asked: of a receipt with the id of its set, or of a light proof with the hash of an L1 block.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Question {
    ctx: B256,
    set_id: Option<B256>,
    receipt: Option<Receipt>,
    l1_block: Option<B256>,
    trust_blocks: Option<u64>,
    light: Option<LightProof>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Receipt(Box<Verdict>),
    Light(Box<LightVerdict>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Ok(Shown),
    Error(String),
}

/// The answer to `{"ctx": .., "setId": .., "receipt": ..}` or `{"ctx": .., "l1Block": .., "light": ..}`: `{"ok": verdict}` or
/// `{"error": reason}`.
#[must_use]
pub fn answer(question: &[u8]) -> Vec<u8> {
    let answer = serde_json::from_slice::<Question>(question)
        .map_err(|e| format!("not a receipt: {e}"))
        .and_then(|q| check(&q))
        .map_or_else(Answer::Error, Answer::Ok);
    serde_json::to_vec(&answer).unwrap_or_default()
}

fn check(q: &Question) -> Result<Shown, String> {
    match (q, q.ctx) {
        (Question { set_id: Some(set_id), receipt: Some(receipt), light: None, .. }, ctx) => {
            let anchor = Anchor { ctx, set_id: *set_id };
            let verdict = verify(receipt, &anchor).map_err(|e| e.to_string())?;
            Ok(Shown::Receipt(Box::new(verdict)))
        }
        (Question { l1_block: Some(block), light: Some(light), receipt: None, .. }, ctx) => {
            let trust_blocks = q.trust_blocks.unwrap_or(TRUST_BLOCKS);
            let anchor = LightAnchor { ctx, l1_block: *block, trust_blocks };
            let verdict = verify_light(light, &anchor).map_err(|e| e.to_string())?;
            Ok(Shown::Light(Box::new(verdict)))
        }
        _ => Err("missing field `setId` with `receipt`, or `l1Block` with `light`".to_owned()),
    }
}

/// Adds the first `count` (1 to 4) bytes of a word, lowest first, to the question.
#[expect(unsafe_code, reason = "a fixed name for the caller; the body is safe")]
#[unsafe(no_mangle)]
pub extern "C" fn rota_verify_put(word: u32, count: u32) {
    let Ok(mut input) = INPUT.lock() else { return };
    if input.len() > MAX {
        return;
    }
    let count = usize::try_from(count).unwrap_or(0);
    input.extend(word.to_le_bytes().into_iter().take(count));
}

/// Answers and forgets the question; gives the length of the answer in bytes.
#[expect(unsafe_code, reason = "a fixed name for the caller; the body is safe")]
#[unsafe(no_mangle)]
pub extern "C" fn rota_verify_run() -> u32 {
    let (Ok(mut input), Ok(mut output)) = (INPUT.lock(), OUTPUT.lock()) else { return 0 };
    let question = std::mem::take(&mut *input);
    *output = if question.len() > MAX {
        br#"{"error":"not a receipt: too long"}"#.to_vec()
    } else {
        answer(&question)
    };
    u32::try_from(output.len()).unwrap_or(0)
}

/// Four bytes of the answer from `at` on, lowest first; zero beyond its end.
#[expect(unsafe_code, reason = "a fixed name for the caller; the body is safe")]
#[unsafe(no_mangle)]
pub extern "C" fn rota_verify_get(at: u32) -> u32 {
    let Ok(output) = OUTPUT.lock() else { return 0 };
    let rest = usize::try_from(at).ok().and_then(|at| output.get(at..)).unwrap_or_default();
    let mut word = [0u8; 4];
    word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> String {
        for chunk in text.as_bytes().chunks(4) {
            let mut word = [0u8; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            rota_verify_put(u32::from_le_bytes(word), u32::try_from(chunk.len()).unwrap());
        }
        let length = rota_verify_run();
        let words = (0..length).step_by(4).flat_map(|at| rota_verify_get(at).to_le_bytes());
        let bytes: Vec<u8> = words.take(usize::try_from(length).unwrap()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn any_text_gets_an_answer_and_leaves_nothing_behind() {
        assert!(ask("").starts_with("{\"error\":\"not a receipt: EOF"));
        assert!(ask("[1]").starts_with("{\"error\":\"not a receipt"));
        assert!(ask("{}").contains("missing field `ctx`"));
        assert_eq!(ask(&" ".repeat(MAX + 1)), "{\"error\":\"not a receipt: too long\"}");
        assert!(ask("{}").contains("missing field `ctx`"));
    }
}
