// @ts-check
/** The decoder of a run, run by this browser. */

import { SourceError } from "./source-base.js";

/** Codes to images, in a thread of its own. */
export class Decoder {
  /** @param {number} d components of a code */
  constructor(d) {
    this.d = d;
    this.turn = 0;
    /** @type {Map<number, {resolve: (images: Float32Array) => void, reject: (error: Error) => void}>} */
    this.asked = new Map();
    /** @type {Worker | null} begun when it is first needed */
    this.worker = null;
  }

  begin() {
    const worker = new Worker(new URL("decoder-worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data: { turn, images, why } }) => {
      const { resolve, reject } = this.asked.get(turn) ?? {};
      this.asked.delete(turn);
      if (images) resolve?.(images);
      else reject?.(new SourceError(`The decoder could not be run in this browser (${why}).`, 0));
    };
    worker.onerror = () => {
      for (const { reject } of this.asked.values()) {
        reject(new SourceError("The decoder could not be loaded: are all files of the folder on the server?", 0));
      }
      this.asked.clear();
      this.worker = null; // the next one may begin again
    };
    return worker;
  }

  /** @param {Float32Array} codes (m, d) @returns {Promise<Float32Array>} (m, c, h, w) in [0, 1] */
  decode(codes) {
    this.worker ??= this.begin();
    const turn = ++this.turn, { worker } = this;
    return new Promise((resolve, reject) => {
      this.asked.set(turn, { resolve, reject });
      worker.postMessage({ turn, codes, d: this.d });
    });
  }
}
