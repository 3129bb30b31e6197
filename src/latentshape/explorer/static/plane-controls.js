// @ts-check
/** What can be chosen in the plane view. */

import { labelled, make } from "./dom.js";
import { RESTS } from "./plane-geometry.js";

/** Draws and seeds that can be asked for. */
const MOST_DRAWN = 5000;
const MOST_SEED = 999_999;

/**
 * @param {any} app
 * @param {(on: boolean) => void} drawLine told when drawing a line begins and ends
 * @returns {{rows: HTMLElement[], follow: () => void}} `follow` shows the state anew
 */
export function makeControls(app, drawLine) {
  const { about } = app;
  const x = axisSelect(app, "x");
  const y = axisSelect(app, "y");
  const colour = select(app, "colour", about.colours.map((/** @type {any} */ c) => [c.by, c.label]));
  const rest = select(app, "rest", RESTS);
  const ellipses = checkbox(app, "ellipses");
  const contours = checkbox(app, "contours");
  const samplers = about.samplers.map((/** @type {string} */ name) => [name, name, about.sampler_words?.[name]]);
  const drawn = select(app, "drawn", [["", "none"], ...samplers]);
  const count = whole(app, "drawn_n", 1, about.limits.drawn ?? MOST_DRAWN);
  const seed = whole(app, "drawn_seed", 0, about.limits.seeds ? about.limits.seeds - 1 : MOST_SEED);
  const swap = make(
    "button",
    { type: "button", id: "swap", "aria-label": "Swap the axes", title: "Swap the axes",
      onclick: () => chooseAxes(app, app.state.y, app.state.x) },
    "⇄",
  );
  const line = make(
    "button",
    { type: "button", id: "line-mode", "aria-pressed": "false", title: "Drag a line; pictures along it come below",
      onclick: () => {
        const on = line.getAttribute("aria-pressed") !== "true";
        line.setAttribute("aria-pressed", String(on));
        drawLine(on);
      } },
    "Draw a line",
  );
  const first = [labelled("Horizontal axis", x), swap, labelled("Vertical axis", y), labelled("Colour", colour)];
  const checks = make("fieldset", { class: "checks" }, make("legend", {}, "Show"));
  checks.append(make("label", { class: "check" }, ellipses, "ellipses"), make("label", { class: "check" }, contours, "contours"));
  const second = [checks, labelled("Drawn codes", drawn), labelled("Number", count), labelled("First seed", seed)];
  if (about.decodes) {
    first.push(labelled("Rest of the code", rest));
    second.push(line);
  }
  return {
    rows: [make("div", { class: "controls" }, ...first), make("div", { class: "controls second" }, ...second)],
    follow() {
      const { state } = app;
      for (const [node, key] of [[x, "x"], [y, "y"], [colour, "colour"], [rest, "rest"], [drawn, "drawn"]]) {
        node.value = state[key];
      }
      ellipses.checked = Boolean(state.ellipses);
      contours.checked = Boolean(state.contours);
      count.value = state.drawn_n;
      seed.value = state.drawn_seed;
      count.disabled = seed.disabled = !state.drawn;
    },
  };
}

/** @param {any} app @param {string} x @param {string} y */
function chooseAxes(app, x, y) {
  app.go({ x, y, box: "", line: "" }); // what was in view, and the line, were of another plane
}

/** @param {any} app @param {"x" | "y"} key */
function axisSelect(app, key) {
  const other = key === "x" ? "y" : "x";
  const node = make("select", {
    id: `axis-${key}`,
    onchange: () => {
      const { state } = app;
      // The same axis twice spans no plane: the other one then takes what this one was.
      const chosen = { [key]: node.value, [other]: node.value === state[other] ? state[key] : state[other] };
      chooseAxes(app, chosen.x, chosen.y);
    },
  });
  node.append(...axisGroups(app.about.axes));
  return node;
}

/** @param {any} axes of `about` @returns {HTMLElement[]} every axis there is */
function axisGroups({ component, pca, attribute }) {
  const group = (/** @type {string} */ label, /** @type {string[][]} */ entries) =>
    make("optgroup", { label }, ...entries.map(([value, text]) => make("option", { value }, text)));
  const numbered = (/** @type {number} */ n, /** @type {(k: number) => string[]} */ entry) => Array.from({ length: n }, (_, k) => entry(k));
  const groups = [group("Principal axes (PCA)", numbered(pca, (k) => [`pca:${k}`, `PCA axis ${k + 1}`]))];
  if (attribute.length) {
    groups.push(group("Attributes", attribute.map((/** @type {string} */ name) => [`attribute:${name}`, name])));
  }
  groups.push(group("Components", numbered(component, (j) => [`component:${j}`, `component ${j}`])));
  return groups;
}

/** @param {any} app @param {string} key of the state @param {string[][]} entries value, text and what it means */
function select(app, key, entries) {
  const node = make("select", { id: key, onchange: () => app.go({ [key]: node.value }) });
  node.append(...entries.map(([value, text, title]) => make("option", { value, title }, text)));
  return node;
}

/** @param {any} app @param {string} key of the state */
function checkbox(app, key) {
  const node = make("input", {
    type: "checkbox", id: key, onchange: () => app.go({ [key]: node.checked ? 1 : 0 }, { replace: true }),
  });
  return node;
}

/** @param {any} app @param {string} key of the state @param {number} low @param {number} high */
function whole(app, key, low, high) {
  const node = make("input", {
    type: "number", id: key.replace("_", "-"), min: low, max: high, step: 1,
    onchange: () => {
      const value = Math.min(high, Math.max(low, Math.round(Number(node.value)) || low));
      app.go({ [key]: value }, { replace: true });
      node.value = String(value);
    },
  });
  return node;
}
