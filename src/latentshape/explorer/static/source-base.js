// @ts-check
/**
 * What every source of the page has, whether it asks a server or reads files: refusals in words, numbers from bytes,
 * answers kept, and one code decoded at a time.
 */

/** A request that was refused, or that nobody answered; the message is a sentence for people. */
export class SourceError extends Error {
  /**
   * @param {string} sentence
   * @param {number} status of HTTP, 0 where nobody answered
   */
  constructor(sentence, status) {
    super(sentence);
    this.name = "SourceError";
    this.status = status;
  }
}

/**
 * @typedef {Object} Pictures
 * @property {Uint8Array} pixels shape (m, h, w, c), 0 to 255
 * @property {[number, number, number, number]} shape m, h, w, c
 */

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * @param {ArrayBuffer} buffer little-endian float32
 * @returns {Float32Array}
 */
export function floats(buffer) {
  if (LITTLE_ENDIAN) return new Float32Array(buffer);
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength >> 2 }, (_, i) => view.getFloat32(4 * i, true));
}

/**
 * Fetch, or say in a sentence why not.
 *
 * @param {string} address
 * @param {RequestInit | undefined} options
 * @param {string} silence what is said where nobody answers
 * @param {(answer: Response) => Promise<string> | string} refusal what is said of an answer that is a refusal
 * @returns {Promise<Response>}
 * @throws {SourceError}
 */
export async function fetched(address, options, silence, refusal) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new SourceError(silence, 0);
  }
  if (answer.ok) return answer;
  throw new SourceError(await refusal(answer), answer.status);
}

/** A source keeps answers, and decodes the latest of the codes that come while it decodes. */
export class KeepingSource {
  constructor() {
    /** @type {Map<string, Promise<any>>} */
    this.kept = new Map();
    /** @type {{code: Float32Array, shown: Function, failed: Function} | null} */
    this.waiting = null;
    this.flying = false;
  }

  /**
   * An answer that never changes, asked for once; the oldest of 24 go first.
   *
   * @template T
   * @param {string} key
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  once(key, work) {
    const known = this.kept.get(key);
    if (known) return known;
    const answer = work();
    this.kept.set(key, answer);
    answer.catch(() => this.kept.delete(key)); // the next one may ask again
    if (this.kept.size > 24) this.kept.delete(this.kept.keys().next().value ?? "");
    return answer;
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Pictures>}
   */
  async decode(codes) {
    throw new SourceError(`Nothing here decodes ${codes.length} numbers.`, 0);
  }

  /**
   * Decode one code, with one request in flight: of the codes that come meanwhile only the latest is decoded.
   *
   * @param {Float32Array} code (d,)
   * @param {(pictures: Pictures, code: Float32Array) => void} shown
   * @param {(error: Error) => void} failed
   */
  live(code, shown, failed) {
    this.waiting = { code, shown, failed };
    if (!this.flying) this.fly();
  }

  /** Decode what waits until nothing waits any more. */
  async fly() {
    this.flying = true;
    while (this.waiting) {
      const { code, shown, failed } = this.waiting;
      this.waiting = null;
      try {
        shown(await this.decode(code), code);
      } catch (error) {
        failed(error);
      }
    }
    this.flying = false;
  }
}
