// @ts-check
/**
 * Colour scales, for light and for dark pages.
 *
 * Scales run through anchors in OKLab, where equal steps look equal; their lightness goes one way only, so that
 * order survives a black-and-white print and every kind of colour vision. On a light page more is darker, on a
 * dark page more is lighter.
 */

/** Colours in a scale. */
export const STEPS = 256;

const SCALES = {
  density: {
    light: ["#b4d0ea", "#6ea6d6", "#2f6fb5", "#1b3f86", "#150f3c"],
    dark: ["#274a75", "#24719a", "#2fa39c", "#93d284", "#fdf6c0"],
  },
  sequential: {
    light: ["#e9a63a", "#dd6a4f", "#b03a72", "#6a2a8c", "#2c1a5e"],
    dark: ["#6a55c8", "#b05fc4", "#ee7190", "#ffa766", "#fff0a8"],
  },
  diverging: {
    light: ["#14509e", "#5f93c9", "#a9a9a9", "#d08a55", "#a3440c"],
    dark: ["#7cc0ff", "#5c8bbd", "#6f747b", "#c78a55", "#ffb566"],
  },
};

const CATEGORIES = {
  light: ["#2b6cb0", "#d1570f", "#2f855a", "#8a4fbf", "#b8325a", "#6b6f12"],
  dark: ["#63b3ed", "#f6a04d", "#68d391", "#c4a1f7", "#f78fb3", "#d6d65a"],
};

const UNKNOWN = { light: "#8a919c", dark: "#7d8590" };

/**
 * @param {string} hex `#rrggbb`
 * @returns {[number, number, number]} 0 to 255
 */
export function rgb(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** @param {number} byte of sRGB @returns {number} linear light, 0 to 1 */
function linear(byte) {
  const v = byte / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
}

/** @param {number} v linear light @returns {number} byte of sRGB */
function gamma(v) {
  const s = v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, s)));
}

/** @param {string} hex @returns {number[]} OKLab (Ottosson, 2020) */
function toLab(hex) {
  const [r, g, b] = rgb(hex).map(linear);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {number[]} lab @returns {[number, number, number]} bytes of sRGB */
function fromLab([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    gamma(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    gamma(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    gamma(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
}

/**
 * A scale as a table.
 *
 * @param {"density" | "sequential" | "diverging"} name
 * @param {boolean} dark for a dark page
 * @returns {Uint8Array} shape (STEPS, 3), bytes of sRGB
 */
export function scale(name, dark) {
  const anchors = SCALES[name][dark ? "dark" : "light"].map(toLab);
  const table = new Uint8Array(3 * STEPS);
  for (let i = 0; i < STEPS; i++) {
    const at = (i / (STEPS - 1)) * (anchors.length - 1);
    const k = Math.min(Math.floor(at), anchors.length - 2);
    const lab = anchors[k].map((value, c) => value + (at - k) * (anchors[k + 1][c] - value));
    table.set(fromLab(lab), 3 * i);
  }
  return table;
}

/**
 * Colours of categories, told apart by all kinds of colour vision (the first two at least).
 *
 * @param {number} count
 * @param {boolean} dark
 * @returns {string[]} `#rrggbb`
 */
export function categories(count, dark) {
  const found = CATEGORIES[dark ? "dark" : "light"];
  return Array.from({ length: count }, (_, k) => found[k % found.length]);
}

/** @param {boolean} dark @returns {string} the colour of what is not known */
export function unknown(dark) {
  return UNKNOWN[dark ? "dark" : "light"];
}

/**
 * The scale that suits numbers: two-sided where zero is well inside.
 *
 * @param {number} low
 * @param {number} high
 * @returns {"sequential" | "diverging"}
 */
export function suiting(low, high) {
  return low < 0 && high > 0 && Math.min(-low, high) > 0.25 * Math.max(-low, high)
    ? "diverging"
    : "sequential";
}

/**
 * A scale as a CSS gradient from left to right.
 *
 * @param {"density" | "sequential" | "diverging"} name
 * @param {boolean} dark
 * @returns {string}
 */
export function gradient(name, dark) {
  const table = scale(name, dark);
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map(
    (i) => `rgb(${table[3 * i]} ${table[3 * i + 1]} ${table[3 * i + 2]})`,
  );
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
