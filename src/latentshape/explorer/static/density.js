// @ts-check
/**
 * Millions of points as a picture of their density.
 *
 * Points are counted per pixel of the screen, and counts are turned into colours, anew for every view: so nothing
 * blurs while zooming. Where points are sparse each one is a small disc, so that it can be seen. All arrays
 * are made when the canvas gets its size; a frame allocates nothing.
 */

import { STEPS, categories, rgb, scale, suiting, unknown } from "./colours.js";

/** Weight of a pixel that one point covers fully; less at the rims of discs. */
const FULL = 8;
/** Counts that have a colour of their own; more than this look the same. */
const TONES = 1 << 14;
/** Points of which is guessed how many are in view. */
const PROBED = 4096;
/** Opacity of a lone point where colour tells a value. */
const FAINT = 0.55;

/**
 * Diameter of a point's disc.
 *
 * @param {number} crowding points in view per square pixel of CSS
 * @returns {number} pixels of CSS
 */
function diameter(crowding) {
  if (crowding > 0.6) return 1;
  if (crowding > 0.06) return 2;
  return crowding > 0.002 ? 3 : 4;
}

/** Draws points on a canvas. */
export class Density {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    /** @type {Float32Array} */
    this.u = new Float32Array(0);
    /** @type {Float32Array} */
    this.v = this.u;
    /** @type {Uint8Array | null} a colour for each point; null: density alone */
    this.indices = null;
    this.kind = "density";
    this.dark = false;
    this.hidden = new Uint8Array(256);
    this.tones = new Uint32Array(TONES);
    this.opacity = new Float32Array(TONES);
    this.width = this.height = 0;
    this.ratio = 1;
    this.disc = 0;
    this.offsets = new Int32Array(0);
    this.weights = new Uint8Array(0);
    this.inView = 0;
    this.palette = scale("density", false);
    /** @type {any} */
    this.legend = null;
    /** @type {Float32Array | null} */
    this.values = null;
    /** @type {Float32Array | null} sums for mean colours, made when they are first needed */
    this.cells = null;
  }

  /**
   * @param {number} width pixels of CSS
   * @param {number} height
   * @param {number} ratio device pixels to one of CSS
   */
  resize(width, height, ratio) {
    const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    if (w === this.width && h === this.height && ratio === this.ratio) return;
    [this.width, this.height, this.ratio] = [w, h, ratio];
    this.canvas.width = w;
    this.canvas.height = h;
    this.margin = Math.ceil(4 * ratio); // discs reach over the rim: no test of every pixel
    this.stride = w + 2 * this.margin;
    const size = this.stride * (h + 2 * this.margin);
    this.counts = new Uint32Array(size);
    this.cells = null;
    this.image = this.context.createImageData(w, h);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.disc = 0;
  }

  /** @param {Float32Array} points (2, n): all u, then all v */
  setPoints(points) {
    this.u = points.subarray(0, points.length / 2);
    this.v = points.subarray(points.length / 2);
  }

  /**
   * @param {Float32Array | null} values (n,), NaN where unknown; null: colour tells density
   * @param {any} legend answer of `api/legend`
   */
  setValues(values, legend) {
    this.values = values;
    this.legend = legend;
    this.hidden.fill(0);
    if (!values) {
      this.indices = null;
      this.kind = "density";
    } else {
      this.kind = legend.kind;
      const indices = (this.indices = new Uint8Array(values.length));
      const step = legend.kind === "number" ? 254 / (legend.high - legend.low || 1) : 0;
      for (let i = 0; i < values.length; i++) {
        const value = values[i];
        if (value !== value) indices[i] = 255;
        else if (step) indices[i] = Math.min(254, Math.max(0, (value - legend.low) * step));
        else indices[i] = value;
      }
    }
    this.setTheme(this.dark);
  }

  /** @param {boolean} dark */
  setTheme(dark) {
    this.dark = dark;
    if (this.kind === "density") this.palette = scale("density", dark);
    else if (this.kind === "number") {
      this.palette = scale(suiting(this.legend.low, this.legend.high), dark);
      this.palette.set(rgb(unknown(dark)), 3 * 255);
    } else {
      this.palette = new Uint8Array(3 * STEPS).fill(128);
      categories(this.legend.labels.length, dark).forEach((hex, k) => this.palette.set(rgb(hex), 3 * k));
      this.palette.set(rgb(unknown(dark)), 3 * 255);
    }
  }

  /**
   * Leave out a category.
   *
   * @param {number} category 255: what is unknown
   * @param {boolean} hidden
   */
  hide(category, hidden) {
    this.hidden[category] = hidden ? 1 : 0;
  }

  /**
   * Draw what lies in a box.
   *
   * @param {[number, number, number, number]} box u from, u to, v from, v to; v grows upwards
   * @returns {number} milliseconds
   */
  draw(box) {
    const began = performance.now();
    if (!this.counts || !this.pixels || !this.image) return 0;
    const [u0, u1, v0, v1] = box;
    const sx = this.width / (u1 - u0);
    const sy = -this.height / (v1 - v0);
    const tx = -u0 * sx;
    const ty = -v1 * sy;
    this.chooseDisc(sx, sy, tx, ty);
    if (this.indices) {
      this.paintColours(this.countColours(sx, sy, tx, ty));
    } else {
      this.paintCounts(this.count(sx, sy, tx, ty));
    }
    this.context.putImageData(this.image, 0, 0);
    return performance.now() - began;
  }

  /**
   * Choose how large points are, from a sample of those in view.
   *
   * @param {number} sx @param {number} sy @param {number} tx @param {number} ty
   */
  chooseDisc(sx, sy, tx, ty) {
    const n = this.u.length;
    const step = Math.max(1, Math.floor(n / PROBED));
    let seen = 0;
    let probed = 0;
    for (let i = 0; i < n; i += step, probed++) {
      const x = this.u[i] * sx + tx;
      const y = this.v[i] * sy + ty;
      if (x >= 0 && y >= 0 && x < this.width && y < this.height) seen++;
    }
    this.inView = probed ? (seen / probed) * n : 0;
    const area = (this.width * this.height) / this.ratio ** 2;
    const disc = Math.max(1, Math.round(diameter(this.inView / area) * this.ratio));
    if (disc !== this.disc) this.makeDisc(disc);
  }

  /** @param {number} size device pixels across */
  makeDisc(size) {
    this.disc = size;
    const from = -Math.floor((size - 1) / 2);
    const centre = from + (size - 1) / 2;
    const offsets = [];
    const weights = [];
    for (let y = from; y < from + size; y++) {
      for (let x = from; x < from + size; x++) {
        const covered = size / 2 + 0.5 - Math.hypot(x - centre, y - centre);
        const weight = Math.round(FULL * Math.min(1, Math.max(0, covered)));
        if (!weight) continue;
        offsets.push(y * (this.stride ?? 0) + x);
        weights.push(weight);
      }
    }
    this.offsets = Int32Array.from(offsets);
    this.weights = Uint8Array.from(weights);
  }

  /**
   * @param {number} sx @param {number} sy @param {number} tx @param {number} ty
   * @returns {number} the largest count
   */
  count(sx, sy, tx, ty) {
    const { u, v, width, height, offsets, weights } = this;
    const counts = /** @type {Uint32Array} */ (this.counts);
    const stride = /** @type {number} */ (this.stride);
    const margin = /** @type {number} */ (this.margin);
    const first = margin * stride + margin;
    const k = offsets.length;
    counts.fill(0);
    let most = 0;
    for (let i = 0; i < u.length; i++) {
      const x = u[i] * sx + tx;
      const y = v[i] * sy + ty;
      if (!(x >= 0 && y >= 0 && x < width && y < height)) continue; // NaN neither
      const at = first + (y | 0) * stride + (x | 0);
      for (let j = 0; j < k; j++) counts[at + offsets[j]] += weights[j];
      if (counts[at] > most) most = counts[at];
    }
    return most;
  }

  /** @param {number} most the largest count */
  paintCounts(most) {
    const { tones, palette, width, height } = this;
    const counts = /** @type {Uint32Array} */ (this.counts);
    const pixels = /** @type {Uint32Array} */ (this.pixels);
    const stride = /** @type {number} */ (this.stride);
    const margin = /** @type {number} */ (this.margin);
    const last = Math.min(Math.max(most, FULL), TONES - 1);
    const full = Math.log1p(last / FULL);
    tones[0] = 0;
    for (let c = 1; c <= last; c++) {
      const tone = Math.max(0, (Math.log1p(c / FULL) - Math.LN2) / (full - Math.LN2 || 1));
      const at = 3 * Math.min(STEPS - 1, Math.round(tone * (STEPS - 1)));
      const alpha = c < FULL ? Math.round((255 * c) / FULL) : 255;
      tones[c] = (alpha << 24) | (palette[at + 2] << 16) | (palette[at + 1] << 8) | palette[at];
    }
    for (let y = 0, to = 0; y < height; y++) {
      let from = (y + margin) * stride + margin;
      for (let x = 0; x < width; x++, from++, to++) {
        const c = counts[from];
        pixels[to] = tones[c < last ? c : last];
      }
    }
  }

  /**
   * Add up per pixel: weight, and either (weight x value, weight of known values) or weight x colour.
   *
   * @param {number} sx @param {number} sy @param {number} tx @param {number} ty
   * @returns {number} the largest weight
   */
  countColours(sx, sy, tx, ty) {
    const { u, v, width, height, offsets, weights, palette, hidden } = this;
    const indices = /** @type {Uint8Array} */ (this.indices);
    const stride = /** @type {number} */ (this.stride);
    const margin = /** @type {number} */ (this.margin);
    const cells = (this.cells ??= new Float32Array(4 * stride * (height + 2 * margin)));
    const first = margin * stride + margin;
    const k = offsets.length;
    const byValue = this.kind === "number";
    cells.fill(0);
    let most = FULL;
    for (let i = 0; i < u.length; i++) {
      const x = u[i] * sx + tx;
      const y = v[i] * sy + ty;
      if (!(x >= 0 && y >= 0 && x < width && y < height)) continue;
      const index = indices[i];
      if (hidden[index]) continue;
      const at = first + (y | 0) * stride + (x | 0);
      let a = index;
      let b = index === 255 ? 0 : 1;
      let c = 0;
      if (byValue) a *= b;
      else [a, b, c] = [palette[3 * index], palette[3 * index + 1], palette[3 * index + 2]];
      for (let j = 0; j < k; j++) {
        const cell = 4 * (at + offsets[j]);
        const w = weights[j];
        cells[cell] += w;
        cells[cell + 1] += w * a;
        cells[cell + 2] += w * b;
        cells[cell + 3] += w * c;
      }
      if (cells[4 * at] > most) most = cells[4 * at];
    }
    return most;
  }

  /**
   * Mean colours, fainter where points are few.
   *
   * @param {number} most the largest weight
   */
  paintColours(most) {
    const { palette, width, height, opacity } = this;
    const cells = /** @type {Float32Array} */ (this.cells);
    const pixels = /** @type {Uint32Array} */ (this.pixels);
    const stride = /** @type {number} */ (this.stride);
    const margin = /** @type {number} */ (this.margin);
    const byValue = this.kind === "number";
    const last = Math.min(most, TONES - 1) | 0;
    const full = Math.log1p(last / FULL);
    for (let c = 1; c <= last; c++) {
      const tone = Math.max(0, (Math.log1p(c / FULL) - Math.LN2) / (full - Math.LN2 || 1));
      opacity[c] = 255 * (FAINT + (1 - FAINT) * tone) * Math.min(1, c / FULL);
    }
    for (let y = 0, to = 0; y < height; y++) {
      let cell = 4 * ((y + margin) * stride + margin);
      for (let x = 0; x < width; x++, cell += 4, to++) {
        const w = cells[cell];
        if (!w) {
          pixels[to] = 0;
          continue;
        }
        let r = cells[cell + 1] / w;
        let g = cells[cell + 2] / w;
        let b = cells[cell + 3] / w;
        if (byValue) {
          const known = cells[cell + 2];
          const index = 3 * (known ? (cells[cell + 1] / known + 0.5) | 0 : 255);
          r = palette[index];
          g = palette[index + 1];
          b = palette[index + 2];
        }
        pixels[to] = (opacity[w < last ? w | 0 : last] << 24) | (b << 16) | (g << 8) | r;
      }
    }
  }
}
