// @ts-check
/**
 * The shape view: what the cloud of codes looks like, with its controls; each figure leads into the plane view.
 *
 * Figures come from the codes themselves and are there at once; the verdict and most numbers come from the
 * measurement (shape.json), which takes a while for bare codes: those panels say so and fill when it is done.
 */

import {
  addFrame, addLine, addRule, addSteps, frame, key, matrix, number, numbersTable, percent, responsive,
} from "./charts.js";
import { make, makeSVG } from "./dom.js";

/** Questions of the verdict, by their key in shape.json. */
const QUESTIONS = {
  pairs_normal: "Is every pair of components normal?",
  elliptical: "Is the cloud elliptical?",
  multivariate_normal: "Is it jointly normal?",
  regions: "How many regions has it?",
  sampler: "What to draw from, by its shape alone?",
};
/** Histograms on a page, and milliseconds between two questions whether the measurement is done. */
const PAGE = 12, PATIENCE = 1500;
/** Sigma levels and |r| thresholds of the small tables. */
const LEVELS = [1, 2, 3], THRESHOLDS = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"];

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
 * Put the shape view into an element.
 * @param {HTMLElement} element emptied and filled when the view is first shown
 * @param {any} app of main.js
 * @returns {{show(): void, hide(): void}}
 */
export function mountShape(element, app) {
  let filled = false, seen = false;

  /** Whether the view is in sight, for those who wait for the measurement. */
  const visible = () => seen;
  const fill = () => {
    const panels = [
      panel("The cloud in short", "verdict", (body) => short(body, app, visible)),
      panel("How far the codes lie from their mean", "radius", (body) => radiusPanel(body, app)),
      panel("Number distributions of the components", "components", (body) => componentsPanel(body, app)),
      panel("Correlations", "correlations", (body) => correlationPanel(body, app)),
      panel("Spectrum of the principal axes", "spectrum", (body) => spectrumPanel(body, app, visible)),
    ];
    if (app.about.decodes) panels.push(panel("Scorecard of the samplers", "scorecard", (body) => scorecardPanel(body, app)));
    const contents = make("nav", { class: "shape-contents", "aria-label": "Figures of the shape view" },
      ...panels.map(({ section, title, short: word }) => make("button", { type: "button", title, onclick: () => {
          const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
          section.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
          section.querySelector("h2").focus({ preventScroll: true });
        } }, word)));
    element.classList.add("shape-view");
    element.replaceChildren(contents, ...panels.map(({ section }) => section));
    for (const { load } of panels) load(app);
  };
  return {
    show() {
      seen = true;
      if (!filled) { filled = true; fill(); }
    },
    hide() { seen = false; },
  };
}

/**
 * A section that says when its content is on its way and why it did not come.
 * @param {string} title
 * @param {string} short one word, also the section's data-panel
 * @param {(body: HTMLElement) => Promise<void>} content
 */
function panel(title, short, content) {
  const body = make("div", { class: "panel-body" }, make("p", { class: "waiting" }, "Loading …"));
  const name = `shape-${short}`;
  const section = make("section", { class: "panel", "data-panel": short, "aria-labelledby": name, "aria-busy": "true" },
    make("h2", { id: name, tabindex: "-1" }, title), body);
  const load = async (/** @type {any} */ app) => {
    try {
      await content(body);
    } catch (error) {
      body.replaceChildren(make("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
      app.complain(error);
    }
    section.removeAttribute("aria-busy");
  };
  return { section, title, short, load };
}

/**
 * The measured shape, waited for while it is measured.
 * @param {any} app
 * @param {() => boolean} visible asked before each question, so that a hidden view asks nothing
 * @param {() => void} [onWait] told when there is something to wait for
 * @returns {Promise<any>} as in shape.json
 */
function measured(app, visible, onWait) {
  return new Promise((resolve, reject) => {
    const ask = async () => {
      if (!visible()) { setTimeout(ask, PATIENCE); return; }
      try {
        const found = await app.source.shape();
        if (found) { resolve(found); return; }
        onWait?.();
        setTimeout(ask, PATIENCE);
      } catch (error) {
        reject(error);
      }
    };
    ask();
  });
}

const MEASURING = "The codes are being measured, which takes from seconds to minutes; this fills in when it is done.";

// --- verdict and numbers -----------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app @param {() => boolean} visible */
async function short(body, app, visible) {
  const shape = await measured(app, visible, () => body.replaceChildren(make("p", { class: "waiting" }, MEASURING)));
  const verdict = await app.source.verdict();
  body.replaceChildren(
    make("ul", { class: "verdict" }, ...(verdict ?? []).map(answer)),
    make("p", { class: "note" }, "A departure counts when it is more than chance and more than a stated tolerance. "
      + "Of many codes every test rejects; the effect beside its control, an equal-size draw from the fitted Gaussian, is the answer."),
    facts(shape),
    make("div", { class: "pair-of-tables" }, ...coverageTable(shape), ...correlationTable(shape)),
    ...(shape.normality ? [normalityTable(shape.normality)] : []),
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
      summary.dominant_share_of_offset == null ? ""
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
    `Of ${number(pairs, 0)} pairs. The control has the measured covariance: it shows the sampling error alone.`)];
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
  const figure = (/** @type {number | null | undefined} */ v) =>
    v == null || !Number.isFinite(v) ? "–" : v === 0 ? "0" : v.toPrecision(3).includes("e") ? v.toExponential(1).replace(/-/g, "−")
      : Number(v.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 }).replace("-", "−");
  return numbersTable("Tests of joint normality: effects beside those of a Gaussian draw of equal size",
    ["test", "effect", "control", "p", "codes used"],
    () => tests.map(([name, t]) => [name, figure(t.effect), figure(t.control?.effect), t.pvalue == null ? "–"
      : t.pvalue < 0.001 ? "< 0.001" : number(t.pvalue, 3), number(t.n_used, 0)]), "The tests of joint normality");
}

// --- radius ------------------------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app */
async function radiusPanel(body, app) {
  const found = await app.source.radius();
  const { edges, observed, control, law, origin, variance_ratio: ratio } = found;
  const middle = app.about.radius, last = edges[edges.length - 1];
  // The origin is part of the picture unless it would squeeze the cloud into a corner.
  const near = origin <= last + 0.8 * (last - edges[0]);
  const high = near ? Math.max(last, origin * 1.02) : last;
  const top = 1.08 * Math.max(...observed, ...control, ...law.y);
  const place = `the origin lies at ${number(origin, 1)}`
    + (near ? "" : ", far beyond the right edge");
  const sentence = `Codes have a median Mahalanobis radius of ${number(middle.median, 1)}, 98 % of them between `
    + `${number(middle.quantiles["0.01"], 1)} and ${number(middle.quantiles["0.99"], 1)}; √d = ${number(middle.sqrt_d, 1)}; ${place}. `
    + `The squared radius has ${number(ratio, 2)} times a Gaussian’s variance: it is `
    + `${ratio > 1.5 ? "far more spread than a Gaussian’s, which ellipses of 2 σ do not show"
      : ratio > 1.1 ? "more spread than a Gaussian’s" : ratio < 0.9 ? "less spread than a Gaussian’s" : "spread about as a Gaussian’s"}.`;
  const canvas = make("div", { class: "chart-place" });
  body.replaceChildren(
    key([
      { name: "codes-area", kind: "area", words: "codes" },
      { name: "control-line", kind: "line", words: "control: as many draws of the fitted Gaussian" },
      { name: "law-line", kind: "line", words: found.name },
      { name: "origin-rule", kind: "rule", words: "origin" },
    ]),
    make("figure", {}, canvas, make("figcaption", {}, sentence)),
    numbersTable("Densities of the Mahalanobis radius", ["radius from", "to", "codes", "control"],
      () => observed.map((/** @type {number} */ v, /** @type {number} */ k) =>
        [number(edges[k], 2), number(edges[k + 1], 2), number(v, 4), number(control[k], 4)])),
  );
  responsive(canvas, (width) => {
    const made = frame({
      width, height: width < 560 ? 260 : 320, label: `Histogram of Mahalanobis radii. ${sentence}`,
      x: { low: edges[0], high, label: "Mahalanobis radius (standard deviations)" },
      y: { low: 0, high: top, label: "density, per unit of radius" },
    });
    addSteps(made, edges, observed, "codes-area");
    addSteps(made, edges, control, "control-line");
    addLine(made, law.x, law.y, "law-line");
    if (near) addRule(made, origin, "origin-rule", `origin, ${number(origin, 1)}`);
    else made.plot.append(makeSVG("text", { class: "origin-rule words", x: made.box.right - 6, y: made.box.top + 12, "text-anchor": "end" }, `origin at ${number(origin, 1)} →`));
    return made.svg;
  });
}

// --- components --------------------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app */
async function componentsPanel(body, app) {
  const mean = Array.from(/** @type {Float32Array} */ (await app.source.code("mean")));
  const orders = {
    mean: mean.map((_, j) => j).sort((i, j) => Math.abs(mean[j]) - Math.abs(mean[i])),
    index: mean.map((_, j) => j),
  };
  const pages = Math.ceil(mean.length / PAGE);
  let order = /** @type {"mean" | "index"} */ ("mean"), page = 0, asked = 0;
  const remember = () => app.go({ s_sort: order === "mean" ? "" : order, s_page: page ? String(page + 1) : "" }, { replace: true });
  const recall = () => {
    order = app.state.s_sort === "index" ? "index" : "mean";
    page = Math.max(0, Math.min(pages - 1, Math.round(Number(app.state.s_page || 1)) - 1 || 0));
  };
  const grid = make("div", { class: "component-grid" });
  const where = make("span", { class: "where", role: "status" });
  const step = (/** @type {number} */ by) => { page = (page + by + pages) % pages; remember(); show(); };
  const sort = make("select", { onchange: () => { order = sort.value; page = 0; remember(); show(); } },
    make("option", { value: "mean" }, "distance of the mean from zero"),
    make("option", { value: "index" }, "index"));
  const go = make("input", { type: "number", min: 0, max: mean.length - 1, step: 1, onchange: () => {
    const j = Math.round(Number(go.value));
    if (go.value === "" || !(j >= 0 && j < mean.length)) {
      app.say(`Components are numbered 0 to ${mean.length - 1}, got ${go.value || "nothing"}.`);
      return;
    }
    page = Math.floor(orders[order].indexOf(j) / PAGE);
    remember();
    show(j);
  } });
  const show = async (/** @type {number | undefined} */ wanted = undefined) => {
    const turn = ++asked;
    const chosen = orders[order].slice(page * PAGE, page * PAGE + PAGE);
    where.textContent = `${page * PAGE + 1}–${page * PAGE + chosen.length} of ${mean.length}`;
    grid.setAttribute("aria-busy", "true");
    try {
      const found = await Promise.all(chosen.map((j) => app.source.component(j)));
      if (turn !== asked) return;
      grid.replaceChildren(...found.map((facts) => histogram(facts, app, facts.j === wanted)));
    } catch (error) {
      if (turn !== asked) return;
      grid.replaceChildren(make("p", { class: "problem" }, /** @type {Error} */ (error).message));
      app.complain(error);
    }
    grid.removeAttribute("aria-busy");
  };
  body.replaceChildren(
    make("div", { class: "controls" },
      make("label", {}, "Sorted by ", sort),
      make("span", { class: "pager" },
        make("button", { type: "button", "aria-label": "Previous components", onclick: () => step(-1) }, "‹"),
        where,
        make("button", { type: "button", "aria-label": "Next components", onclick: () => step(1) }, "›")),
      make("label", {}, "Go to component ", go)),
    key([
      { name: "codes-area", kind: "area", words: "number of codes in each interval" },
      { name: "law-line", kind: "line", words: "least-squares Gaussian" },
      { name: "origin-rule", kind: "rule", words: "zero" },
    ]),
    grid,
    make("p", { class: "note" }, "A click opens the plane of a component and the one it is most correlated with. hw: half-width at "
      + "half of the maximum; skew, kurt: skewness and excess kurtosis, 0 for a Gaussian; R²: share of the counts’ variance that the Gaussian explains."));
  app.onChange((/** @type {any} */ state, /** @type {Set<string>} */ changed) => {
    if (!changed.has("s_sort") && !changed.has("s_page")) return;
    const before = `${order} ${page}`;
    recall();
    sort.value = order;
    // What came from here is on its way already.
    if (`${order} ${page}` !== before) show();
  });
  recall();
  sort.value = order;
  await show();
}

/** @param {any} facts of api/component @param {any} app @param {boolean} focused */
function histogram(facts, app, focused) {
  const { j, edges, counts, mean, std, fit } = facts;
  const canvas = make("div", { class: "chart-place" });
  const words = `Component ${j}: mean ${number(mean)}, standard deviation ${number(std)}, half-width ${number(facts.half_width)}, `
    + `skewness ${number(facts.skewness)}, excess kurtosis ${number(facts.excess_kurtosis)}, R² of the Gaussian ${number(fit.r2, 4)}.`;
  const made = make("button", { type: "button", class: "component", "aria-label": `${words} Open its plane.`, title: "Open its plane", onclick: async () => {
      const partner = await partnerOf(j, app);
      app.go({ view: "plane", x: `component:${j}`, y: partner === null ? `component:${j === 0 ? 1 : 0}` : `component:${partner}` });
    } },
  make("strong", {}, `component ${j}`), canvas,
  make("small", {}, ...[["mean", mean], ["σ", std], ["hw", facts.half_width], ["skew", facts.skewness],
    ["kurt", facts.excess_kurtosis], ["R²", fit.r2, 3]].map(([name, value, digits]) => make("span", {}, `${name} ${number(value, digits)}`))));
  // The tails are long and thin: four standard deviations, and zero wherever it is, are what one wants to see.
  const low = Math.min(Math.max(edges[0], mean - 4.5 * std), 0 - 0.3 * std), high = Math.max(Math.min(edges[edges.length - 1], mean + 4.5 * std), 0.3 * std);
  const top = 1.06 * Math.max(...counts, ...fit.y);
  responsive(canvas, (width) => {
    const drawn = frame({ width, height: 130, small: true,
      x: { low, high, label: "" }, y: { low: 0, high: top, label: "" }, margin: { top: 8, right: 8 } });
    addSteps(drawn, edges, counts, "codes-area");
    addLine(drawn, fit.x, fit.y, "law-line");
    addRule(drawn, 0, "origin-rule");
    return drawn.svg;
  });
  if (focused) requestAnimationFrame(() => made.focus());
  return made;
}

/** @type {WeakMap<object, Promise<{order: number[], values: Float32Array}>>} */
const matrices = new WeakMap();

/**
 * The correlation matrix, asked for once.
 * @param {any} app
 * @returns {Promise<{order: number[], values: Float32Array}>} `values` (d * d) in the order of `order`
 */
function correlations(app) {
  let asked = matrices.get(app);
  if (!asked) {
    asked = Promise.all([app.source.order(), app.source.correlation()])
      .then(([{ order }, values]) => ({ order, values }));
    asked.catch(() => matrices.delete(app));
    matrices.set(app, asked);
  }
  return asked;
}

/** @param {number} j @param {any} app @returns {Promise<number | null>} the component most correlated with j */
async function partnerOf(j, app) {
  try {
    const { order, values } = await correlations(app);
    const row = order.indexOf(j), d = order.length;
    let best = -1, partner = null;
    for (let k = 0; k < d; k++) {
      const r = Math.abs(values[row * d + k]);
      if (k !== row && r > best) { best = r; partner = order[k]; }
    }
    return partner;
  } catch {
    return null;
  }
}

// --- correlations ------------------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app */
async function correlationPanel(body, app) {
  const { order, values } = await correlations(app);
  const d = order.length;
  const open = (/** @type {number} */ i, /** @type {number} */ j) => {
    if (i === j) { app.say(`Component ${i} with itself is no plane: choose a cell off the diagonal.`); return; }
    app.go({ view: "plane", x: `component:${i}`, y: `component:${j}` });
  };
  const describe = (/** @type {number} */ row, /** @type {number} */ column) =>
    `components ${order[row]} and ${order[column]}, r = ${number(values[row * d + column], 3)}`;
  let at = [0, 0];
  const reading = make("p", { class: "reading" });
  const spoken = make("span", { class: "spoken", role: "status" });
  const opener = make("button", { type: "button", onclick: () => open(order[at[0]], order[at[1]]) }, "Open this plane");
  const made = matrix({
    values, n: d, label: `Correlation matrix of ${d} components, correlated ones beside one another.`, describe,
    onMove(row, column, chosen) {
      at = [row, column];
      reading.replaceChildren(make("b", {}, `r = ${number(values[row * d + column], 3)}`),
        `components ${order[row]} and ${order[column]}`);
      opener.disabled = row === column;
      if (chosen) spoken.textContent = describe(row, column);
    },
    onOpen: (row, column) => open(order[row], order[column]),
  });
  app.onTheme(made.redraw);
  const side = make("div", { class: "matrix-side" }, made.element.querySelector(".lens"), reading, opener, spoken,
    make("h3", {}, "Most correlated pairs"),
    make("ol", { class: "pairs" }, ...strongestPairs(values, order, 8).map(({ i, j, r }) => make("li", {},
      make("button", { type: "button", onclick: () => open(i, j), title: "Open this plane" },
        make("span", {}, `${i}, ${j}`), make("span", {}, `r = ${number(r, 3)}`))))));
  body.replaceChildren(
    make("div", { class: "matrix-layout" }, make("div", {}, made.element, scale()), side),
    make("p", { class: "note" }, "Rows and columns are components, in the same order: clustered, so that correlated ones are "
      + "neighbours. A click opens a pair’s plane; on a touch screen a tap moves the cell and the button opens it."));
}

/** The colour scale of the matrix, with its numbers. */
function scale() {
  return make("div", { class: "matrix-scale", "aria-hidden": "true" },
    make("div", { class: "bar" }),
    make("div", { class: "scale-ticks" }, ...["−1", "−0.5", "0", "0.5", "1"].map((t) => make("span", {}, t))),
    make("div", { class: "scale-name" }, "correlation r"));
}

/** @param {Float32Array} values @param {number[]} order @param {number} most */
function strongestPairs(values, order, most) {
  const d = order.length;
  /** @type {{i: number, j: number, r: number}[]} */
  const found = [];
  for (let row = 0; row < d; row++) for (let column = row + 1; column < d; column++) {
    const r = values[row * d + column], least = found.length < most ? -1 : Math.abs(found[found.length - 1].r);
    if (Math.abs(r) <= least) continue;
    found.push({ i: Math.min(order[row], order[column]), j: Math.max(order[row], order[column]), r });
    found.sort((a, b) => Math.abs(b.r) - Math.abs(a.r));
    found.length = Math.min(found.length, most);
  }
  return found;
}

// --- spectrum ----------------------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app @param {() => boolean} visible */
async function spectrumPanel(body, app, visible) {
  const shape = await measured(app, visible, () => body.replaceChildren(make("p", { class: "waiting" }, MEASURING)));
  const explained = /** @type {number[]} */ (shape.pca.explained), axes = app.about.axes.pca;
  let sum = 0;
  const cumulative = explained.map((share) => (sum += share));
  const reach = (/** @type {number} */ share) => cumulative.findIndex((c) => c >= share - 1e-9) + 1;
  const sentence = `The first axis carries ${percent(explained[0])} of the variance; half of it is in ${reach(0.5)}, 90 % in `
    + `${reach(0.9)} and 99 % in ${reach(0.99)} of ${explained.length} axes. Effective dimension, (Σλ)²/Σλ²: `
    + `${number(shape.pca.effective_dimension, 1)}` + (shape.pca.control ? ` (control ${number(shape.pca.control.effective_dimension, 1)}).` : ".");
  const words = (/** @type {number} */ k) =>
    `axis ${k + 1}: ${percent(explained[k], 2)} of the variance` + (k ? `, the first ${k + 1} together ${percent(cumulative[k])}` : "");
  let at = 0;
  const reading = make("p", { class: "reading" });
  const canvas = make("div", { class: "chart-place spectrum", tabindex: "0", role: "slider", "aria-label":
    "Principal axis; Enter opens the plane of it and the next one", "aria-valuemin": 1, "aria-valuemax": explained.length });
  const openable = (/** @type {number} */ k) => k < axes;
  const open = (/** @type {number} */ k) => {
    if (!openable(k)) { app.say(`Planes are offered for the first ${axes} principal axes, not for axis ${k + 1}.`); return; }
    const next = k + 1 < axes ? k + 1 : k - 1;
    app.go({ view: "plane", x: `pca:${k}`, y: next < 0 ? app.about.default.y : `pca:${next}` });
  };
  /** @type {(k: number) => void} */
  let mark = () => {};
  const move = (/** @type {number} */ k) => {
    at = Math.max(0, Math.min(explained.length - 1, k));
    canvas.setAttribute("aria-valuenow", at + 1);
    canvas.setAttribute("aria-valuetext", words(at));
    reading.textContent = `${words(at)[0].toUpperCase()}${words(at).slice(1)}.`;
    mark(at);
  };
  canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 };
    if (event.key in steps) move(at + steps[/** @type {keyof typeof steps} */ (event.key)]);
    else if (event.key === "Enter") open(at);
    else return;
    event.preventDefault();
  });
  body.replaceChildren(
    make("figure", {}, canvas, reading, make("figcaption", {}, `${sentence} A click opens the plane of an axis and the next one.`)),
    numbersTable("Principal axes", ["axis", "variance λ", "share", "cumulative"],
      () => explained.map((share, k) => [k + 1, number(shape.pca.eigenvalues[k], 3), percent(share, 2), percent(cumulative[k], 2)])));
  responsive(canvas, (width) => {
    const count = explained.length, upper = width < 560 ? 190 : 220, lower = 170;
    const root = makeSVG("svg", { width, height: upper + lower, viewBox: `0 0 ${width} ${upper + lower}`, class: "chart pickable", role: "img", "aria-label": `Spectrum of the principal axes. ${sentence}` });
    const inPercent = (/** @type {number} */ v) => `${v} %`;
    // Ticks stand under the middle of their bars; axes are counted from 1.
    const step = [1, 2, 5, 10, 20, 50, 100, 200].find((s) => count / s <= (width < 560 ? 6 : 12)) ?? 500;
    const at10 = [1, ...Array.from({ length: Math.floor(count / step) }, (_, k) => (k + 1) * step)].filter((v, k, all) => all.indexOf(v) === k);
    const x = { low: 0.5, high: count + 0.5, ticks: at10.filter((v) => v === 1 || v > 0.4 * step), format: String };
    const shares = addFrame(root, { width, height: upper, margin: { left: 56 }, x: { ...x, label: "" },
      y: { low: 0, high: 106 * explained[0], label: "share of the variance", format: inPercent } });
    const sums = addFrame(root, { width, height: lower, offset: upper, margin: { left: 56 }, x: { ...x, label: "principal axis" },
      y: { low: 0, high: 104, ticks: [0, 50, 90], label: "cumulative share", format: inPercent } });
    const gap = (shares.x(2) - shares.x(1)) > 4 ? 1 : 0;
    const cursors = [shares, sums].map((f) => f.plot.appendChild(makeSVG("rect", { class: "cursor", y: f.box.top, height: f.box.bottom - f.box.top })));
    explained.forEach((share, k) => {
      const left = shares.x(k + 0.5) + gap / 2, wide = Math.max(0.8, shares.x(k + 1.5) - shares.x(k + 0.5) - gap);
      shares.plot.append(makeSVG("rect", { class: "codes-bar", x: left, width: wide, y: shares.y(100 * share), height: shares.box.bottom - shares.y(100 * share) }));
    });
    addLine(sums, cumulative.map((_, k) => k + 1), cumulative.map((c) => 100 * c), "codes-line");
    mark = (k) => cursors.forEach((c) => {
      const wide = Math.max(3, shares.x(1) - shares.x(0));
      c.setAttribute("x", shares.x(k + 1) - wide / 2);
      c.setAttribute("width", wide);
    });
    const axisAt = (/** @type {MouseEvent} */ event) => {
      const offset = event.clientX - root.getBoundingClientRect().left, { left, right } = shares.box;
      return Math.max(0, Math.min(count - 1, Math.floor(((offset - left) / (right - left)) * count)));
    };
    root.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => move(axisAt(event)));
    root.addEventListener("click", (/** @type {MouseEvent} */ event) => { move(axisAt(event)); open(at); });
    mark(at);
    return root;
  });
  move(0);
}

// --- scorecard ---------------------------------------------------------------------------------------------------

/** @param {HTMLElement} body @param {any} app */
async function scorecardPanel(body, app) {
  const card = await app.source.scorecard();
  if (!card) {
    body.replaceChildren(make("p", { class: "waiting" }, "No sampler was judged yet: latentshape evaluate does, and this shows what it finds."));
    return;
  }
  const rows = /** @type {Record<string, any>} */ (card.rows);
  const yardsticks = YARDSTICKS.filter((name) => name in rows);
  const samplers = Object.keys(rows).filter((name) => !yardsticks.includes(name));
  const gap = (/** @type {string} */ name) => entryAt(rows[name], ["gap", "random-conv"])?.value ?? Infinity;
  samplers.sort((a, b) => gap(a) - gap(b));
  const columns = COLUMNS.filter(({ path }) => Object.values(rows).some((row) => entryAt(row, path)?.value != null));
  const best = columns.map((column) => standing(samplers, rows, column));
  const line = (/** @type {string} */ name) => make("tr", {},
    make("th", { scope: "row" }, app.about.samplers.includes(name)
      ? make("button", { type: "button", class: "link", title: "Look at its pictures", onclick: () => app.go({ view: "gallery", g_show: "samplers", g_samplers: [name, ...["gaussian", "standard-normal"].filter((s) => s !== name)].join(",") }) }, name)
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
        make("thead", {}, make("tr", {}, make("td"), ...columns.map(({ label, better }) => make("th", { scope: "col" }, label,
          ...(better ? [make("small", {}, better > 0 ? "more is better" : "less is better")] : []))))),
        group("yardsticks", yardsticks), group("samplers", samplers))),
    make("p", { class: "note" }, `★ best of the samplers in its column, ≈ level with it: their ranges meet. In small print the range `
      + `over ${card.draws} draws; of face rate and log-likelihood, a 95 % interval. ${number(card.n, 0)} pictures a row and draw. Gap: Fréchet distance to reconstructions of test images by the `
      + "same decoder, in the named features; precision and recall are among reconstructions, in random-conv features: a law of "
      + "little variety wins the first and loses the second. "
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
