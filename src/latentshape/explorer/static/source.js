// @ts-check
/**
 * Where everything shown comes from: the only module that asks the server.
 *
 * A page without a server (`latentshape export`) has in its place `serverless/source.js`, whose `Source` has the same
 * methods. Codes are Float32Array, several of them row after row; pixels are Uint8Array (m, h, w, c).
 */

import { KeepingSource, SourceError, fetched, floats } from "./source-base.js";

export { SourceError };

/** @typedef {import("./source-base.js").Pictures} Pictures */

/**
 * @param {Float32Array} codes
 * @returns {ArrayBuffer} little-endian float32
 */
function bytesOf(codes) {
  const view = new DataView(new ArrayBuffer(codes.length * 4));
  codes.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return view.buffer;
}

/** How the server is asked: addresses, refusals, numbers. */
class Server {
  /** @param {string} base what all addresses begin with, relative to the page */
  constructor(base = "api/") {
    this.base = base;
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
  ask(address, options) {
    const silence = "The server does not answer: is latentshape explore still running?";
    return fetched(address, options, silence, async (answer) => {
      const otherwise = `The server answered ${answer.status} ${answer.statusText}`.trim() + ".";
      try {
        return (await answer.json()).error || otherwise;
      } catch {
        return otherwise; // no JSON: what the status says has to do
      }
    });
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
}

/** Asks the server of this page. */
export class Source extends KeepingSource {
  /** @param {string} [base] what all addresses begin with, relative to the page */
  constructor(base) {
    super();
    this.server = new Server(base);
  }

  /** @returns {Promise<any>} what there is: see `api/about` */
  about() {
    return this.once("about", () => this.server.json("about"));
  }

  /** @param {string} x @param {string} y @returns {Promise<any>} facts of a plane */
  plane(x, y) {
    return this.once(`plane ${x} ${y}`, () => this.server.json("plane", { x, y }));
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (7, d): read-outs, plain, conditional, mean */
  lift(x, y) {
    return this.once(`lift ${x} ${y}`, () => this.server.numbers("lift", { x, y }));
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (2, n): all u, then all v */
  points(x, y) {
    return this.once(`points ${x} ${y}`, () => this.server.numbers("points", { x, y }));
  }

  /** @param {string} by @returns {Promise<Float32Array>} (n,), NaN where unknown */
  colour(by) {
    return this.once(`colour ${by}`, () => this.server.numbers("colour", { by }));
  }

  /** @param {string} by @returns {Promise<any>} what the values of `colour` mean */
  legend(by) {
    return this.once(`legend ${by}`, () => this.server.json("legend", { by }));
  }

  /**
   * @param {string} sampler @param {number} seed @param {number} n @param {string} x @param {string} y
   * @returns {Promise<Float32Array>} (2, n) of drawn codes in the plane
   */
  drawn(sampler, seed, n, x, y) {
    return this.server.numbers("drawn", { sampler, seed, n, x, y });
  }

  /** @param {string} ref @returns {Promise<Float32Array>} (d,) */
  code(ref) {
    return this.server.numbers("code", { ref });
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Pictures>}
   */
  async decode(codes) {
    const answer = await this.server.post("decode", { as: "raw" }, codes);
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
    return (await this.server.post("decode", { as, columns }, codes)).blob();
  }

  /** @param {string} ref @returns {Promise<string>} an address for `<img>`: the decoded code */
  async picture(ref) {
    return this.server.address("picture", { ref });
  }

  /** @param {string} ref @returns {Promise<string>} an address for `<img>`: the original image */
  async image(ref) {
    return this.server.address("image", { ref });
  }

  /** @param {Float32Array} code (d,) @returns {Promise<any>} radius, words, scores, nearest training codes */
  async describe(code) {
    return (await this.server.post("describe", {}, code)).json();
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<any>} names and ends */
  sliders(choice) {
    return this.server.json("sliders", choice);
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d): one sigma each */
  slides(choice) {
    return this.server.numbers("slides", choice);
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d + 1) */
  readouts(choice) {
    return this.server.numbers("readouts", choice);
  }

  /**
   * @param {Float32Array} ends (2, d)
   * @param {string} kind one of `about.paths`
   * @param {number} steps
   * @returns {Promise<Float32Array>} (steps, d)
   */
  async path(ends, kind, steps) {
    return floats(await (await this.server.post("path", { kind, steps }, ends)).arrayBuffer());
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Float32Array>} (m,) their Mahalanobis radii
   */
  async radii(codes) {
    return floats(await (await this.server.post("radii", {}, codes)).arrayBuffer());
  }

  /**
   * @param {Blob} photo as it came: JPEG, PNG, ...
   * @param {string} crop
   * @returns {Promise<{ref: string, original: string}>} the code and a data: URL of the square that was encoded
   */
  async encode(photo, crop) {
    return (await this.server.ask(this.server.address("encode", { crop }), { method: "POST", body: photo })).json();
  }

  /** @param {string} split @param {number} start @param {number} n @returns {Promise<any>} refs and ids */
  gallery(split, start, n) {
    return this.server.json("gallery", { split, start, n });
  }

  /** @returns {Promise<any | null>} shape.json; null while it is measured */
  async shape() {
    const answer = await this.server.ask(this.server.address("shape"));
    return answer.status === 202 ? null : answer.json();
  }

  /** @param {number} j @returns {Promise<any>} the number distribution of a component */
  component(j) {
    return this.once(`component ${j}`, () => this.server.json("component", { j }));
  }

  /** @returns {Promise<Float32Array>} (d, d) in the order of `order` */
  correlation() {
    return this.once("correlation", () => this.server.numbers("correlation"));
  }

  /** @returns {Promise<{order: number[]}>} component indices */
  order() {
    return this.once("order", () => this.server.json("order"));
  }

  /** @returns {Promise<any>} the radius law */
  radius() {
    return this.once("radius", () => this.server.json("radius"));
  }

  /** @returns {Promise<any | null>} questions and answers; null while they are measured */
  async verdict() {
    const answer = await this.server.ask(this.server.address("verdict"));
    return answer.status === 202 ? null : answer.json();
  }

  /** @returns {Promise<any | null>} scorecard.json; null where nothing was judged */
  async scorecard() {
    try {
      return await this.server.json("scorecard");
    } catch (error) {
      if (error instanceof SourceError && error.status === 404) return null;
      throw error;
    }
  }
}
