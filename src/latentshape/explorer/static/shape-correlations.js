// @ts-check
/** The correlation matrix, whose cells open planes. */

import { matrix, number } from "./charts.js";
import { make } from "./dom.js";

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
export async function partnerOf(j, app) {
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

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 */
export async function correlationPanel(body, app) {
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
