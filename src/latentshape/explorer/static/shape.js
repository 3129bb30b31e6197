// @ts-check
/**
 * The shape view: what the cloud of codes looks like, with its controls; each figure leads into the plane view.
 *
 * Figures come from the codes themselves and are there at once; the verdict and most numbers come from the
 * measurement (shape.json), which takes a while for bare codes: those panels say so and fill when it is done.
 */

import { make } from "./dom.js";
import { componentsPanel } from "./shape-components.js";
import { correlationPanel } from "./shape-correlations.js";
import { radiusPanel } from "./shape-radius.js";
import { scorecardPanel } from "./shape-scorecard.js";
import { spectrumPanel } from "./shape-spectrum.js";
import { verdictPanel } from "./shape-verdict.js";

/** Milliseconds between two questions whether the measurement is done. */
const PATIENCE = 1500;
const MEASURING = "The codes are being measured, which takes from seconds to minutes; this fills in when it is done.";

/**
 * Put the shape view into an element.
 * @param {HTMLElement} element emptied and filled when the view is first shown
 * @param {any} app of main.js
 * @returns {{show(): void, hide(): void}}
 */
export function mountShape(element, app) {
  let filled = false, seen = false;

  /** The measured shape; until it is there, its place says what is waited for. */
  const shape = (/** @type {HTMLElement} */ body) =>
    measured(app, () => seen, () => body.replaceChildren(make("p", { class: "waiting" }, MEASURING)));
  const fill = () => {
    const panels = [
      panel("The cloud in short", "verdict", (body) => verdictPanel(body, app, shape)),
      panel("How far the codes lie from their mean", "radius", (body) => radiusPanel(body, app)),
      panel("Number distributions of the components", "components", (body) => componentsPanel(body, app)),
      panel("Correlations", "correlations", (body) => correlationPanel(body, app)),
      panel("Spectrum of the principal axes", "spectrum", (body) => spectrumPanel(body, app, shape)),
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
