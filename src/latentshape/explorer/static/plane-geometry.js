// @ts-check
/**
 * Codes and places of a plane.
 *
 * A place has many codes, one for every choice of the rest (see `latentshape.explorer.axes`): the mean's, the
 * current code's, or the mean of all codes that a Gaussian has there. It is reckoned here from `api/lift`, so that
 * a drag asks the server for pictures only.
 */

import { readable } from "./plane-view.js";

/** What becomes of the rest of a code: value in the URL, words. */
export const RESTS = [
  ["mean", "at the mean"],
  ["current", "as in the current code"],
  ["conditional", "conditional mean"],
];

/** One plane. */
export class Geometry {
  /**
   * @param {any} facts answer of `api/plane`
   * @param {Float32Array} lift (7, d): read-outs, plain steps, conditional steps, mean
   */
  constructor(facts, lift) {
    this.facts = facts;
    const d = lift.length / 7;
    const row = (/** @type {number} */ k) => lift.subarray(k * d, (k + 1) * d);
    this.readouts = [row(0), row(1)];
    this.plain = [row(2), row(3)];
    this.conditional = [row(4), row(5)];
    this.mean = row(6);
  }

  /** @param {Float32Array} code (d,) @returns {[number, number]} its place */
  project(code) {
    const [wx, wy] = this.readouts;
    let [u, v] = this.facts.offset;
    for (let j = 0; j < code.length; j++) {
      u += wx[j] * code[j];
      v += wy[j] * code[j];
    }
    return [u, v];
  }

  /**
   * @param {number} u
   * @param {number} v
   * @param {string} rest one of `RESTS`
   * @param {Float32Array} current the code that rest = current leaves as it is
   * @returns {Float32Array} the code (d,) at a place
   */
  codeAt(u, v, rest, current) {
    const [ex, ey] = rest === "conditional" ? this.conditional : this.plain;
    const base = rest === "current" ? current : this.mean;
    const [u0, v0] = this.project(base);
    return base.map((value, j) => value + (u - u0) * ex[j] + (v - v0) * ey[j]);
  }

  /**
   * @param {number[]} line u, v of A and of B
   * @param {number} steps
   * @param {string} rest
   * @param {Float32Array} current
   * @returns {Float32Array} (steps, d): codes from A to B
   */
  codesAlong([u0, v0, u1, v1], steps, rest, current) {
    const codes = new Float32Array(steps * current.length);
    for (let i = 0; i < steps; i++) {
      const t = i / (steps - 1);
      codes.set(this.codeAt(u0 + t * (u1 - u0), v0 + t * (v1 - v0), rest, current), i * current.length);
    }
    return codes;
  }

  /** @param {number} u @param {number} v @returns {string} where a place is, in the axes' units and in sigmas */
  words(u, v) {
    return [[u, this.facts.x], [v, this.facts.y]]
      .map(([value, axis]) => `${shortName(axis)}: ${readable(value)} (${readable((value - axis.mean) / axis.std, 2)}σ)`)
      .join(", ");
  }
}

/** @param {any} axis facts of one @returns {string} a name for a sentence */
export function shortName(axis) {
  const [kind, which] = axis.axis.split(":");
  if (kind === "pca") return `PCA axis ${Number(which) + 1}`;
  return kind === "component" ? `component ${which}` : which;
}

/** @param {string} text @returns {number[] | null} four numbers separated by commas */
function readFour(text) {
  const found = String(text).split(",").map(Number);
  return text && found.length === 4 && found.every(Number.isFinite) ? found : null;
}

/** @param {string} text of the URL @returns {import("./plane-view.js").Box | null} */
export function readBox(text) {
  const found = readFour(text);
  return found && found[0] < found[1] && found[2] < found[3] ? /** @type {any} */ (found) : null;
}

/** @param {string} text of the URL @returns {number[] | null} u, v of A and of B */
export const readLine = readFour;

/** @param {ArrayLike<number>} values @returns {string} for the URL */
export function written(values) {
  return Array.from(values, (value) => value.toPrecision(5)).join(",");
}
