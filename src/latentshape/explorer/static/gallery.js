// @ts-check
/**
 * The gallery view: samplers side by side, images beside their reconstructions, morphs.
 *
 * What is shown follows from the URL's keys that begin with `g_` alone, so that a link shows the same gallery; a
 * control changes the URL, and the URL changes the gallery. A click on a picture makes its code the current one.
 */

import { number } from "./charts.js";
import { labelled, make } from "./dom.js";
import { mountMorph } from "./gallery-morph.js";

/** Galleries in the order of their tabs. */
const PARTS = [
  { name: "samplers", label: "Samplers side by side", mount: mountSamplers },
  { name: "pairs", label: "Image and reconstruction", mount: mountPairs },
  { name: "morph", label: "Morph", mount: mountMorph },
];
/** Pictures in a row of a sampler, and pairs on a page: what is offered, and the first choice. */
const COUNTS = [8, 12, 16, 24], COUNT = 12, PAIRS = 12;
/** The sampler that stands for what is right in mean and covariance, and the one of a model that was told to be normal. */
const USUAL = ["gaussian", "standard-normal"];

/**
 * Put the gallery view into an element.
 * @param {HTMLElement} element filled at once, its galleries when they are first opened
 * @param {any} app of main.js
 * @returns {{show(): void, hide(): void}}
 */
export function mountGallery(element, app) {
  /** @type {Record<string, {update(): void, hide?(): void}>} */
  const mounted = {};
  const chosen = () => (PARTS.some(({ name }) => name === app.state.g_show) ? app.state.g_show : PARTS[0].name);
  const tabs = PARTS.map(({ name, label }) => make("button", {
    type: "button", role: "tab", id: `gallery-tab-${name}`, "aria-controls": `gallery-${name}`,
    onclick: () => app.go({ g_show: name === PARTS[0].name ? "" : name }),
  }, name === "pairs" && !app.about.images ? "Reconstructions" : label));
  const panels = PARTS.map(({ name }) => make("div", {
    role: "tabpanel", id: `gallery-${name}`, "aria-labelledby": `gallery-tab-${name}`, hidden: true,
  }));
  const list = make("div", {
    class: "gallery-tabs", role: "tablist", "aria-label": "Galleries",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const to = (PARTS.findIndex(({ name }) => name === chosen()) + by + PARTS.length) % PARTS.length;
      event.preventDefault();
      tabs[to].click();
      tabs[to].focus();
    },
  }, ...tabs);
  element.classList.add("gallery-view");
  element.replaceChildren(list, ...panels);

  let seen = false;
  const update = () => {
    if (!seen) return;
    PARTS.forEach(({ name, mount }, k) => {
      const open = name === chosen();
      tabs[k].setAttribute("aria-selected", String(open));
      tabs[k].tabIndex = open ? 0 : -1;
      panels[k].hidden = !open;
      if (open) (mounted[name] ??= mount(panels[k], app)).update();
      else mounted[name]?.hide?.();
    });
    markCurrent(element, app.current.ref);
  };
  app.onChange(update);
  app.onCode(() => markCurrent(element, app.current.ref));
  return {
    show() { seen = true; update(); },
    hide() {
      seen = false;
      for (const part of Object.values(mounted)) part.hide?.();
    },
  };
}

/**
 * Mark the pictures of the current code.
 * @param {HTMLElement} element
 * @param {string} ref
 */
function markCurrent(element, ref) {
  for (const button of element.querySelectorAll("button[data-ref]")) {
    if (/** @type {HTMLElement} */ (button).dataset.ref === ref) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

/**
 * Why a code cannot be shown: `<img>` does not tell.
 * @param {any} app
 * @param {string} ref
 * @returns {Promise<string>} a sentence
 */
async function whyNot(app, ref) {
  try {
    await app.source.code(ref);
    return "The picture did not come: it could not be decoded.";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * A whole number of the state.
 * @param {any} value
 * @param {number} otherwise where there is none
 * @param {number} [most]
 */
function whole(value, otherwise, most = Number.MAX_SAFE_INTEGER) {
  const found = Number(value);
  return value === undefined || value === "" || !Number.isInteger(found) || found < 0 ? otherwise : Math.min(found, most);
}

/**
 * Choose among numbers.
 * @param {number[]} values
 * @param {(value: number) => void} chosen
 * @returns {HTMLSelectElement}
 */
function choice(values, chosen) {
  const select = make("select", { onchange: () => chosen(Number(select.value)) },
    ...values.map((value) => make("option", { value }, String(value))));
  return select;
}

// --- samplers side by side -----------------------------------------------------------------------------------

/**
 * @param {HTMLElement} element
 * @param {any} app
 * @returns {{update(): void}}
 */
function mountSamplers(element, app) {
  const known = /** @type {string[]} */ (app.about.samplers);
  const usual = [...new Set([app.about.recommended ?? app.about.default.sampler, ...USUAL])].filter((s) => known.includes(s));
  const wanted = () => {
    const { g_samplers: names, g_count, g_seed } = app.state;
    const given = String(names ?? "").split(",").filter((name) => known.includes(name));
    return { names: given.length ? given : usual, count: Math.max(1, whole(g_count, COUNT, 64)), seed: whole(g_seed, 0) };
  };
  const boxes = known.map((name) => make("input", { type: "checkbox", value: name, onchange: () => {
    const names = known.filter((_, k) => boxes[k].checked);
    if (!names.length) {
      app.say("One sampler at least is shown: choose another before this one is left out.");
      update();
      return;
    }
    // Those that are there already stay in their order; a new one comes last.
    const before = wanted().names.filter((n) => names.includes(n));
    const after = [...before, ...names.filter((n) => !before.includes(n))];
    app.go({ g_samplers: after.join() === usual.join() ? "" : after.join() });
  } }));
  const seed = make("input", { type: "number", min: 0, step: 1,
    onchange: () => app.go({ g_seed: String(whole(seed.value, 0) || "") }) });
  const count = choice(COUNTS, (value) => app.go({ g_count: value === COUNT ? "" : String(value) }));
  const step = (/** @type {number} */ by) => {
    const now = wanted();
    app.go({ g_seed: String(Math.max(0, now.seed + by * now.count) || "") });
  };
  const previous = make("button", { type: "button", onclick: () => step(-1) }, "‹ Previous seeds");
  const rows = make("div", { class: "sampler-rows" });
  element.replaceChildren(
    make("fieldset", { class: "chips" }, make("legend", {}, "Samplers"), ...known.map((name, k) => make("label", {
      title: app.about.sampler_words?.[name] ?? name,
    }, boxes[k], name === app.about.recommended ? `${name} (recommended)` : name))),
    make("div", { class: "controls" }, labelled("First seed", seed), labelled("Pictures", count),
      make("span", { class: "pager" }, previous, make("button", { type: "button", onclick: () => step(1) }, "Next seeds ›"))),
    rows,
    make("p", { class: "note" }, "Pictures in a column are of the same seed. A click makes a picture the current face. "
      + "Gap: Fréchet distance to reconstructions in random-conv features, less is better; in brackets the range over draws."));

  const judged = app.source.scorecard().catch(() => null);
  let drawn = "";
  function update() {
    const { names, count: n, seed: first } = wanted();
    known.forEach((name, k) => { boxes[k].checked = names.includes(name); });
    seed.value = String(first);
    if (!COUNTS.includes(n) && !count.querySelector(`option[value="${n}"]`)) count.append(make("option", { value: n }, String(n)));
    count.value = String(n);
    previous.disabled = first === 0;
    const now = `${names} ${n} ${first}`;
    if (now === drawn) return;
    drawn = now;
    rows.replaceChildren(...names.map((name) => row(name, first, n)));
    markCurrent(rows, app.current.ref);
  }

  /** @param {string} name @param {number} first @param {number} n */
  function row(name, first, n) {
    const numbers = make("span", { class: "row-numbers" });
    judged.then((/** @type {any} */ card) => { numbers.textContent = card ? inOneLine(card.rows[name]) : ""; });
    const words = app.about.sampler_words?.[name];
    const strip = make("div", { class: "pictures" });
    let failed = false;
    const fail = async (/** @type {string} */ ref) => {
      if (failed) return;
      failed = true;
      strip.replaceChildren(make("p", { class: "problem" }, await whyNot(app, ref)));
    };
    for (let k = 0; k < n; k++) {
      const ref = `${name}:${first + k}`;
      strip.append(picture(app, ref, `${name}, seed ${first + k}`, String(first + k), () => fail(ref)));
    }
    return make("section", { class: "sampler-row", "aria-label": `Pictures drawn by ${name}` },
      make("h3", {}, name, numbers), ...(words ? [make("p", { class: "note" }, words)] : []), strip);
  }
  return { update };
}

/**
 * Gap and face rate of a row of the scorecard.
 * @param {any} row
 * @returns {string}
 */
function inOneLine(row) {
  const said = [];
  for (const [label, entry, digits] of [["gap", row?.gap?.["random-conv"], 2], ["face rate", row?.face_rate, 3]]) {
    if (entry?.value == null) continue;
    const range = entry.low == null || entry.low === entry.high ? ""
      : ` (${number(entry.low, digits)}–${number(entry.high, digits)})`;
    said.push(`${label} ${number(entry.value, digits)}${range}`);
  }
  return said.join(" · ");
}

/**
 * A decoded code as a button that makes it the current one.
 * @param {any} app
 * @param {string} ref
 * @param {string} label for screen readers and the status line
 * @param {string} caption below it
 * @param {() => void} failed told when the picture does not come
 * @returns {HTMLElement}
 */
function picture(app, ref, label, caption, failed) {
  const { size } = app.about;
  const image = make("img", { alt: "", width: size, height: size, decoding: "async", onerror: failed });
  app.source.picture(ref).then((/** @type {string} */ address) => { image.src = address; }, failed);
  return make("button", { type: "button", class: "picture", "data-ref": ref, "aria-label": label, title: label,
    onclick: () => app.select(ref, { label }) }, image, make("small", { "aria-hidden": "true" }, caption));
}

// --- image and reconstruction --------------------------------------------------------------------------------

/**
 * @param {HTMLElement} element
 * @param {any} app
 * @returns {{update(): void}}
 */
function mountPairs(element, app) {
  const splits = /** @type {{name: string, n: number}[]} */ (app.about.splits);
  const last = splits[splits.length - 1];
  const wanted = () => {
    const split = splits.find(({ name }) => name === app.state.g_split) ?? last;
    return { split, start: whole(app.state.g_start, 0, Math.max(0, split.n - 1)) };
  };
  const choose = make("select", {
    onchange: () => app.go({ g_split: choose.value === last.name ? "" : choose.value, g_start: "" }),
  },
    ...splits.map(({ name, n }) => make("option", { value: name }, `${name} (${number(n, 0)})`)));
  const start = make("input", { type: "number", min: 0, step: 1,
    onchange: () => app.go({ g_start: String(whole(start.value, 0) || "") }) });
  const step = (/** @type {number} */ by) => {
    const now = wanted();
    const to = now.start + by * PAIRS;
    app.go({ g_start: String(to >= now.split.n ? "" : Math.max(0, to) || "") });
  };
  const previous = make("button", { type: "button", onclick: () => step(-1) }, "‹ Previous");
  const where = make("span", { class: "where", role: "status" });
  const grid = make("div", { class: "pairs-grid" });
  const summary = make("p", { class: "note" });
  element.replaceChildren(
    make("div", { class: "controls" }, labelled("Split", choose), labelled("First image", start),
      make("span", { class: "pager" }, previous, where, make("button", { type: "button", onclick: () => step(1) }, "Next ›"))),
    grid, summary);

  let drawn = "";
  function update() {
    const { split, start: first } = wanted();
    choose.value = split.name;
    start.max = String(split.n - 1);
    start.value = String(first);
    previous.disabled = first === 0;
    if (`${split.name} ${first}` === drawn) return;
    drawn = `${split.name} ${first}`;
    fill(split.name, first, split.n);
  }

  /** @param {string} split @param {number} first @param {number} total */
  async function fill(split, first, total) {
    const now = drawn;
    grid.setAttribute("aria-busy", "true");
    try {
      const { refs, ids } = await app.source.gallery(split, first, PAIRS);
      if (now !== drawn) return;
      where.textContent = `${number(first + 1, 0)}–${number(first + refs.length, 0)} of ${number(total, 0)}`;
      /** @type {Promise<number | null>[]} */
      const errors = [];
      grid.replaceChildren(...refs.map((/** @type {string} */ ref, /** @type {number} */ k) => {
        const { element: made, error } = pair(app, ref, ids[k]);
        errors.push(error);
        return made;
      }));
      markCurrent(grid, app.current.ref);
      const how = app.about.images ? "Left the image, right its reconstruction. "
        : "Reconstructions; the images themselves are not at hand. ";
      summary.textContent = `${how}A click makes its code the current one.`;
      const known = (await Promise.all(errors)).filter((e) => e !== null);
      if (now !== drawn || !known.length) return;
      const mean = Math.sqrt(known.reduce((sum, e) => sum + e * e, 0) / known.length);
      summary.textContent += ` RMSE: root mean squared error per pixel on the scale of [0, 1]; over this page ${number(mean, 4)}.`;
    } catch (error) {
      if (now !== drawn) return;
      drawn = ""; // the next look asks again
      grid.replaceChildren(make("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
      app.complain(error);
    } finally {
      grid.removeAttribute("aria-busy");
    }
  }
  return { update };
}

/**
 * An image beside its reconstruction.
 * @param {any} app
 * @param {string} ref
 * @param {string} id of the image
 * @returns {{element: HTMLElement, error: Promise<number | null>}} `error`: root mean squared, null where there is no image
 */
function pair(app, ref, id) {
  const { size } = app.about;
  const real = make("img", { alt: "", width: size, height: size, decoding: "async" });
  const made = make("img", { alt: "", width: size, height: size, decoding: "async" });
  const caption = make("small", {}, id);
  const wide = make("span", { class: "two" }, ...(app.about.images ? [real] : []), made);
  const loaded = (/** @type {HTMLImageElement} */ image, /** @type {Promise<string>} */ address) =>
    new Promise((resolve, reject) => {
      image.addEventListener("load", resolve);
      image.addEventListener("error", reject);
      address.then((src) => { image.src = src; }, reject);
    });
  const shown = loaded(made, app.source.picture(ref)).catch(async () => {
    caption.textContent = await whyNot(app, ref);
    caption.className = "problem";
    throw new Error();
  });
  const seen = app.about.images ? loaded(real, app.source.image(ref)).catch(() => {
    real.replaceWith(make("span", { class: "missing" }, "image not at hand"));
    throw new Error();
  }) : Promise.reject(new Error());
  const error = Promise.all([shown, seen]).then(() => {
    const found = rootMeanSquared(real, made);
    caption.append(make("span", {}, ` RMSE ${number(found, 3)}`));
    return found;
  }, () => null);
  const label = `${app.about.images ? "Image and reconstruction" : "Reconstruction"} of ${id}`;
  return {
    error,
    element: make("button", { type: "button", class: "picture pair", "data-ref": ref, "aria-label": label, title: label,
      onclick: () => app.select(ref, { label: `reconstruction of ${id}` }) }, wide, caption),
  };
}

/**
 * How far two pictures of one size are apart.
 * @param {HTMLImageElement} a
 * @param {HTMLImageElement} b
 * @returns {number} root of the mean squared difference per pixel and colour, on the scale of [0, 1]
 */
function rootMeanSquared(a, b) {
  const [one, other] = [a, b].map((image) => {
    const canvas = make("canvas", { width: b.naturalWidth, height: b.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
  });
  let sum = 0;
  for (let k = 0; k < one.length; k++) if (k % 4 !== 3) sum += ((one[k] - other[k]) / 255) ** 2;
  return Math.sqrt(sum / (one.length * 0.75));
}
