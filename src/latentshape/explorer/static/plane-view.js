// @ts-check
/**
 * A plane on the screen: points below, axes, ellipses, contours and marks above, and the part of it in view.
 *
 * Places are (u, v), v upwards; pixels are those of CSS, from the top left of the plot.
 */

import { Density } from "./density.js";
import { make, makeSVG } from "./dom.js";

/** Room for ticks and labels, in pixels. */
const ROOM = { left: 58, right: 12, top: 10, bottom: 44 };
/** How far in and out one can go, against the first look. */
const NEAREST = 1e-3;
const FARTHEST = 12;
/** Two axes of one unit share a scale unless one is longer than the other by this. */
const UNLIKE = 6;

/** @typedef {[number, number, number, number]} Box u from, u to, v from, v to */

/**
 * Round numbers in a range.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} count about how many
 * @returns {number[]}
 */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((k) => k * power >= rough) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) found.push(k * step);
  return found;
}

/**
 * A number as people write it, with a true minus sign.
 *
 * @param {number} value
 * @param {number} [digits] significant ones
 * @returns {string}
 */
export function readable(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value) < 1e-9 ? "0" : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

/** A plot of codes in a plane. */
export class PlaneView {
  /**
   * @param {HTMLElement} root gets `role="application"`
   * @param {{redrawn: (ms: number) => void, moved: (box: Box | null) => void}} told `moved` gets null where all is in
   *     view
   */
  constructor(root, told) {
    this.root = root;
    this.told = told;
    this.canvas = make("canvas", { class: "points", role: "img" });
    this.svg = makeSVG("svg", { class: "marks", "aria-hidden": "true" });
    this.grid = makeSVG("g", { class: "grid" });
    this.inside = makeSVG("svg", { class: "inside" });
    this.curves = makeSVG("g");
    this.names = makeSVG("g", { class: "names" });
    this.pins = makeSVG("g");
    this.xLabel = makeSVG("text", { class: "axis", "text-anchor": "middle" });
    this.yLabel = makeSVG("text", { class: "axis", "text-anchor": "middle" });
    this.inside.append(this.curves, this.names, this.pins);
    this.svg.append(this.grid, this.inside, this.xLabel, this.yLabel);
    this.root.append(this.canvas, this.svg);
    this.density = new Density(this.canvas);
    /** @type {any} */
    this.facts = null;
    /** @type {Box} */
    this.box = [-1, 1, -1, 1];
    /** @type {Box} the first look */
    this.home = [-1, 1, -1, 1];
    /** @type {Box} what was asked for; the box is as much more as the shape of the plot needs */
    this.wanted = this.home;
    /** @type {Float32Array | null} (2, n) drawn codes */
    this.drawn = null;
    /** @type {{u: number, v: number, node: SVGElement}[]} */
    this.marks = [];
    /** @type {{u: number, v: number, node: SVGElement}[]} names of the ellipses, at their tops */
    this.sigmaNames = [];
    this.sameScale = false;
    /** @type {number[] | null} u, v of A and of B */
    this.line = null;
    /** @type {SVGElement | null} the line itself */
    this.stroke = null;
    this.frame = 0;
    this.width = this.height = 0;
    new ResizeObserver(() => this.measure()).observe(root);
  }

  /** Take the size that the page gives. */
  measure() {
    const width = this.root.clientWidth - ROOM.left - ROOM.right;
    const height = this.root.clientHeight - ROOM.top - ROOM.bottom;
    if (width < 20 || height < 20) return; // hidden
    const changed = width !== this.width || height !== this.height;
    this.width = width;
    this.height = height;
    this.density.resize(width, height, window.devicePixelRatio || 1);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.canvas.style.left = `${ROOM.left}px`;
    this.canvas.style.top = `${ROOM.top}px`;
    for (const [name, value] of Object.entries({ x: ROOM.left, y: ROOM.top, width, height })) {
      this.inside.setAttribute(name, String(value));
    }
    this.xLabel.setAttribute("x", String(ROOM.left + width / 2));
    this.xLabel.setAttribute("y", String(ROOM.top + height + ROOM.bottom - 6));
    const turn = `translate(14 ${ROOM.top + height / 2}) rotate(-90)`;
    this.yLabel.setAttribute("transform", turn);
    if (this.facts && changed) this.setBox(this.wanted, false);
  }

  /**
   * Show a plane.
   *
   * @param {any} facts answer of `api/plane`
   * @param {Float32Array} points (2, n)
   * @param {Box | null} box the part in view; null: all of it
   */
  show(facts, points, box) {
    this.facts = facts;
    const long = Math.max(facts.x.std, facts.y.std) / Math.min(facts.x.std, facts.y.std);
    this.sameScale = Boolean(facts.same_unit) && long < UNLIKE;
    const { x, y } = facts.range;
    this.home = [x[0], x[1], y[0], y[1]];
    this.density.setPoints(points);
    this.xLabel.textContent = facts.x.label;
    this.yLabel.textContent = facts.y.label;
    this.curves.replaceChildren();
    this.sigmaNames = [];
    this.names.replaceChildren();
    for (const ellipse of facts.ellipses) {
      const path = pathOf([ellipse.points]);
      const words =
        `${ellipse.sigma}σ ellipse: ${percent(ellipse.observed)} of the training codes are inside ` +
        `(a Gaussian: ${percent(ellipse.expected)})`;
      this.curves.append(
        makeSVG("path", { class: "ellipse", d: path }),
        makeSVG("path", { class: "feel", d: path, "data-words": words }),
      );
      const top = ellipse.points.reduce((/** @type {any} */ a, /** @type {any} */ b) => (b[1] > a[1] ? b : a));
      const name = makeSVG("text", { class: "ellipse-name" }, `${ellipse.sigma}σ`);
      this.names.append(name);
      this.sigmaNames.push({ u: top[0], v: top[1], node: name });
    }
    for (const contour of facts.contours) {
      this.curves.append(makeSVG("path", { class: "contour", d: pathOf(contour.lines) }));
    }
    this.setBox(box ?? this.home, false);
  }

  /** @param {"ellipses" | "contours"} what @param {boolean} on */
  toggle(what, on) {
    this.root.classList.toggle(`no-${what}`, !on);
  }

  /**
   * Bring a part of the plane into view, as much more as the shape of the plot needs.
   *
   * @param {Box} box
   * @param {boolean} [tell] whether the page is to know
   */
  setBox(box, tell = true) {
    this.wanted = box;
    let [u0, u1, v0, v1] = box;
    const [wide, high] = [this.home[1] - this.home[0], this.home[3] - this.home[2]];
    const grow = Math.max(NEAREST / Math.min((u1 - u0) / wide, (v1 - v0) / high), 1);
    const shrink = Math.min(FARTHEST / Math.max((u1 - u0) / wide, (v1 - v0) / high), 1);
    [u0, u1] = about((u0 + u1) / 2, (u1 - u0) * grow * shrink);
    [v0, v1] = about((v0 + v1) / 2, (v1 - v0) * grow * shrink);
    if (this.sameScale && this.width) {
      const unit = Math.max((u1 - u0) / this.width, (v1 - v0) / this.height);
      [u0, u1] = about((u0 + u1) / 2, unit * this.width);
      [v0, v1] = about((v0 + v1) / 2, unit * this.height);
    }
    this.box = [u0, u1, v0, v1];
    this.redraw();
    if (tell) this.told.moved(box === this.home ? null : this.box);
  }

  /**
   * @param {number} factor above 1: closer
   * @param {number} [u] the place that stays where it is; the middle
   * @param {number} [v]
   */
  zoom(factor, u = (this.box[0] + this.box[1]) / 2, v = (this.box[2] + this.box[3]) / 2) {
    const [u0, u1, v0, v1] = this.box;
    const [wide, high] = [this.home[1] - this.home[0], this.home[3] - this.home[2]];
    // Stopped at the ends, where a view that cannot shrink would wander instead.
    const least = NEAREST / Math.min((u1 - u0) / wide, (v1 - v0) / high);
    const most = FARTHEST / Math.max((u1 - u0) / wide, (v1 - v0) / high);
    const by = Math.min(Math.max(1 / factor, least), most);
    this.setBox([u + (u0 - u) * by, u + (u1 - u) * by, v + (v0 - v) * by, v + (v1 - v) * by]);
  }

  /** @param {number} dx pixels to the right @param {number} dy pixels down */
  pan(dx, dy) {
    const [u0, u1, v0, v1] = this.box;
    const du = (-dx / this.width) * (u1 - u0);
    const dv = (dy / this.height) * (v1 - v0);
    this.setBox([u0 + du, u1 + du, v0 + dv, v1 + dv]);
  }

  /** @param {number} u @param {number} v */
  centreOn(u, v) {
    const [u0, u1, v0, v1] = this.box;
    this.setBox([...about(u, u1 - u0), ...about(v, v1 - v0)]);
  }

  /** @param {number} u @param {number} v @returns {[number, number]} pixels */
  toPixels(u, v) {
    const [u0, u1, v0, v1] = this.box;
    return [((u - u0) / (u1 - u0)) * this.width, ((v1 - v) / (v1 - v0)) * this.height];
  }

  /** @param {MouseEvent} event @returns {[number, number]} place */
  placeOf(event) {
    const frame = this.canvas.getBoundingClientRect();
    const [u0, u1, v0, v1] = this.box;
    return [
      u0 + ((event.clientX - frame.left) / frame.width) * (u1 - u0),
      v1 - ((event.clientY - frame.top) / frame.height) * (v1 - v0),
    ];
  }

  /** @param {MouseEvent} event @returns {boolean} whether it is in the plot, not on its ticks */
  holds(event) {
    const frame = this.canvas.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    return x >= frame.left && x <= frame.right && y >= frame.top && y <= frame.bottom;
  }

  /** Draw with the next frame of the screen. */
  redraw() {
    if (this.frame || !this.facts || !this.width) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const began = performance.now();
      this.density.draw(this.box);
      this.drawDrawn();
      this.placeCurves();
      this.placeTicks();
      this.placeMarks();
      this.told.redrawn(performance.now() - began);
    });
  }

  /** Drawn codes: crosses, so that they differ from codes by more than colour. */
  drawDrawn() {
    if (!this.drawn) return;
    const { context, ratio } = this.density;
    const count = this.drawn.length / 2;
    const arm = (count > 250 ? 2 : 3) * ratio; // many would hide what they lie on
    context.beginPath();
    for (let i = 0; i < count; i++) {
      const [x, y] = this.toPixels(this.drawn[i], this.drawn[count + i]);
      if (x < 0 || y < 0 || x > this.width || y > this.height) continue;
      context.moveTo(x * ratio - arm, y * ratio - arm);
      context.lineTo(x * ratio + arm, y * ratio + arm);
      context.moveTo(x * ratio - arm, y * ratio + arm);
      context.lineTo(x * ratio + arm, y * ratio - arm);
    }
    const style = getComputedStyle(this.root);
    context.lineWidth = 3.2 * ratio;
    context.strokeStyle = style.getPropertyValue("--page");
    context.stroke();
    context.lineWidth = 1.4 * ratio;
    context.strokeStyle = style.getPropertyValue("--drawn");
    context.stroke();
  }

  placeCurves() {
    const [u0, u1, v0, v1] = this.box;
    const sx = this.width / (u1 - u0);
    const sy = -this.height / (v1 - v0);
    this.curves.setAttribute("transform", `matrix(${sx} 0 0 ${sy} ${-u0 * sx} ${-v1 * sy})`);
    for (const { u, v, node } of this.sigmaNames) {
      const [x, y] = this.toPixels(u, v);
      node.setAttribute("x", x.toFixed(1));
      node.setAttribute("y", (y - 4).toFixed(1));
    }
  }

  placeTicks() {
    const [u0, u1, v0, v1] = this.box;
    const nodes = [];
    const bottom = ROOM.top + this.height;
    for (const u of ticks(u0, u1, this.width / 62)) {
      const x = ROOM.left + this.toPixels(u, 0)[0];
      nodes.push(
        makeSVG("line", { x1: x, x2: x, y1: ROOM.top, y2: bottom + 4 }),
        makeSVG("text", { x, y: bottom + 18, "text-anchor": "middle" }, readable(u, 4)),
      );
    }
    for (const v of ticks(v0, v1, this.height / 60)) {
      const y = ROOM.top + this.toPixels(0, v)[1];
      nodes.push(
        makeSVG("line", { x1: ROOM.left - 4, x2: ROOM.left + this.width, y1: y, y2: y }),
        makeSVG("text", { x: ROOM.left - 8, y: y + 4, "text-anchor": "end" }, readable(v, 4)),
      );
    }
    const frame = { class: "rim", x: ROOM.left, y: ROOM.top, width: this.width, height: this.height };
    nodes.push(makeSVG("rect", frame));
    this.grid.replaceChildren(...nodes);
  }

  placeMarks() {
    for (const { u, v, node } of this.marks) {
      const [x, y] = this.toPixels(u, v);
      // What is out of view waits at the rim, paler.
      const [cx, cy] = [clamp(x, 0, this.width), clamp(y, 0, this.height)];
      node.classList.toggle("outside", cx !== x || cy !== y);
      node.setAttribute("transform", `translate(${cx.toFixed(1)} ${cy.toFixed(1)})`);
    }
    if (this.line && this.stroke) {
      const [x1, y1] = this.toPixels(this.line[0], this.line[1]);
      const [x2, y2] = this.toPixels(this.line[2], this.line[3]);
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 })) {
        this.stroke.setAttribute(name, value.toFixed(1));
      }
    }
  }

  /** @param {{u: number, v: number, node: SVGElement}[]} marks */
  setMarks(marks) {
    this.marks = marks;
    const nodes = marks.map((mark) => mark.node);
    if (this.line) {
      const stroke = makeSVG("line", { class: "stroke" });
      nodes.unshift(stroke);
      this.stroke = stroke;
    }
    this.pins.replaceChildren(...nodes);
    this.placeMarks();
  }
}

/** @param {number} middle @param {number} length @returns {[number, number]} */
function about(middle, length) {
  return [middle - length / 2, middle + length / 2];
}

/** @param {number} value @param {number} low @param {number} high */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

/** @param {number[][][]} lines @returns {string} closed and open lines as one SVG path */
function pathOf(lines) {
  return lines
    .map((line) => "M" + line.map(([u, v]) => `${u.toPrecision(6)} ${v.toPrecision(6)}`).join("L"))
    .join("");
}

/** @param {number} share @returns {string} */
export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
