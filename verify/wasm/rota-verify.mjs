// The other side of `src/lib.rs`, for browsers and Node: no dependencies, nothing fetched.
//
//   const verifier = await load(bytes)                    // of rota_verify_wasm.wasm
//   verifier.verify(receiptText, { ctx, setId })          // a verdict, or an Error that says why not
//   verifier.verifyLight(proofText, { ctx, l1Block })     // the same of a light proof

/** Makes a verifier from the module's bytes, or from anything else that WebAssembly.instantiate takes. */
export async function load(source) {
  const result = await WebAssembly.instantiate(source, {});
  const { rota_verify_put, rota_verify_run, rota_verify_get } = (result.instance ?? result).exports;

  /** The answer to one question, both as text. */
  function ask(question) {
    const bytes = new TextEncoder().encode(question);
    for (let at = 0; at < bytes.length; at += 4) {
      const count = Math.min(4, bytes.length - at);
      let word = 0;
      for (let i = 0; i < count; i++) word |= bytes[at + i] << (8 * i);
      rota_verify_put(word, count);
    }
    const answer = new Uint8Array(rota_verify_run());
    for (let at = 0; at < answer.length; at += 4) {
      const word = rota_verify_get(at);
      for (let i = 0; i < 4 && at + i < answer.length; i++) answer[at + i] = (word >>> (8 * i)) & 0xff;
    }
    return new TextDecoder().decode(answer);
  }

  function about(trusted, name, text) {
    // The file goes in as it is: parsing it here could change a number.
    const answer = JSON.parse(ask(`${JSON.stringify(trusted).slice(0, -1)},"${name}":${text}}`));
    if (!answer.ok) throw new Error(answer.error);
    return answer.ok;
  }

  return {
    ask,
    /** `receipt`: the text of the file. `ctx` and `setId`: the two hashes that the user trusts. */
    verify(receipt, { ctx, setId }) {
      return about({ ctx, setId }, "receipt", receipt);
    },
    /** `proof`: the text of the file. `l1Block`: hash of an L1 block that the user knows to be final, and
     *  not to be old: a set that left long ago signs anything, and its age is counted up to this block. */
    verifyLight(proof, { ctx, l1Block, trustBlocks }) {
      return about({ ctx, l1Block, trustBlocks }, "light", proof);
    },
  };
}
