// @ts-check
/** What colours and ellipses of the plane say. */

import { categories, gradient, suiting, unknown } from "./colours.js";
import { make } from "./dom.js";
import { percent, readable } from "./plane-view.js";
import { countOf } from "./state.js";

/**
 * The legend of what the points are coloured by.
 *
 * @param {import("./density.js").Density} density
 * @param {boolean} dark
 * @param {() => void} redraw after a category was left out
 * @returns {HTMLElement[]}
 */
export function legendOf(density, dark, redraw) {
  if (density.kind === "density") {
    return [bar("codes per pixel, log scale", gradient("density", dark), "few", "many")];
  }
  if (density.kind === "category") return [checksOf(density, dark, redraw)];
  const { label, low, high } = density.legend;
  const nodes = [bar(label, gradient(suiting(low, high), dark), `≤ ${readable(low)}`, `≥ ${readable(high)}`)];
  if (density.values?.some(Number.isNaN)) {
    nodes.push(make("p", { class: "scale" }, swatch(unknown(dark)), "unknown"));
  }
  return nodes;
}

/**
 * @param {string} title
 * @param {string} colours a CSS gradient
 * @param {string} low
 * @param {string} high
 * @returns {HTMLElement}
 */
function bar(title, colours, low, high) {
  const ramp = make("span", { class: "ramp", "aria-hidden": "true" });
  ramp.style.background = colours;
  return make("p", { class: "scale" }, make("b", {}, title), make("span", {}, low), ramp, make("span", {}, high));
}

/** Categories can be left out one by one, so that nothing depends on telling colours apart. */
function checksOf(/** @type {any} */ density, /** @type {boolean} */ dark, /** @type {() => void} */ redraw) {
  const counts = new Array(256).fill(0);
  for (const index of density.indices) counts[index]++;
  const colours = categories(density.legend.labels.length, dark);
  /** @type {[string, number, string][]} */
  const entries = density.legend.labels.map((/** @type {string} */ label, /** @type {number} */ k) => [label, k, colours[k]]);
  if (counts[255]) entries.push(["unknown", 255, unknown(dark)]);
  const checks = entries.map(([label, k, colour]) => {
    const input = make("input", {
      type: "checkbox",
      onchange: () => {
        density.hide(k, !input.checked);
        redraw();
      },
    });
    input.checked = !density.hidden[k];
    return make("label", { class: "check" }, input, swatch(colour), `${label} (${counts[k].toLocaleString("en")})`);
  });
  return make("fieldset", { class: "checks" }, make("legend", {}, density.legend.label), ...checks);
}

/** @param {string} colour @returns {HTMLElement} */
function swatch(colour) {
  const node = make("span", { class: "swatch", "aria-hidden": "true" });
  node.style.background = colour;
  return node;
}

/**
 * The line of the legend that tells what was drawn.
 *
 * @param {import("./state.js").State} state
 * @returns {HTMLElement}
 */
export function drawnLegend({ drawn, drawn_n: n, drawn_seed: seed }) {
  const words = `drawn by ${drawn}, seeds ${seed} to ${Number(seed) + Number(n) - 1}`;
  return make("p", { class: "scale" }, make("span", { class: "cross", "aria-hidden": "true" }, "×"), words);
}

/**
 * How many codes the ellipses hold, beside how many a Gaussian's would.
 *
 * @param {any} facts answer of `api/plane`
 * @returns {HTMLElement[]} head and body of a table
 */
export function coverageRows({ ellipses, n, of }) {
  const cells = (/** @type {string} */ key) => ellipses.map((/** @type {any} */ e) => make("td", {}, percent(e[key])));
  const head = (/** @type {string} */ scope, /** @type {string} */ text) => make("th", { scope }, text);
  const levels = ellipses.map((/** @type {any} */ e) => head("col", `${e.sigma}σ`));
  const trained = of ? `${n.toLocaleString("en")} of ${of.toLocaleString("en")} training codes` : "training codes";
  return [
    make("thead", {}, make("tr", {}, head("col", "Inside the ellipse"), ...levels)),
    make(
      "tbody",
      {},
      make("tr", {}, head("row", trained), ...cells("observed")),
      make("tr", {}, head("row", "a Gaussian"), ...cells("expected")),
    ),
  ];
}

/**
 * The plane in words, for who cannot see it.
 *
 * @param {any} about
 * @param {any} facts answer of `api/plane`
 * @param {import("./state.js").State} state
 * @returns {string}
 */
export function wordsOf(about, facts, state) {
  const by = about.colours.find((/** @type {any} */ known) => known.by === state.colour)?.label ?? state.colour;
  const words = [
    `${countOf(about)}, ${facts.x.label} against ${facts.y.label}, coloured by ${by}.`,
    `Correlation of the two ${readable(facts.correlation, 2)}.`,
  ];
  for (const { sigma, observed, expected } of facts.ellipses) {
    words.push(`The ${sigma} sigma ellipse holds ${percent(observed)}, a Gaussian ${percent(expected)}.`);
  }
  if (state.drawn) words.push(`${state.drawn_n} codes drawn by ${state.drawn} as crosses.`);
  return words.join(" ");
}
