// @ts-check
/** Number distributions of the components with their Gaussians, page by page. */

import { addLine, addRule, addSteps, frame, key, number, responsive } from "./charts.js";
import { make } from "./dom.js";
import { partnerOf } from "./shape-correlations.js";

/** Histograms on a page. */
const PAGE = 12;

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 */
export async function componentsPanel(body, app) {
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
      + "half of the maximum; skew, kurt: skewness and excess kurtosis, 0 for a Gaussian; R²: share of the counts’ "
      + "variance that the Gaussian explains."));
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
    + `skewness ${number(facts.skewness)}, excess kurtosis ${number(facts.excess_kurtosis)}, `
    + `R² of the Gaussian ${number(fit.r2, 4)}.`;
  const made = make("button", { type: "button", class: "component", "aria-label": `${words} Open its plane.`,
    title: "Open its plane", onclick: async () => {
      const partner = await partnerOf(j, app);
      app.go({ view: "plane", x: `component:${j}`, y: partner === null ? `component:${j === 0 ? 1 : 0}` : `component:${partner}` });
    } },
  make("strong", {}, `component ${j}`), canvas,
  make("small", {}, ...[["mean", mean], ["σ", std], ["hw", facts.half_width], ["skew", facts.skewness],
    ["kurt", facts.excess_kurtosis], ["R²", fit.r2, 3]]
    .map(([name, value, digits]) => make("span", {}, `${name} ${number(value, digits)}`))));
  // The tails are long and thin: four standard deviations, and zero wherever it is, are what one wants to see.
  const low = Math.min(Math.max(edges[0], mean - 4.5 * std), -0.3 * std);
  const high = Math.max(Math.min(edges[edges.length - 1], mean + 4.5 * std), 0.3 * std);
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
