// @ts-check
/** Marks of single codes in the plane, each of a shape of its own. */

import { makeSVG } from "./dom.js";
import { readLine } from "./plane-geometry.js";

/** Makes and places them. */
export class Marks {
  constructor() {
    const path = (/** @type {string} */ d) => makeSVG("path", { d });
    const circle = (/** @type {number} */ r, /** @type {string} */ name = "") => makeSVG("circle", { r, class: name });
    // Mean and origin often lie close together: their names go to different sides.
    this.mean = pin("mean", { x: -10, y: -10, "text-anchor": "end" }, "mean", path("M-7 0H7M0 -7V7"));
    this.origin = pin("origin", { x: 10, y: 20 }, "origin", path("M-5 -5L5 5M-5 5L5 -5"));
    this.a = pin("end", { x: 9, y: -6 }, "A", circle(5));
    this.b = pin("end", { x: 9, y: -6 }, "B", circle(5));
    this.current = pin("current", {}, "", path("M-16 0H-7M7 0H16M0 -16V-7M0 7V16"), circle(9), circle(2, "dot"));
  }

  /**
   * @param {import("./plane-view.js").PlaneView} view
   * @param {import("./plane-geometry.js").Geometry} geometry
   * @param {any} app
   */
  place(view, geometry, app) {
    const at = (/** @type {number[]} */ [u, v], /** @type {SVGElement} */ node) => ({ u, v, node });
    const found = [at(geometry.project(geometry.mean), this.mean), at(geometry.facts.origin, this.origin)];
    view.line = readLine(app.state.line);
    if (view.line) found.push(at(view.line.slice(0, 2), this.a), at(view.line.slice(2), this.b));
    if (app.current.code) found.push(at(geometry.project(app.current.code), this.current));
    view.setMarks(found);
  }
}

/**
 * @param {string} name
 * @param {Record<string, any>} where its words are
 * @param {string} words
 * @param {...SVGElement} shapes
 * @returns {SVGElement}
 */
function pin(name, where, words, ...shapes) {
  // Drawn twice, a broad rim below, so that it is seen on any density.
  return makeSVG(
    "g",
    { class: `pin ${name}` },
    makeSVG("g", { class: "halo" }, ...shapes.map((node) => node.cloneNode())),
    makeSVG("g", { class: "line" }, ...shapes),
    ...(words ? [makeSVG("text", where, words)] : []),
  );
}
