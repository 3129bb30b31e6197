// @ts-check
/** The radius law: codes, a Gaussian control, the exact law, and where the origin lies. */

import { addLine, addRule, addSteps, frame, key, number, numbersTable, responsive } from "./charts.js";
import { make, makeSVG } from "./dom.js";

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 */
export async function radiusPanel(body, app) {
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
    + `${number(middle.quantiles["0.01"], 1)} and ${number(middle.quantiles["0.99"], 1)}; √d = ${number(middle.sqrt_d, 1)}; `
    + `${place}. The squared radius has ${number(ratio, 2)} times a Gaussian’s variance: it is `
    + `${ratio > 1.5 ? "far more spread than a Gaussian’s, which ellipses of 2 σ do not show"
      : ratio > 1.1 ? "more spread than a Gaussian’s" : ratio < 0.9 ? "less spread than a Gaussian’s"
        : "spread about as a Gaussian’s"}.`;
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
    else made.plot.append(makeSVG("text", {
      class: "origin-rule words", x: made.box.right - 6, y: made.box.top + 12, "text-anchor": "end",
    }, `origin at ${number(origin, 1)} →`));
    return made.svg;
  });
}
