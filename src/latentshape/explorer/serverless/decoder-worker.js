// @ts-check
/** The decoder in a thread of its own: codes come in, images go out, one code a run, so that none depends on others. */

// @ts-ignore: laid beside this file when a run is exported
import * as ort from "./onnxruntime-web/ort.js";

/** @param {string} name @returns {Promise<ArrayBuffer>} */
async function content(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.arrayBuffer();
}

async function open() {
  const [wasm, model] = await Promise.all([content("onnxruntime-web/ort.wasm"), content("decoder.onnx")]);
  // One thread: more would need a page in isolation, which plain file servers do not offer.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  return ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
}

const opened = open();
opened.catch(() => {}); // told to whoever asks for a picture

self.onmessage = async (/** @type {MessageEvent} */ { data: { turn, codes, d } }) => {
  try {
    const session = await opened;
    const parts = [];
    for (let at = 0; at < codes.length; at += d) {
      const found = await session.run({ codes: new ort.Tensor("float32", codes.slice(at, at + d), [1, d]) });
      parts.push(found.images.data);
    }
    const images = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (images.set(part, at), at + part.length), 0);
    self.postMessage({ turn, images }, { transfer: [images.buffer] });
  } catch (error) {
    self.postMessage({ turn, why: error instanceof Error ? error.message : String(error) });
  }
};
