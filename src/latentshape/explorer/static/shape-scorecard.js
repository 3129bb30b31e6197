// @ts-check
/** The scorecard as a table: yardsticks, then samplers, the best of each column marked. */

import { number } from "./charts.js";
import { make } from "./dom.js";

/** Rows of the scorecard that are no samplers' claims but yardsticks, in reading order. */
const YARDSTICKS = ["real", "reconstruction", "training-codes", "neighbours", "phase-scrambled"];
/**
 * Columns of the scorecard: what it is called, where it stands in a row, decimals, which end is better (1: more, -1:
 * less, 0: neither, as both a copy and noise are extreme).
 * @type {{label: string, path: string[], digits: number, better: -1 | 0 | 1}[]}
 */
const COLUMNS = [
  { label: "face rate", path: ["face_rate"], digits: 3, better: 1 },
  { label: "gap, random-conv", path: ["gap", "random-conv"], digits: 2, better: -1 },
  { label: "gap, pixel-pca", path: ["gap", "pixel-pca"], digits: 2, better: -1 },
  { label: "gap, attributes", path: ["gap", "attributes"], digits: 2, better: -1 },
  { label: "gap, inception", path: ["gap", "inception"], digits: 2, better: -1 },
  { label: "gap, dinov2", path: ["gap", "dinov2"], digits: 2, better: -1 },
  { label: "precision", path: ["sampler_precision"], digits: 2, better: 1 },
  { label: "recall", path: ["sampler_recall"], digits: 2, better: 1 },
  { label: "diversity", path: ["diversity"], digits: 2, better: 0 },
  { label: "novelty", path: ["novelty"], digits: 2, better: 0 },
  { label: "Mahalanobis radius", path: ["radius"], digits: 1, better: 0 },
  { label: "log-likelihood, nats", path: ["log_likelihood"], digits: 1, better: 1 },
];

/** @typedef {{value: number | null, low?: number, high?: number, n?: number, why?: string}} Entry of a scorecard */

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 */
export async function scorecardPanel(body, app) {
  const card = await app.source.scorecard();
  if (!card) {
    body.replaceChildren(make("p", { class: "waiting" },
      "No sampler was judged yet: latentshape evaluate does, and this shows what it finds."));
    return;
  }
  const rows = /** @type {Record<string, any>} */ (card.rows);
  const yardsticks = YARDSTICKS.filter((name) => name in rows);
  const samplers = Object.keys(rows).filter((name) => !yardsticks.includes(name));
  const gap = (/** @type {string} */ name) => entryAt(rows[name], ["gap", "random-conv"])?.value ?? Infinity;
  samplers.sort((a, b) => gap(a) - gap(b));
  const columns = COLUMNS.filter(({ path }) => Object.values(rows).some((row) => entryAt(row, path)?.value != null));
  const best = columns.map((column) => standing(samplers, rows, column));
  const beside = (/** @type {string} */ name) => app.go({
    view: "gallery", g_show: "", g_samplers: [...new Set([name, "gaussian", "standard-normal"])].join(","),
  });
  const line = (/** @type {string} */ name) => make("tr", {},
    make("th", { scope: "row" }, app.about.samplers.includes(name)
      ? make("button", { type: "button", class: "link", title: "Look at its pictures", onclick: () => beside(name) }, name)
      : name),
    ...columns.map(({ path, digits }, k) => {
      const entry = entryAt(rows[name], path), stands = best[k].get(name);
      if (!entry || entry.value == null) return make("td", { title: entry?.why ?? "not measured" }, "–");
      return make("td", { class: stands ?? "" }, make("span", { class: "value" },
        ...(stands ? [make("span", { class: "mark", title: stands === "best" ? "best of the samplers" : "level with the best" },
          make("span", { "aria-hidden": "true" }, stands === "best" ? "★ " : "≈ "),
          make("span", { class: "spoken" }, stands === "best" ? "best: " : "level with the best: "))] : []),
        number(entry.value, digits)),
      ...(entry.low == null || entry.low === entry.high ? []
        : [make("small", {}, number(entry.low, digits) + (entry.low < 0 ? " to " : " – ") + number(entry.high, digits))]));
    }));
  const group = (/** @type {string} */ title, /** @type {string[]} */ names) => make("tbody", {},
    make("tr", { class: "group" }, make("th", { scope: "colgroup", colspan: columns.length + 1 }, title)), ...names.map(line));
  const advice = card.recommendation;
  body.replaceChildren(
    ...(advice?.value
      ? [make("p", { class: "advice" }, make("b", {}, `Draw from: ${advice.value}.`), ` ${sentence(advice.why)}`)] : []),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scorecard, scrolls sideways" },
      make("table", { class: "card" },
        make("caption", { class: "spoken" }, "Scorecard: yardsticks, then samplers by their gap"),
        make("thead", {}, make("tr", {}, make("td"), ...columns.map(({ label, better }) => make("th", { scope: "col" },
          label, ...(better ? [make("small", {}, better > 0 ? "more is better" : "less is better")] : []))))),
        group("yardsticks", yardsticks), group("samplers", samplers))),
    make("p", { class: "note" }, `★ best of the samplers in its column, ≈ level with it: their ranges meet. In small print the range `
      + `over ${card.draws} draws; of face rate and log-likelihood, a 95 % interval. ${number(card.n, 0)} pictures a row and draw. `
      + "Gap: Fréchet distance to reconstructions of test images by the same decoder, in the named features; precision and "
      + "recall are among reconstructions, in random-conv features: a law of little variety wins the first and loses the second. "
      + "Log-likelihood: of held-out codes, each. A name opens its pictures."));
}

/** @param {any} row @param {string[]} path @returns {Entry | undefined} */
function entryAt(row, path) {
  return path.reduce((found, name) => found?.[name], row);
}

/**
 * Which samplers are best in a column, and which are level with the best.
 * @param {string[]} names
 * @param {Record<string, any>} rows
 * @param {{path: string[], better: -1 | 0 | 1}} column
 * @returns {Map<string, "best" | "level">}
 */
function standing(names, rows, { path, better }) {
  /** @type {Map<string, "best" | "level">} */
  const found = new Map();
  const judged = names.filter((name) => entryAt(rows[name], path)?.value != null);
  if (!better || judged.length < 2) return found;
  const value = (/** @type {string} */ name) => better * /** @type {number} */ (entryAt(rows[name], path)?.value);
  const first = judged.reduce((a, b) => (value(b) > value(a) ? b : a));
  const top = /** @type {Entry} */ (entryAt(rows[first], path));
  for (const name of judged) {
    const entry = /** @type {Entry} */ (entryAt(rows[name], path));
    if (name === first) found.set(name, "best");
    else if (entry.low != null && top.low != null && entry.high != null && top.high != null
      && entry.low <= top.high && top.low <= entry.high) found.set(name, "level");
  }
  return found;
}

/** @param {string} words with a capital and a full stop */
function sentence(words) {
  const text = words.trim();
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
