// @ts-check
/**
 * Where everything shown comes from in a page without a server: files beside the page, and this browser.
 *
 * `latentshape export RUN --static DIR` lays it in the place of `static/source.js`: its `Source` has the same methods. The
 * codes that are shipped, and what is told of all of them, lie in `data/` (see `latentshape.explorer.static_export`);
 * planes, radii, sliders and paths are reckoned here (cloud.js), pictures decoded here (decoder.js).
 */

import { Cloud } from "./cloud.js";
import { Decoder } from "./decoder.js";
import { dot } from "./linear-algebra.js";
import { pixelsOf, pngOf, sheetOf } from "./pictures.js";
import { KeepingSource, SourceError, fetched, floats } from "./source-base.js";
import { readOut } from "./state.js";

export { SourceError };

/** @typedef {import("./source-base.js").Pictures} Pictures */

/** Principal axes in a description and among the sliders, and neighbours named with a code. */
const PCA_SLIDERS = 8, NEAREST = 6;
/** Radii that differ by less, relatively, are equal: a training code is as far out as itself. */
const SAME_RADIUS = 1e-5;
const MISSING = "A file of this page did not come. It is to be opened from a server, such as: python -m http.server";

/** The files beside the page: each is read once, and kept as long as the page. */
class Files {
  /** @param {string} base the folder of data, relative to the page */
  constructor(base) {
    this.base = base;
    /** @type {Map<string, Promise<any>>} */
    this.known = new Map();
  }

  /**
   * @param {string} name
   * @returns {Promise<any>} the content: JSON, or float32 numbers
   */
  read(name) {
    let found = this.known.get(name);
    if (!found) {
      found = this.fetch(name);
      this.known.set(name, found);
      found.catch(() => this.known.delete(name)); // the next one may ask again
    }
    return found;
  }

  /** @param {string} name */
  async fetch(name) {
    const answer = await fetched(this.base + name, undefined, MISSING, ({ status }) => `${MISSING} (${name}: ${status}).`);
    return name.endsWith(".json") ? answer.json() : floats(await answer.arrayBuffer());
  }
}

/**
 * What of codes is asked for by name: `train:12`, `gaussian:7`.
 *
 * @param {string} ref
 * @returns {{kind: string, number: number}}
 */
function parsed(ref) {
  const [, kind, digits] = /^([^:]+):(\d{1,15})$/.exec(ref) ?? [];
  if (kind === undefined || kind === "z") {
    throw new SourceError(
      "A code is named 'mean', 'origin', SPLIT:ROW, SAMPLER:SEED or 'z:' and its components in base64, got " +
        `'${ref.slice(0, 60)}'.`,
      400,
    );
  }
  return { kind, number: Number(digits) };
}

/** Answers from files. */
export class Source extends KeepingSource {
  /** @param {string} [base] the folder of data, relative to the page */
  constructor(base = "data/") {
    super();
    this.files = new Files(base);
    /** @type {Promise<Cloud> | null} */
    this.known = null;
    /** @type {Decoder | null} */
    this.decoder = null;
  }

  /** @returns {Promise<any>} what there is, as `api/about` says it */
  async about() {
    return (await this.files.read("facts.json")).about;
  }

  // --- planes --------------------------------------------------------------------------------------------------

  /** @param {string} x @param {string} y @returns {Promise<any>} facts of a plane */
  plane(x, y) {
    return this.once(`plane ${x} ${y}`, async () => {
      const [cloud, { about }, measured] = await Promise.all([
        cloudOf(this), this.files.read("facts.json"), this.files.read("planes.json"),
      ]);
      const plane = cloud.plane(x, y), facts = plane.facts(), ellipses = plane.ellipses(about.sigmas);
      const [first] = about.splits, of = about.shipped.trained;
      const [there, turned] = [measured.planes[`${x} ${y}`], measured.planes[`${y} ${x}`]];
      const known = there ?? turned;
      if (known) {
        const contours = there ? there.contours : turned.contours.map(swapped);
        return { ...facts, n: of, contours, ellipses: withShares(ellipses, known.observed) };
      }
      const shares = plane.shares(await this.points(x, y), about.n, first.n, about.sigmas);
      const partly = first.n < of ? { of } : {};
      const why = `This page holds the contours of ${measured.words}; latentshape explore draws those of any plane.`;
      return { ...facts, n: first.n, ...partly, contours: [], no_contours: why, ellipses: withShares(ellipses, shares) };
    });
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (7, d): read-outs, plain, conditional, mean */
  lift(x, y) {
    return this.once(`lift ${x} ${y}`, async () => (await cloudOf(this)).plane(x, y).lift());
  }

  /** @param {string} x @param {string} y @returns {Promise<Float32Array>} (2, n): all u, then all v */
  points(x, y) {
    return this.once(`points ${x} ${y}`, async () => {
      const [cloud, codes] = await Promise.all([cloudOf(this), this.files.read("codes.f32")]);
      return cloud.plane(x, y).project(codes);
    });
  }

  /** @param {string} by @returns {Promise<Float32Array>} (n,), NaN where unknown */
  async colour(by) {
    const { about } = await this.files.read("facts.json");
    if (by === "split") {
      const found = new Float32Array(about.n);
      about.splits.forEach((/** @type {any} */ { start, n }, /** @type {number} */ k) => found.fill(k, start, start + n));
      return found;
    }
    const place = about.colours.findIndex((/** @type {any} */ known) => known.by === by);
    if (place < 0 || by === "density") {
      throw new SourceError(`Codes are coloured by 'split', 'radius' or 'attribute:NAME', got '${by.slice(0, 60)}'.`, 400);
    }
    return this.files.read(`colour-${place}.f32`);
  }

  /** @param {string} by @returns {Promise<any>} what the values of `colour` mean */
  async legend(by) {
    const { legends } = await this.files.read("facts.json");
    if (!legends[by]) throw new SourceError(`There is no legend of '${by.slice(0, 60)}'.`, 400);
    return legends[by];
  }

  /**
   * @param {string} sampler @param {number} seed @param {number} n @param {string} x @param {string} y
   * @returns {Promise<Float32Array>} (2, n) of drawn codes in the plane
   */
  async drawn(sampler, seed, n, x, y) {
    const [cloud, codes] = await Promise.all([cloudOf(this), drawsOf(this, sampler, seed, n)]);
    return cloud.plane(x, y).project(codes);
  }

  // --- codes ---------------------------------------------------------------------------------------------------

  /** @param {string} ref @returns {Promise<Float32Array>} (d,) */
  async code(ref) {
    const { about, mean } = await this.files.read("facts.json");
    if (ref === "mean") return Float32Array.from(mean);
    if (ref === "origin") return new Float32Array(about.d);
    const spelt = readOut(ref, about.d);
    if (spelt) return spelt;
    const { kind, number } = parsed(ref);
    const split = about.splits.find((/** @type {any} */ known) => known.name === kind);
    if (!split) return drawsOf(this, kind, number, 1);
    if (number >= split.n) {
      throw new SourceError(`The split '${kind}' has rows 0 to ${split.n - 1} here, got ${number}.`, 400);
    }
    const codes = await this.files.read("codes.f32"), at = (split.start + number) * about.d;
    return codes.slice(at, at + about.d);
  }

  /** @param {string} split @param {number} start @param {number} n @returns {Promise<any>} refs and ids */
  async gallery(split, start, n) {
    const { about } = await this.files.read("facts.json");
    const found = about.splits.find((/** @type {any} */ known) => known.name === split);
    if (!found || start < 0 || start >= found.n) {
      throw new SourceError(found ? `The split '${split}' has rows 0 to ${found.n - 1} here, got ${start}.`
        : `No split is called '${split.slice(0, 60)}'.`, 400);
    }
    const rows = Array.from({ length: Math.min(n, found.n - start) }, (_, k) => start + k);
    return {
      refs: rows.map((row) => `${split}:${row}`), ids: rows.map((row) => String(row * found.every)), total: found.n,
    };
  }

  /** @param {Float32Array} code (d,) @returns {Promise<any>} radius, words, scores, nearest training codes */
  async describe(code) {
    const [cloud, { about, pca, attributes }, codes] = await Promise.all([
      cloudOf(this), this.files.read("facts.json"), this.files.read("codes.f32"),
    ]);
    const apart = Float64Array.from(code, (value, j) => value - cloud.mean[j]), { d } = about;
    const scores = pca.std.slice(0, PCA_SLIDERS).map((/** @type {number} */ std, /** @type {number} */ k) =>
      dot(cloud.axes, apart, k * d) / std);
    return {
      ...(await placeOf(this, code)),
      pca: scores,
      attributes: attributes.names.map((/** @type {string} */ name, /** @type {number} */ k) =>
        ({ name, score: dot(cloud.readouts, apart, k * d) })),
      nearest: nearest(code, codes, about.splits[0]),
    };
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Float32Array>} (m,) their Mahalanobis radii
   */
  async radii(codes) {
    const cloud = await cloudOf(this);
    cloud.needRadii();
    const { d } = cloud;
    return Float32Array.from({ length: codes.length / d }, (_, i) => cloud.radius(codes.subarray(i * d, (i + 1) * d)));
  }

  // --- moves ---------------------------------------------------------------------------------------------------

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<any>} names and ends */
  async sliders(choice) {
    return (await slide(this, choice)).record;
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d): one sigma each */
  async slides(choice) {
    return (await slide(this, choice)).steps;
  }

  /** @param {{attributes?: string, pca?: number}} choice @returns {Promise<Float32Array>} (k, d + 1) */
  async readouts(choice) {
    return (await slide(this, choice)).readouts;
  }

  /**
   * @param {Float32Array} ends (2, d)
   * @param {string} kind one of `about.paths`
   * @param {number} steps
   * @returns {Promise<Float32Array>} (steps, d)
   */
  async path(ends, kind, steps) {
    const [cloud, about] = await Promise.all([cloudOf(this), this.about()]);
    if (!about.paths.includes(kind)) {
      throw new SourceError(`The paths of this page are ${about.paths.join(" and ")}; latentshape explore has more.`, 400);
    }
    if (!(steps >= 2 && steps <= about.limits.codes)) {
      throw new SourceError(`steps is a number from 2 to ${about.limits.codes}, got ${steps}.`, 400);
    }
    return cloud.path(ends, kind, steps);
  }

  // --- pictures ------------------------------------------------------------------------------------------------

  /**
   * The decoder's own answer, before it becomes pixels.
   *
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Float32Array>} (m, c, h, w) in [0, 1]
   */
  async decodeFloats(codes) {
    const about = await this.about();
    if (!about.decodes) throw new SourceError("There is no decoder here: these are bare codes.", 400);
    if (!codes.length || codes.length % about.d || codes.length > about.limits.codes * about.d) {
      throw new SourceError(`Expected 1 to ${about.limits.codes} codes of ${about.d} components.`, 400);
    }
    if (!codes.every(Number.isFinite)) throw new SourceError("A code holds NaN or infinite components.", 400);
    this.decoder ??= new Decoder(about.d);
    return this.decoder.decode(codes);
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @returns {Promise<Pictures>}
   */
  async decode(codes) {
    const { channels, size } = await this.about();
    return pixelsOf(await this.decodeFloats(codes), channels, size);
  }

  /**
   * @param {Float32Array} codes (m, d)
   * @param {string} as one of `about.files`: png, strip
   * @param {number} [columns] of a strip in several rows
   * @returns {Promise<Blob>} a file to be saved
   */
  async file(codes, as, columns) {
    const { files } = await this.about();
    if (!files.includes(as)) throw new SourceError(`This page saves ${files.join(" and ")}, got '${as}'.`, 400);
    const pictures = await this.decode(codes);
    return pngOf(sheetOf(pictures, columns ?? pictures.shape[0]));
  }

  /** @param {string} ref @returns {Promise<string>} an address for `<img>`: the decoded code */
  async picture(ref) {
    return sheetOf(await this.decode(await this.code(ref)), 1).toDataURL("image/png");
  }

  /** @param {string} ref @returns {Promise<string>} never: no image is shipped */
  async image(ref) {
    throw new SourceError(`The original image of ${ref.slice(0, 60)} is not part of this page.`, 404);
  }

  /** @param {Blob} photo @param {string} crop @returns {Promise<{ref: string, original: string}>} never */
  async encode(photo, crop) {
    throw new SourceError(`Photos (${photo.size} bytes, ${crop}) are encoded by latentshape explore alone.`, 404);
  }

  // --- the shape -----------------------------------------------------------------------------------------------

  /** @returns {Promise<any | null>} shape.json */
  shape() {
    return this.files.read("shape.json");
  }

  /** @returns {Promise<any | null>} questions and answers */
  verdict() {
    return this.files.read("verdict.json");
  }

  /** @param {number} j @returns {Promise<any>} the number distribution of a component */
  async component(j) {
    const found = (await this.files.read("components.json"))[j];
    if (!found) throw new SourceError(`There is no component ${j}.`, 400);
    return found;
  }

  /** @returns {Promise<Float32Array>} (d, d) in the order of `order` */
  correlation() {
    return this.files.read("correlation.f32");
  }

  /** @returns {Promise<{order: number[]}>} component indices */
  async order() {
    return { order: (await this.files.read("facts.json")).order };
  }

  /** @returns {Promise<any>} the radius law */
  async radius() {
    (await cloudOf(this)).needRadii();
    return this.files.read("radius.json");
  }

  /** @returns {Promise<any | null>} scorecard.json; null where nothing was judged */
  scorecard() {
    return this.files.read("scorecard.json");
  }
}

// --- what the answers share ------------------------------------------------------------------------------------

/** @param {Source} source @returns {Promise<Cloud>} */
function cloudOf(source) {
  source.known ??= Promise.all(
    ["facts.json", "factor.f32", "axes.f32", "readouts.f32"].map((name) => source.files.read(name)),
  ).then(([facts, factor, axes, readouts]) => new Cloud(facts, { factor, axes, readouts }));
  source.known.catch(() => (source.known = null));
  return source.known;
}

/**
 * Codes as a sampler draws them from seeds, as many as the page holds.
 *
 * @param {Source} source
 * @param {string} sampler @param {number} seed the first @param {number} n
 * @returns {Promise<Float32Array>} (n, d)
 */
async function drawsOf(source, sampler, seed, n) {
  const { d, samplers, limits } = await source.about();
  if (!samplers.includes(sampler)) {
    throw new SourceError(`Neither a split nor a sampler of this page is called '${sampler.slice(0, 60)}'.`, 400);
  }
  if (seed + n > limits.seeds) {
    throw new SourceError(
      `This page holds what ${sampler} draws from the seeds 0 to ${limits.seeds - 1}; from others latentshape explore draws.`,
      400,
    );
  }
  return (await source.files.read(`drawn-${sampler}.f32`)).slice(seed * d, (seed + n) * d);
}

/** @param {any} contour @returns {any} the same with x and y exchanged */
function swapped(contour) {
  return { ...contour, lines: contour.lines.map((/** @type {number[][]} */ line) => line.map(([u, v]) => [v, u])) };
}

/** @param {any[]} ellipses @param {number[]} observed */
function withShares(ellipses, observed) {
  return ellipses.map((ellipse, k) => ({ ...ellipse, observed: observed[k] }));
}

/**
 * How far out a code lies among the training codes.
 *
 * @param {Source} source
 * @param {Float32Array} code
 */
async function placeOf(source, code) {
  const [cloud, { singular, about }] = await Promise.all([cloudOf(source), source.files.read("facts.json")]);
  if (singular) return { radius: null, radius_share: null, words: `no Mahalanobis radius: z ${singular}` };
  const radii = await source.files.read("training-radii.f32"), radius = cloud.radius(code);
  const last = radii[radii.length - 1], n = about.shipped.trained, share = rank(radii, radius * (1 + SAME_RADIUS), n) / n;
  let words = `inside the cloud: ${(100 * (1 - share)).toFixed(1)}% of the training codes lie farther out`;
  if (radius > last * (1 + SAME_RADIUS)) words = `outside: no training code lies as far out (the farthest at ${last.toFixed(1)})`;
  else if (share < 0.001) {
    words = `nearer to the mean than nearly every training code (the nearest at ${radii[0].toFixed(1)})`;
  }
  return { radius, radius_share: share, words: `Mahalanobis radius ${radius.toFixed(1)}, ${words}.` };
}

/**
 * How many of n sorted radii are smaller, where every so many of them are known.
 *
 * @param {Float32Array} known rising, the first and the last of the n among them, evenly spread
 * @param {number} radius
 * @param {number} n
 * @returns {number}
 */
function rank(known, radius, n) {
  let low = 0, high = known.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (known[middle] < radius) low = middle + 1;
    else high = middle;
  }
  if (low === 0 || low === known.length) return low && n;
  return known.length === n ? low : ((low - 0.5) * (n - 1)) / (known.length - 1);
}

/**
 * The training codes nearest to a code, of those that are shipped.
 *
 * @param {Float32Array} code
 * @param {Float32Array} codes of all splits (n, d)
 * @param {any} split the training codes: name, start, n, every
 * @returns {{ref: string, id: string, distance: number}[]} the nearest first
 */
function nearest(code, codes, { name, start, n, every }) {
  const d = code.length;
  /** @type {{row: number, squared: number}[]} */
  const found = [];
  for (let row = 0; row < n; row++) {
    const most = found.length < NEAREST ? Infinity : found[found.length - 1].squared;
    let squared = 0;
    for (let j = 0, at = (start + row) * d; j < d && squared < most; j++, at++) {
      const apart = codes[at] - code[j];
      squared += apart * apart;
    }
    if (!(squared < most)) continue;
    const place = found.findIndex((other) => squared < other.squared);
    found.splice(place < 0 ? found.length : place, 0, { row, squared });
    found.length = Math.min(found.length, NEAREST);
  }
  return found.map(({ row, squared }) => ({ ref: `${name}:${row}`, id: String(row * every), distance: Math.sqrt(squared) }));
}

/**
 * Sliders: names and ends, what a sigma of each adds, and how a code's place is read.
 *
 * @param {Source} source
 * @param {{attributes?: string, pca?: number}} choice
 * @returns {Promise<{record: any, steps: Float32Array, readouts: Float32Array}>}
 */
function slide(source, { attributes, pca = PCA_SLIDERS }) {
  return source.once(`slide ${attributes} ${pca}`, async () => {
    const [cloud, facts] = await Promise.all([cloudOf(source), source.files.read("facts.json")]);
    const { d } = cloud, { names, low, high } = facts.attributes;
    const chosen = attributes === undefined ? facts.attributes.telling
      : [...new Set(attributes.split(",").filter((name) => name))];
    const count = Math.min(pca, facts.pca.std.length), k = count + chosen.length;
    const steps = new Float32Array(k * d), readouts = new Float32Array(k * (d + 1));
    for (let row = 0; row < k; row++) {
      const along = row < count ? cloud.axes.subarray(row * d, (row + 1) * d) : cloud.readoutOf(chosen[row - count]);
      const scale = row < count ? 1 / facts.pca.std[row] : 1;
      readouts.set(along.map((value) => value * scale), row * (d + 1));
      readouts[row * (d + 1) + d] = -scale * dot(along, cloud.mean);
      if (row < count) steps.set(along.map((value) => value / scale), row * d);
    }
    if (chosen.length) cloud.displacements(chosen).forEach((step, j) => steps.set(step, (count + j) * d));
    const ends = Array.from({ length: count }, (_, j) =>
      ({ name: `principal axis ${j + 1}`, axis: `pca:${j}`, low: -4, high: 4 }));
    const record = { pca: ends, attributes: chosen.map((/** @type {string} */ name) => {
      const j = names.indexOf(name);
      return { name, axis: `attribute:${name}`, low: low[j], high: high[j] };
    }) };
    return { record, steps, readouts };
  });
}
