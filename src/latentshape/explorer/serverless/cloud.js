// @ts-check
/**
 * The cloud of codes in numbers: axes, planes, radii and paths, reckoned in the browser as `latentshape.explorer`
 * reckons them (see axes.py, session.py, walks.py and attributes.py, where the formulas stand).
 *
 * With the factor F (d, r) of the covariance, Σ = F F^T; where Σ has an inverse F is its lower Cholesky factor L, and
 * L y = z - mean whitens a code.
 */

import { dot, norm, solveLower, solvePositive, times, transposedTimes } from "./linear-algebra.js";
import { SourceError } from "./source-base.js";

/** Read-outs more parallel than this span no plane; attributes nearer to this cannot be moved apart. */
const PARALLEL = 1 - 1e-6, INSEPARABLE = 1e-9;
/** Half a side of the first look in standard deviations, and the points of an ellipse. */
const SPAN = 3.8, ELLIPSE = 121;
/** Ends that are opposite to each other, seen from the mean. */
const OPPOSITE = 1e-6;

/** @typedef {{name: string, label: string, readout: ArrayLike<number>, offset: number, mean: number, std: number, unit: string}} Axis */

/** Mean, covariance, principal axes and read-outs. */
export class Cloud {
  /**
   * @param {any} facts of `facts.json`: `mean`, `pca`, `attributes`, `singular`
   * @param {{factor: Float32Array, axes: Float32Array, readouts: Float32Array}} numbers F (d, r), principal axes (p, d) and
   *     read-outs of attributes (k, d)
   */
  constructor(facts, { factor, axes, readouts }) {
    this.mean = Float64Array.from(facts.mean);
    this.d = this.mean.length;
    this.facts = facts;
    this.factor = factor;
    this.rank = factor.length / this.d;
    this.axes = axes;
    this.readouts = readouts;
  }

  // --- axes ----------------------------------------------------------------------------------------------------

  /** @param {string} name @returns {Axis} */
  axis(name) {
    const [kind, ...rest] = name.split(":"), which = rest.join(":");
    if (kind === "attribute") return this.attributeAxis(which);
    if (kind !== "component" && kind !== "pca") {
      throw new SourceError(`An axis is 'component:J', 'pca:K' or 'attribute:NAME', got '${name}'.`, 400);
    }
    const count = kind === "component" ? this.d : this.facts.pca.std.length;
    if (!/^\d{1,8}$/.test(which) || Number(which) >= count) {
      throw new SourceError(`${kind} axes are numbered 0 to ${count - 1}, got '${which}'.`, 400);
    }
    return kind === "component" ? this.componentAxis(Number(which)) : this.principalAxis(Number(which));
  }

  /** @param {number} j @returns {Axis} */
  componentAxis(j) {
    const readout = new Float64Array(this.d);
    readout[j] = 1;
    const std = norm(transposedTimes(this.factor, this.rank, readout));
    return { name: `component:${j}`, label: `component ${j}`, readout, offset: 0, mean: this.mean[j], std, unit: "code" };
  }

  /** @param {number} k @returns {Axis} */
  principalAxis(k) {
    const { std, explained } = this.facts.pca, readout = this.axes.subarray(k * this.d, (k + 1) * this.d);
    const label = `principal axis ${k + 1} (${(100 * explained[k]).toFixed(1)}% of the variance)`;
    return { name: `pca:${k}`, label, readout, offset: -dot(readout, this.mean), mean: 0, std: std[k], unit: "code" };
  }

  /** @param {string} name @returns {Axis} */
  attributeAxis(name) {
    const readout = this.readoutOf(name);
    const offset = -dot(readout, this.mean);
    return { name: `attribute:${name}`, label: `${name}, in σ`, readout, offset, mean: 0, std: 1, unit: "sigma" };
  }

  /** @param {string} name of an attribute @returns {Float32Array} its read-out (d,) */
  readoutOf(name) {
    const k = this.facts.attributes.names.indexOf(name);
    if (k < 0) throw new SourceError(`No direction belongs to '${name}'.`, 400);
    return this.readouts.subarray(k * this.d, (k + 1) * this.d);
  }

  /** @param {ArrayLike<number>} w (d,) @returns {Float64Array} Σ w */
  spread(w) {
    return times(this.factor, transposedTimes(this.factor, this.rank, w));
  }

  /** @param {string} x @param {string} y @returns {Plane} */
  plane(x, y) {
    return new Plane(this, this.axis(x), this.axis(y));
  }

  // --- radii ---------------------------------------------------------------------------------------------------

  /** @throws {SourceError} there are no Mahalanobis radii */
  needRadii() {
    if (this.facts.singular) throw new SourceError(`There are no Mahalanobis radii: z ${this.facts.singular}.`, 400);
  }

  /** @param {ArrayLike<number>} code (d,) @returns {Float64Array} whitened: as far from 0 as its Mahalanobis radius */
  whitened(code) {
    return solveLower(this.factor, Float64Array.from(code, (value, j) => value - this.mean[j]));
  }

  /** @param {ArrayLike<number>} code (d,) @returns {number} its Mahalanobis radius */
  radius(code) {
    return norm(this.whitened(code));
  }

  // --- moves ---------------------------------------------------------------------------------------------------

  /**
   * What one sigma of each of some attributes adds to a code while the others of them are held:
   * Σ W^T (W Σ W^T)^-1, one step a column.
   *
   * @param {string[]} names
   * @returns {Float64Array[]} one (d,) for each
   */
  displacements(names) {
    const w = names.map((name) => this.readoutOf(name));
    const spread = w.map((row) => this.spread(row));
    const together = w.map((row) => spread.map((other) => dot(row, other)));
    return names.map((_, k) => {
      const solved = solvePositive(together, names.map((_, j) => (j === k ? 1 : 0)), INSEPARABLE);
      if ("row" in solved) {
        throw new SourceError(
          `The read-out of ${names[solved.row]} says of every code what those of ${names.slice(0, solved.row).join(", ")} ` +
            "say, so that one cannot be moved while another is held; leave one out.",
          400,
        );
      }
      const step = new Float64Array(this.d);
      spread.forEach((column, j) => column.forEach((value, i) => (step[i] += solved.x[j] * value)));
      return step;
    });
  }

  /**
   * @param {Float32Array} ends (2, d)
   * @param {string} kind linear or spherical
   * @param {number} steps
   * @returns {Float32Array} (steps, d)
   */
  path(ends, kind, steps) {
    const { d } = this, start = ends.subarray(0, d), end = ends.subarray(d);
    if (start.every((value, j) => value === end[j])) {
      throw new SourceError("A path needs two different ends; choose another code for one of them.", 400);
    }
    const codes = new Float32Array(steps * d);
    const place = kind === "spherical" ? this.arc(start, end) : null;
    for (let i = 0; i < steps; i++) {
      const t = i / (steps - 1), ahead = i === steps - 1;
      // Ends are met exactly.
      if (i === 0 || ahead) codes.set(ahead ? end : start, i * d);
      else if (place) codes.set(place(t), i * d);
      else for (let j = 0; j < d; j++) codes[i * d + j] = (1 - t) * start[j] + t * end[j];
    }
    return codes;
  }

  /**
   * The arc about the mean, at equal angles, the radius from one end's to the other's.
   *
   * @param {Float32Array} start
   * @param {Float32Array} end
   * @returns {((t: number) => Float64Array) | null} null: the straight line, since one end is the mean itself
   */
  arc(start, end) {
    this.needRadii();
    const y = [this.whitened(start), this.whitened(end)];
    const r = y.map(norm);
    if (Math.min(...r) <= 1e-12 * Math.max(...r)) return null;
    const u = y.map((v, k) => v.map((value) => value / r[k]));
    const apart = u[1].map((value, j) => value - u[0][j]), along = u[1].map((value, j) => value + u[0][j]);
    const angle = 2 * Math.atan2(norm(apart), norm(along));
    if (angle > Math.PI - OPPOSITE) {
      throw new SourceError(
        "A spherical path needs ends that are not opposite to each other, seen from the mean of the codes (every arc " +
          "would be as short); take the linear one, or other ends.",
        400,
      );
    }
    return (t) => {
      const [a, b] = angle > 0 ? [1 - t, t].map((share) => Math.sin(share * angle) / Math.sin(angle)) : [1 - t, t];
      const radius = (1 - t) * r[0] + t * r[1];
      return times(this.factor, u[0].map((value, j) => radius * (a * value + b * u[1][j])))
        .map((value, j) => value + this.mean[j]);
    };
  }
}

/** Two axes together. */
export class Plane {
  /** @param {Cloud} cloud @param {Axis} x @param {Axis} y */
  constructor(cloud, x, y) {
    this.axes = [x, y];
    this.cloud = cloud;
    this.readouts = [x.readout, y.readout];
    this.offset = [x.offset, y.offset];
    this.mean = this.readouts.map((w, k) => dot(w, cloud.mean) + this.offset[k]);
    const spread = this.readouts.map((w) => cloud.spread(w));
    this.cov = this.readouts.map((w) => spread.map((column) => dot(w, column)));
    const gram = this.readouts.map((w) => this.readouts.map((other) => dot(w, other)));
    for (const [name, table] of /** @type {[string, number[][]][]} */ ([["axes", gram], ["codes along the axes", this.cov]])) {
      const both = Math.sqrt(table[0][0] * table[1][1]);
      if (!(both > 0) || Math.abs(table[0][1]) > PARALLEL * both) {
        throw new SourceError(
          `${x.name} and ${y.name} span no plane: the ${name} vary in one direction only. Choose two different axes.`,
          400,
        );
      }
    }
    this.plain = steps(gram, this.readouts);
    this.conditional = steps(this.cov, spread);
  }

  /** @returns {Float32Array} (7, d): read-outs, plain steps, conditional steps, mean */
  lift() {
    const { d, mean } = this.cloud, found = new Float32Array(7 * d);
    [...this.readouts, ...this.plain, ...this.conditional, mean].forEach((row, k) => found.set(row, k * d));
    return found;
  }

  /** @param {Float32Array} codes (m, d) @returns {Float32Array} (2, m): all u, then all v */
  project(codes) {
    const { d } = this.cloud, m = codes.length / d, found = new Float32Array(2 * m);
    this.readouts.forEach((w, k) => {
      // A component is read off, not multiplied.
      const [only] = this.axes[k].name.startsWith("component:") ? [Number(this.axes[k].name.slice(10))] : [-1];
      for (let i = 0; i < m; i++) {
        found[k * m + i] = (only < 0 ? dot(codes, w, i * d) : codes[i * d + only]) + this.offset[k];
      }
    });
    return found;
  }

  /**
   * @param {number[]} sigmas
   * @returns {{sigma: number, expected: number, points: number[][]}[]} ellipses of a Gaussian
   */
  ellipses(sigmas) {
    const std = [0, 1].map((k) => Math.sqrt(this.cov[k][k])), r = this.cov[0][1] / (std[0] * std[1]);
    return sigmas.map((sigma) => ({
      sigma,
      expected: 1 - Math.exp((-sigma * sigma) / 2),
      points: Array.from({ length: ELLIPSE }, (_, i) => {
        // As latentshape.shape.ellipses goes round: in standard units the axes lie on the diagonals.
        const t = (2 * Math.PI * i) / (ELLIPSE - 1);
        const along = Math.sqrt((1 + r) / 2) * Math.cos(t), across = Math.sqrt((1 - r) / 2) * Math.sin(t);
        return [this.mean[0] + sigma * std[0] * (along - across), this.mean[1] + sigma * std[1] * (along + across)];
      }),
    }));
  }

  /**
   * @param {Float32Array} points of which (2, m)
   * @param {number} m
   * @param {number} n the first of them
   * @param {number[]} sigmas
   * @returns {number[]} the share of the first n that each ellipse holds
   */
  shares(points, m, n, sigmas) {
    const [a, b, c] = this.cholesky(), inside = sigmas.map(() => 0);
    for (let i = 0; i < n; i++) {
      const u = (points[i] - this.mean[0]) / a, v = (points[m + i] - this.mean[1] - b * u) / c;
      const squared = u * u + v * v;
      sigmas.forEach((sigma, k) => (inside[k] += squared <= sigma * sigma ? 1 : 0));
    }
    return inside.map((count) => count / n);
  }

  /** @returns {[number, number, number]} a, b, c of the factor [[a, 0], [b, c]] of the covariance */
  cholesky() {
    const a = Math.sqrt(this.cov[0][0]), b = this.cov[0][1] / a;
    return [a, b, Math.sqrt(this.cov[1][1] - b * b)];
  }

  /** @returns {any} what `api/plane` says beside ellipses and contours */
  facts() {
    const std = [0, 1].map((k) => Math.sqrt(this.cov[k][k]));
    const [x, y] = this.axes.map(({ name, label, unit }, k) => ({ axis: name, label, mean: this.mean[k], std: std[k], unit }));
    const range = [0, 1].map((k) => [this.mean[k] - SPAN * std[k], this.mean[k] + SPAN * std[k]]);
    return {
      x, y, same_unit: x.unit === y.unit, correlation: this.cov[0][1] / (std[0] * std[1]),
      offset: this.offset, origin: this.offset, range: { x: range[0], y: range[1] },
    };
  }
}

/**
 * The steps that move one of two read-outs and hold the other: the rows of T^-1 R.
 *
 * @param {number[][]} table T, (2, 2), symmetric
 * @param {ArrayLike<number>[]} rows R, two of (d,)
 * @returns {Float64Array[]}
 */
function steps([[a, b], [, c]], [first, second]) {
  const size = a * c - b * b;
  return [
    Float64Array.from(first, (value, j) => (c * value - b * second[j]) / size),
    Float64Array.from(first, (value, j) => (a * second[j] - b * value) / size),
  ];
}
