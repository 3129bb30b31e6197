// @ts-check
/** The verdict, and the numbers it rests on, each beside its control. */

import { number, numbersTable, percent } from "./charts.js";
import { make } from "./dom.js";

/** Questions of the verdict, by their key in shape.json. */
const QUESTIONS = {
  pairs_normal: "Is every pair of components normal?",
  elliptical: "Is the cloud elliptical?",
  multivariate_normal: "Is it jointly normal?",
  regions: "How many regions has it?",
  sampler: "What to draw from, by its shape alone?",
};
/** Sigma levels and |r| thresholds of the small tables. */
const LEVELS = [1, 2, 3], THRESHOLDS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"];

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 * @param {(body: HTMLElement) => Promise<any>} shape the record, when it is there
 */
export async function verdictPanel(body, app, shape) {
  const record = await shape(body);
  const verdict = await app.source.verdict();
  body.replaceChildren(
    make("ul", { class: "verdict" }, ...(verdict ?? []).map(answer)),
    make("p", { class: "note" }, "A departure counts when it is more than chance and more than a stated tolerance. "
      + "Of many codes every test rejects; the effect beside its control, an equal-size draw from the fitted Gaussian, is "
      + "the answer."),
    facts(record),
    make("div", { class: "pair-of-tables" }, ...coverageTable(record), ...correlationTable(record)),
    ...(record.normality ? [normalityTable(record.normality)] : []),
  );
}

/** @param {{question: string, value: boolean | number | string | null, why: string}} entry */
function answer({ question, value, why }) {
  const words = value === null ? "undecided" : value === true ? "yes" : value === false ? "no" : String(value);
  return make("li", { class: `answer ${value === true ? "yes" : value === false ? "no" : "other"}` },
    make("span", { class: "question" }, QUESTIONS[/** @type {keyof typeof QUESTIONS} */ (question)] ?? question),
    make("b", {}, words),
    make("span", { class: "why" }, why));
}

/** @param {any} shape */
function facts(shape) {
  const { centre, mahalanobis: m, pca, component_summary: summary } = shape;
  const cards = [];
  const card = (/** @type {string} */ value, /** @type {string} */ words, /** @type {string} */ control = "") =>
    cards.push(make("li", {}, make("b", {}, value), make("span", {}, words),
      ...(control ? [make("small", {}, control)] : [])));
  card(number(shape.n, 0), `training codes of ${number(shape.d, 0)} components`);
  if (centre?.offset_sigma != null) {
    card(`${number(centre.offset_sigma, 1)} σ`, `from the mean to the origin; √d = ${number(centre.sqrt_d, 1)}`,
      centre.origin_quantile == null ? "" : `farther out than ${percent(centre.origin_quantile)} of the codes`
        + (centre.origin_quantile_expected == null ? "" : `; of a Gaussian’s ${percent(centre.origin_quantile_expected)}`));
  }
  if (m?.variance_ratio != null) {
    card(`${number(m.variance_ratio, 2)} ×`, "the Gaussian law’s variance of the squared Mahalanobis radius",
      `control ${number(m.control?.variance_ratio, 2)}`
        + (m.held_out?.variance_ratio == null ? "" : `; held-out codes ${number(m.held_out.variance_ratio, 2)}`));
  }
  if (pca?.effective_dimension != null) {
    card(number(pca.effective_dimension, 1), `effective dimension, of ${number(shape.d, 0)}`,
      pca.control ? `control ${number(pca.control.effective_dimension, 1)}` : "");
  }
  if (summary?.dominant) {
    card(String(summary.dominant.length), summary.dominant.length === 1 ? "dominant component" : "dominant components",
      !summary.dominant.length || summary.dominant_share_of_offset == null ? ""
        : `with ${percent(summary.dominant_share_of_offset, 0)} of the squared distance between mean and origin`);
  }
  return make("ul", { class: "facts" }, ...cards);
}

/** @param {any} shape */
function coverageTable(shape) {
  const coverage = shape.ellipses?.coverage;
  if (!coverage) return [];
  const rows = coverage.filter((/** @type {any} */ c) => LEVELS.includes(c.sigma));
  return [small("Codes inside the ellipses of pairs of components", ["ellipse", "observed", "expected", "control"],
    rows.map((/** @type {any} */ c) =>
      [`${c.sigma} σ`, percent(c.observed, 2), percent(c.expected, 2), percent(c.control, 2)]),
    `Means over ${number(shape.ellipses.n_pairs, 0)} pairs; expected of a Gaussian: 1 − exp(−k²/2).`)];
}

/** @param {any} shape */
function correlationTable(shape) {
  const counts = shape.correlation?.counts;
  if (!counts) return [];
  const { control, independent, n_pairs: pairs } = shape.correlation;
  return [small("Pairs of components with |r| above a threshold", ["|r| above", "pairs", "share", "control", "if independent"],
    THRESHOLDS.filter((t) => t in counts).map((t) => [t, number(counts[t], 0), percent(counts[t] / pairs),
      number(control?.counts?.[t], 0), independent?.[t] == null ? "–" : number(independent[t], 0)]),
    `Of ${number(pairs, 0)} pairs. The control has the measured covariance: it shows the sampling error alone. `
      + "If independent: as many as chance would put there.")];
}

/** @param {string} caption @param {string[]} columns @param {string[][]} rows @param {string} note */
function small(caption, columns, rows, note) {
  return make("div", {}, make("div", { class: "scroll" }, make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...columns.map((c) => make("th", { scope: "col" }, c)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, k) => k
      ? make("td", {}, cell) : make("th", { scope: "row" }, cell))))))),
  make("p", { class: "note" }, note));
}

/** @param {Record<string, any>} normality */
function normalityTable(normality) {
  const tests = Object.entries(normality).filter(([, t]) => t && "effect" in t);
  const figure = (/** @type {number | null | undefined} */ v) => {
    if (v == null || !Number.isFinite(v)) return "–";
    const tiny = v !== 0 && Math.abs(v) < 1e-4;
    return (tiny ? v.toExponential(1) : v.toLocaleString("en", { maximumSignificantDigits: 3 })).replace(/-/g, "−");
  };
  return numbersTable("Tests of joint normality: effects beside those of a Gaussian draw of equal size",
    ["test", "effect", "control", "p", "codes used"],
    () => tests.map(([name, t]) => [name, figure(t.effect), figure(t.control?.effect), t.pvalue == null ? "–"
      : t.pvalue < 0.001 ? "< 0.001" : number(t.pvalue, 3), number(t.n_used, 0)]), "The tests of joint normality");
}
