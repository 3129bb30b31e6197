// @ts-check
/**
 * Where everything shown comes from: the only module that asks the server.
 *
 * A page without a server swaps this module for one whose `Source` has the same methods. Codes are Float32Array,
 * several of them row after row; pixels are Uint8Array (m, h, w, c).
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
function floats(buffer) {
  if (LITTLE_ENDIAN) return new Float32Array(buffer);
  const view = new DataView(buffer);
  return Float32Array.from({ length: buffer.byteLength >> 2 }, (_, i) => view.getFloat32(4 * i, true));
}

/**
 * @param {Float32Array} codes
 * @returns {ArrayBuffer} little-endian float32
 */
function bytesOf(codes) {
  const view = new DataView(new ArrayBuffer(codes.length * 4));
  codes.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return view.buffer;
}

/** Asks the server of this page. */
export class Source {
  /** @param {string} base what all addresses begin with, relative to the page */
  constructor(base = "api/") {
    this.base = base;
    /** @type {Map<string, Promise<any>>} */
    this.kept = new Map();
    /** @type {{code: Float32Array, shown: Function, failed: Function} | null} */
    this.waiting = null;
    this.flying = false;
  }

  /**
   * @param {string} name
   * @param {Record<string, string | number | undefined>} [query] undefined values are left out
   * @returns {string} the address
   */
  address(name, query = {}) {
    const words = Object.entries(query).filter(([, value]) => value !== undefined);
    const text = words.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&");
    return this.base + name + (text && "?" + text);
  }

  /**
   * @param {string} address
   * @param {RequestInit} [options]
   * @returns {Promise<Response>}
   * @throws {SourceError}
   */
  async ask(address, options) {
    let answer;
    try {
      answer = await fetch(address, options);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new SourceError("The server does not answer: is latentshape explore still running?", 0);
    }
    if (answer.ok) return answer;
    let sentence = `The server answered ${answer.status} ${answer.statusText}`.trim() + ".";
    try {
      sentence = (await answer.json()).error || sentence;
    } catch {
      // No JSON: what the status says has to do.
    }
    throw new SourceError(sentence, answer.status);
  }

  /**
   * @param {string} name
   * @param {Record<string, string | number | undefined>} [query]
   * @returns {Promise<any>}
   */
  async json(name, query) {
    return (await this.ask(this.address(name, query))).json();
  }

  /**
   * @param {string} name
   * @param {Record<string, string | number | undefined>} [query]
   * @returns {Promise<Float32Array>}
   */
  async numbers(name, query) {
    return floats(await (await this.ask(this.address(name, query))).arrayBuffer());
  }

  /**
   * @param {string} name
   * @param {Record<string, string | number | undefined>} query
   * @param {Float32Array} codes
   * @returns {Promise<Response>}
   */
  post(name, query, codes) {
    const headers = { "Content-Type": "application/octet-stream" };
    return this.ask(this.address(name, query), { method: "POST", headers, body: bytesOf(codes) });
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

  /** @returns {Promise<any>} what there is: see `api/about` */
  about() {
    return this.once("about", () => this.json("about"));
  }

  /** @param {string} x @param {string} y @returns {Promise<any>} facts of a plane */
  plane(x, y) {
    return this.once(`plane ${x} ${y}`, () => this.json("plane", { x, y }));
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (7, d): read-outs, plain, conditional, mean */
  lift(x, y) {
    return this.once(`lift ${x} ${y}`, () => this.numbers("lift", { x, y }));
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (2, n): all u, then all v */
  points(x, y) {
    return this.once(`points ${x} ${y}`, () => this.numbers("points", { x, y }));
  }

  /** @param {string} by @returns {Promise<Float32Array>} (n,), NaN where unknown */
  colour(by) {
    return this.once(`colour ${by}`, () => this.numbers("colour", { by }));
  }

  /** @param {string} by @returns {Promise<any>} what the values of `colour` mean */
  legend(by) {
    return this.once(`legend ${by}`, () => this.json("legend", { by }));
  }

  /**
   * @param {string} sampler @param {number} seed @param {number} n @param {string} x @param {string} y
   * @returns {Promise<Float32Array>} (2, n) of drawn codes in the plane
   */
  drawn(sampler, seed, n, x, y) {
    return this.numbers("drawn", { sampler, seed, n, x, y });
  }

  /** @param {string} ref @returns {Promise<Float32Array>} (d,) */
  code(ref) {
    return this.numbers("code", { ref });
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Pictures>}
   */
  async decode(codes) {
    const answer = await this.post("decode", { as: "raw" }, codes);
    const shape = (answer.headers.get("X-Shape") ?? "").split(",").map(Number);
    const pixels = new Uint8Array(await answer.arrayBuffer());
    return { pixels, shape: /** @type {[number, number, number, number]} */ (shape) };
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @param {"png" | "strip" | "gif"} as
   * @param {number} [columns] of a strip in several rows
   * @returns {Promise<Blob>} a file to be saved
   */
  async file(codes, as, columns) {
    return (await this.post("decode", { as, columns }, codes)).blob();
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

  /** @param {string} ref @returns {Promise<string>} an address for `<img>`: the decoded code */
  async picture(ref) {
    return this.address("picture", { ref });
  }

  /** @param {string} ref @returns {Promise<string>} an address for `<img>`: the original image */
  async image(ref) {
    return this.address("image", { ref });
  }

  /** @param {Float32Array} code (d,) @returns {Promise<any>} radius, words, scores, nearest training codes */
  async describe(code) {
    return (await this.post("describe", {}, code)).json();
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<any>} names and ends */
  sliders(choice) {
    return this.json("sliders", choice);
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d): one sigma each */
  slides(choice) {
    return this.numbers("slides", choice);
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d + 1) */
  readouts(choice) {
    return this.numbers("readouts", choice);
  }

  /**
   * @param {Float32Array} ends (2, d)
   * @param {string} kind one of `about.paths`
   * @param {number} steps
   * @returns {Promise<Float32Array>} (steps, d)
   */
  async path(ends, kind, steps) {
    return floats(await (await this.post("path", { kind, steps }, ends)).arrayBuffer());
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Float32Array>} (m,) their Mahalanobis radii
   */
  async radii(codes) {
    return floats(await (await this.post("radii", {}, codes)).arrayBuffer());
  }

  /**
   * @param {Blob} photo as it came: JPEG, PNG, ...
   * @param {string} crop
   * @returns {Promise<{ref: string, original: string}>} the code and a data: URL of the square that was encoded
   */
  async encode(photo, crop) {
    return (await this.ask(this.address("encode", { crop }), { method: "POST", body: photo })).json();
  }

  /** @param {string} split @param {number} start @param {number} n @returns {Promise<any>} refs and ids */
  gallery(split, start, n) {
    return this.json("gallery", { split, start, n });
  }

  /** @returns {Promise<any | null>} shape.json; null while it is measured */
  async shape() {
    const answer = await this.ask(this.address("shape"));
    return answer.status === 202 ? null : answer.json();
  }

  /** @param {number} j @returns {Promise<any>} the number distribution of a component */
  component(j) {
    return this.once(`component ${j}`, () => this.json("component", { j }));
  }

  /** @returns {Promise<Float32Array>} (d, d) in the order of `order` */
  correlation() {
    return this.once("correlation", () => this.numbers("correlation"));
  }

  /** @returns {Promise<{order: number[]}>} component indices */
  order() {
    return this.once("order", () => this.json("order"));
  }

  /** @returns {Promise<any>} the radius law */
  radius() {
    return this.once("radius", () => this.json("radius"));
  }

  /** @returns {Promise<any | null>} questions and answers; null while they are measured */
  async verdict() {
    const answer = await this.ask(this.address("verdict"));
    return answer.status === 202 ? null : answer.json();
  }

  /** @returns {Promise<any | null>} scorecard.json; null where nothing was judged */
  async scorecard() {
    try {
      return await this.json("scorecard");
    } catch (error) {
      if (error instanceof SourceError && error.status === 404) return null;
      throw error;
    }
  }
}
