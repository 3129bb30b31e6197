// @ts-check
/**
 * The plane view: all codes seen along two axes; a place in it is a code that can be looked at.
 *
 * This module asks for what the state names and hands it on: `plane-view.js` draws, `plane-touch.js` listens,
 * `plane-geometry.js` reckons, `plane-controls.js` and `plane-legend.js` stand around.
 */

import { drawPicture, make } from "./dom.js";
import { makeControls } from "./plane-controls.js";
import { Geometry, readBox, readLine, shortName, written } from "./plane-geometry.js";
import { coverageRows, drawnLegend, legendOf, wordsOf } from "./plane-legend.js";
import { Marks } from "./plane-marks.js";
import { LEAST_STEPS, MOST_STEPS, mountStrip } from "./plane-strip.js";
import { listen } from "./plane-touch.js";
import { PlaneView } from "./plane-view.js";
import { SourceError } from "./source.js";
import { countOf } from "./state.js";

const HELP =
  "Plane of codes. Arrow keys move the current place by 0.1 sigma, with Shift by 0.5; plus and minus zoom, 0 shows " +
  "all, Enter centres the view on the current place; A and B put the ends of a line at the current place.";
/** A box of the URL is rounded: nearer than this share of its width it is the one in view. */
const ROUNDED = 1e-3;

/**
 * @param {HTMLElement} root
 * @param {any} app
 * @returns {{show: () => void, hide: () => void}}
 */
export function mountPlane(root, app) {
  const plane = new Plane(root, app);
  return { show: () => plane.show(), hide: () => {} };
}

class Plane {
  /** @param {HTMLElement} root @param {any} app */
  constructor(root, app) {
    this.root = root;
    this.app = app;
    /** @type {Geometry | null} null until a plane has come */
    this.geometry = null;
    this.opened = false;
    /** How often planes, colours and draws were asked for: only the latest answers count. */
    this.turns = { plane: 0, colour: 0, drawn: 0 };
    /** @type {{code: Float32Array, from: Float32Array} | null} the place that is being looked at, and what it began from */
    this.looking = null;
    this.drawing = false;
    this.marks = new Marks();
    this.plot = make("div", {
      class: "plot", id: "plot", tabindex: 0, role: "application", "aria-label": HELP, "aria-roledescription": "plane",
    });
    this.inset = make("canvas", { class: "inset", "aria-hidden": "true", hidden: !app.about.decodes });
    this.readout = make("p", { class: "readout", "aria-hidden": "true" });
    this.legend = make("div", { class: "legend" });
    this.coverage = make("table", { class: "coverage" });
    this.strips = make("section", { class: "strip", "aria-label": "Pictures along the line", hidden: true });
    this.controls = makeControls(app, (on) => this.drawLines(on));
    this.view = new PlaneView(this.plot, {
      redrawn: (milliseconds) => {
        app.time("redraw", milliseconds);
        app.timings.paint ??= performance.now();
      },
      moved: (box) => app.go({ box: box ? written(box) : "" }, { replace: true }),
    });
    /** Bare codes have no pictures. */
    this.strip = app.about.decodes ? mountStrip(this.strips, app, this.line()) : null;
    this.layOut();
    listen(this.plot, this.view, this.hands());
    app.onChange((/** @type {any} */ state, /** @type {Set<string>} */ changed) => this.follow(state, changed));
    app.onCode((/** @type {any} */ current, /** @type {boolean} */ live) => {
      this.mark();
      if (!live && app.state.line && app.state.rest === "current") this.strip?.draw();
    });
    app.onTheme((/** @type {boolean} */ dark) => this.recolour(dark));
    // Where the current face is not beside the plane, a finger still sees what it touches.
    app.onPicture((/** @type {any} */ found) => drawPicture(this.inset, found));
    this.recolour(app.dark);
    this.showChoices();
  }

  layOut() {
    const zoomers = [
      this.zoomer("+", "Zoom in", () => this.view.zoom(1.5)),
      this.zoomer("−", "Zoom out", () => this.view.zoom(1 / 1.5)),
      this.zoomer("⌂", "Show all", () => this.view.setBox(this.view.home)),
    ];
    this.root.append(
      ...this.controls.rows,
      make("div", { class: "stage" }, this.plot, this.inset, this.readout,
        make("div", { class: "zoomers", role: "group", "aria-label": "Zoom" }, ...zoomers)),
      this.strips,
      make("div", { class: "below" }, this.legend, this.coverage),
    );
  }

  /** What the strip is told of the line. */
  line() {
    const { app } = this;
    return {
      codes: () => this.lineCodes(),
      steps: (/** @type {number} */ count) => app.go({ steps: count }, { replace: true }),
      clear: () => app.go({ line: "" }),
    };
  }

  /** @param {string} sign @param {string} label @param {() => void} onclick */
  zoomer(sign, label, onclick) {
    return make("button", { type: "button", "aria-label": label, title: label, onclick }, sign);
  }

  show() {
    this.view.measure();
    if (!this.opened) this.load(); // not before: other views are not to wait for the points
    this.opened = true;
  }

  // --- asking --------------------------------------------------------------------------------------------------

  async load() {
    const { app, turns } = this;
    const turn = ++turns.plane;
    const { x, y } = app.state;
    this.root.classList.add("loading");
    try {
      const [facts, lift, points] = await Promise.all([
        app.source.plane(x, y),
        app.source.lift(x, y),
        app.source.points(x, y),
      ]);
      if (turn !== turns.plane) return; // other axes were chosen meanwhile
      this.geometry = new Geometry(facts, lift);
      this.view.show(facts, points, readBox(app.state.box));
      this.coverage.replaceChildren(...coverageRows(facts));
      this.mark();
      this.strip?.draw();
      await Promise.all([this.loadColour(), this.loadDrawn()]);
      this.welcome();
    } catch (error) {
      app.complain(error);
      if (turn === turns.plane) this.fallBack();
    } finally {
      if (turn === turns.plane) this.root.classList.remove("loading");
    }
  }

  welcome() {
    const { app, geometry } = this;
    if (app.state.view !== "plane" || !geometry) return;
    const { x, y } = geometry.facts;
    const lacking = app.state.contours ? geometry.facts.no_contours : null;
    const how = lacking ?? (app.about.decodes
      ? "Click or drag: the picture of that code appears."
      : "Click a place to learn how far out it lies.");
    app.greet(`${countOf(app.about)} in the plane of ${shortName(x)} and ${shortName(y)}. ${how}`);
  }

  /** Axes that span no plane, or that are not there: back to what is shown, or to the first look. */
  fallBack() {
    const { state, about } = this.app;
    const { x, y } = this.geometry
      ? { x: this.geometry.facts.x.axis, y: this.geometry.facts.y.axis }
      : about.default;
    if (x === state.x && y === state.y) return;
    this.app.go({ x, y, box: "", line: "" }, { replace: true });
  }

  async loadColour() {
    const { app, turns } = this;
    const turn = ++turns.colour;
    const by = app.state.colour;
    try {
      const found = await this.coloursBy(by);
      if (turn !== turns.colour) return;
      this.view.density.setValues(found.values, found.legend);
    } catch (error) {
      app.complain(error);
      if (turn === turns.colour && by !== "density") app.go({ colour: "density" }, { replace: true });
      return;
    }
    this.showLegend();
  }

  /** @param {string} by @returns {Promise<{values: Float32Array | null, legend: any}>} */
  async coloursBy(by) {
    const { about, source } = this.app;
    if (by === "density") return { values: null, legend: null };
    if (!about.colours.some((/** @type {any} */ known) => known.by === by)) {
      throw new SourceError(`Nothing here is coloured by ${by}; the density is shown.`, 0);
    }
    const [values, legend] = await Promise.all([source.colour(by), source.legend(by)]);
    return { values, legend };
  }

  async loadDrawn() {
    const { app, turns, view } = this;
    const turn = ++turns.drawn;
    const { drawn, drawn_n: n, drawn_seed: seed, x, y } = app.state;
    let found = null;
    try {
      if (drawn) found = await app.source.drawn(drawn, seed, n, x, y);
    } catch (error) {
      app.complain(error);
    }
    if (turn !== turns.drawn) return;
    view.drawn = found;
    this.showLegend();
  }

  // --- showing -------------------------------------------------------------------------------------------------

  showChoices() {
    const { state } = this.app;
    this.controls.follow();
    this.view.toggle("ellipses", Boolean(state.ellipses));
    this.view.toggle("contours", Boolean(state.contours));
  }

  showLegend() {
    const { app, view } = this;
    const nodes = legendOf(view.density, app.dark, () => view.redraw());
    if (view.drawn) nodes.push(drawnLegend(app.state));
    this.legend.replaceChildren(...nodes);
    if (this.geometry) view.canvas.setAttribute("aria-label", wordsOf(app.about, this.geometry.facts, app.state));
    view.redraw();
  }

  /** @param {boolean} dark */
  recolour(dark) {
    this.view.density.setTheme(dark);
    this.showLegend();
  }

  mark() {
    if (this.geometry) this.marks.place(this.view, this.geometry, this.app);
  }

  /** @returns {Float32Array | null} (steps, d) */
  lineCodes() {
    const { app, geometry } = this;
    const line = readLine(app.state.line);
    if (!line || !geometry) return null;
    const steps = Math.min(MOST_STEPS, Math.max(LEAST_STEPS, Math.round(app.state.steps)));
    return geometry.codesAlong(line, steps, app.state.rest, app.current.code ?? geometry.mean);
  }

  // --- touching ------------------------------------------------------------------------------------------------

  /** @param {boolean} on */
  drawLines(on) {
    this.drawing = on;
    this.plot.classList.toggle("drawing", on);
    const words = "Drag from A to B: the pictures along the line come below the plane.";
    this.app.say(on ? words : "Click or drag to look at places.");
  }

  /** @returns {import("./plane-touch.js").Hands} */
  hands() {
    const { app } = this;
    const place = () => {
      const geometry = /** @type {Geometry} */ (this.geometry);
      return geometry.project(app.current.code ?? geometry.mean);
    };
    return {
      ready: () => this.geometry !== null,
      drawing: () => this.drawing,
      look: (u, v, began) => this.look(u, v, began),
      settle: () => this.settle(),
      line: (line) => app.go({ line: written(line) }, { replace: true }),
      lined: (moved) => {
        app.say(moved ? "The pictures from A to B are below the plane." : "Drag to draw a line.");
        if (moved) this.strips.scrollIntoView({ block: "nearest" });
      },
      hover: (event) => this.hover(event),
      current: place,
      step: (x, y, began) => {
        const { facts } = /** @type {Geometry} */ (this.geometry);
        const [u, v] = place();
        this.look(u + x * facts.x.std, v + y * facts.y.std, began);
        this.settle();
      },
      put: (end) => this.put(end, place()),
    };
  }

  /** @param {number} u @param {number} v @param {number | null} began */
  look(u, v, began) {
    const { app } = this;
    const geometry = /** @type {Geometry} */ (this.geometry);
    // A drag is one move away from where it began, not a sum of many.
    const from = this.looking?.from ?? app.current.code ?? geometry.mean;
    const code = geometry.codeAt(u, v, app.state.rest, from);
    this.looking = { code, from };
    if (began !== null) app.began = began;
    app.dragging = began === null;
    this.readout.textContent = geometry.words(u, v);
    app.live(code, { label: this.readout.textContent });
  }

  async settle() {
    const { app, geometry, looking } = this;
    app.dragging = false;
    this.looking = null;
    if (!looking || !geometry) return;
    const label = geometry.words(...geometry.project(looking.code));
    app.select(looking.code, { label });
    if (app.about.decodes) return;
    try {
      // Bare codes have no picture: what can be said is how far out a place lies.
      const { words } = await app.source.describe(looking.code);
      if (app.current.code === looking.code) app.say(`${label}. ${words}`);
    } catch (error) {
      app.complain(error);
    }
  }

  /** @param {"a" | "b"} end @param {[number, number]} place */
  put(end, [u, v]) {
    const { app, geometry } = this;
    if (!this.strip || !geometry) return;
    const line = readLine(app.state.line) ?? [u, v, u, v];
    line.splice(end === "a" ? 0 : 2, 2, u, v);
    app.go({ line: written(line) });
    app.say(`${end.toUpperCase()} is at ${geometry.words(u, v)}.`);
  }

  /** @param {PointerEvent | null} event null: the pointer has left */
  hover(event) {
    const place = event && this.view.holds(event) ? this.view.placeOf(event) : null;
    const words = /** @type {Element | undefined} */ (event?.target)?.getAttribute("data-words");
    this.readout.textContent = place ? words ?? this.geometry?.words(...place) ?? "" : "";
  }

  // --- following the state -------------------------------------------------------------------------------------

  /** @param {any} state @param {Set<string>} changed */
  follow(state, changed) {
    this.showChoices();
    if (!this.opened) return; // all of it is read when the plane is first seen
    if (changed.has("x") || changed.has("y")) {
      this.load();
      return;
    }
    if (!this.geometry) return;
    const any = (/** @type {string[]} */ ...keys) => keys.some((key) => changed.has(key));
    if (any("contours") && state.contours && this.geometry.facts.no_contours) this.app.say(this.geometry.facts.no_contours);
    if (any("colour")) this.loadColour();
    if (any("drawn", "drawn_n", "drawn_seed")) this.loadDrawn();
    if (any("line")) this.mark();
    if (any("line", "steps", "rest")) this.strip?.draw();
    if (any("box")) this.followBox(readBox(state.box) ?? this.view.home);
  }

  /** @param {import("./plane-view.js").Box} wanted */
  followBox(wanted) {
    const { view } = this;
    const near = ROUNDED * (wanted[1] - wanted[0]);
    if (wanted.some((value, i) => Math.abs(value - view.box[i]) > near)) view.setBox(wanted, false);
  }
}
