// @ts-check
/**
 * The state of the page as a URL fragment, and codes as text.
 *
 * A state is a plain object. Keys whose default is a number are numbers, all others are strings; keys without a
 * default are kept as they came, so that every view may add its own. What equals its default is left out of the
 * fragment, so that links stay short.
 */

/** @typedef {Record<string, string | number>} State */

/** Views in the order of their tabs; `decodes` tells those that need a decoder. */
export const VIEWS = [
  { name: "plane", label: "Plane", decodes: false },
  { name: "face", label: "Face", decodes: true },
  { name: "gallery", label: "Gallery", decodes: true },
  { name: "shape", label: "Shape", decodes: false },
];

/**
 * Every key of the frame with its default.
 *
 * @param {any} about answer of `api/about`
 * @returns {State}
 */
export function defaults(about) {
  return {
    view: "plane",
    x: about.default.x,
    y: about.default.y,
    colour: "density",
    rest: "mean",
    ellipses: 1,
    contours: 0,
    drawn: "", // a sampler whose draws are shown in the plane; none
    drawn_n: Math.min(500, about.limits.drawn),
    drawn_seed: 0,
    box: "", // x from, x to, y from, y to: the part of the plane in view; all of it
    line: "", // u, v of A and u, v of B; none
    steps: 12,
    sampler: about.default.sampler,
    seed: 0,
    ref: about.default.ref,
    t: 1, // temperature: the code shown is mean + t (code of ref - mean)
    attributes: "", // sliders, separated by commas; the server's choice
  };
}

/**
 * Read a fragment.
 *
 * @param {string} fragment with or without `#`
 * @param {State} base the defaults
 * @returns {State}
 */
export function parseFragment(fragment, base) {
  const state = { ...base };
  for (const [key, value] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (typeof base[key] === "number") {
      const number = Number(value);
      if (value !== "" && Number.isFinite(number)) state[key] = number;
    } else {
      state[key] = value;
    }
  }
  if (!VIEWS.some((view) => view.name === state.view)) state.view = base.view;
  return state;
}

/**
 * Write a state as a fragment.
 *
 * @param {State} state
 * @param {State} base the defaults
 * @returns {string} starting with `#`; `#` alone where everything is at its default
 */
export function formatFragment(state, base) {
  const found = [];
  for (const [key, value] of Object.entries(state)) {
    if (value === base[key] || (value === "" && base[key] === undefined)) continue;
    // Colons and commas are legal in fragments and stay readable.
    const text = encodeURIComponent(String(value)).replace(/%3A/gi, ":").replace(/%2C/gi, ",");
    found.push(`${encodeURIComponent(key)}=${text}`);
  }
  return "#" + found.join("&");
}

/**
 * The name that holds a code itself, exactly.
 *
 * @param {Float32Array} code shape (d,)
 * @returns {string} `z:` and URL-safe base64 of little-endian float32
 */
export function writtenOut(code) {
  const bytes = new Uint8Array(code.length * 4);
  const view = new DataView(bytes.buffer);
  code.forEach((value, i) => view.setFloat32(4 * i, value, true));
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return "z:" + btoa(text).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * The code that such a name holds.
 *
 * @param {string} ref
 * @param {number} d components of a code
 * @returns {Float32Array | null} null: another kind of name, or a damaged one
 */
export function readOut(ref, d) {
  if (!/^z:[\w-]*$/.test(ref)) return null;
  try {
    const text = atob(ref.slice(2).replace(/-/g, "+").replace(/_/g, "/"));
    if (text.length !== 4 * d) return null;
    const view = new DataView(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
    const code = Float32Array.from({ length: d }, (_, j) => view.getFloat32(4 * j, true));
    return code.every(Number.isFinite) ? code : null;
  } catch {
    return null; // no base64
  }
}

/**
 * How many codes there are, in words; of how many, where a page without a server holds some of them.
 *
 * @param {any} about
 * @returns {string}
 */
export function countOf({ n, shipped }) {
  const number = (/** @type {number} */ count) => count.toLocaleString("en");
  return shipped && n < shipped.of ? `${number(n)} of ${number(shipped.of)} codes` : `${number(n)} codes`;
}

/**
 * What a name means, in words for people.
 *
 * @param {string} ref
 * @param {any} about
 * @returns {string}
 */
export function describeRef(ref, about) {
  const [kind, rest] = ref.split(":");
  if (kind === "mean") return "the mean code";
  if (kind === "origin") return "the origin, zero";
  if (kind === "z") return "a code of your own";
  if (about.splits.some((/** @type {any} */ split) => split.name === kind)) {
    return about.images ? `${kind} image ${rest}` : `code ${rest} of ${kind}`;
  }
  return `drawn by ${kind}, seed ${rest}`;
}
