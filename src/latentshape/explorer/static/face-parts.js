// @ts-check
/** Parts of the current-face view: the radius against its law, sliders, neighbours, a photo. */

import { make } from "./dom.js";
import { readable } from "./plane-view.js";

// --- the radius ------------------------------------------------------------------------------------------------

/**
 * A strip on which a Mahalanobis radius is seen among those of the training codes.
 *
 * @param {HTMLElement} root
 * @param {any} about
 * @returns {{show: (found: any) => void, wait: () => void}} `show` takes an answer of `api/describe`
 */
export function mountRadius(root, about) {
  const words = make("p", { class: "words" });
  const law = about.radius;
  const known = law && law.quantiles;
  if (!known) {
    root.append(words);
    return {
      show: (found) => (words.textContent = found.words),
      wait: () => {},
    };
  }
  const [low, median, high] = ["0.01", "0.5", "0.99"].map((share) => law.quantiles[share]);
  let end = 1.35 * high;
  const place = (/** @type {number} */ radius) => `${(100 * Math.min(radius, end)) / end}%`;
  const band = make("span", { class: "band" });
  const inner = make("span", { class: "band inner" });
  const tick = make("span", { class: "tick" });
  const marker = make("span", { class: "marker" });
  const labels = [
    [0, "0"],
    [low, `1 %: ${readable(low)}`],
    [high, `99 %: ${readable(high)}`],
  ].map(([at, text]) => ({ at: Number(at), node: make("span", {}, String(text)) }));
  const strip = make("div", { class: "strip-of-radius", "aria-hidden": "true" }, band, inner, tick, marker);
  root.append(
    make("div", { class: "heading" }, make("b", {}, "Mahalanobis radius"), make("output", { class: "number" }, "–")),
    strip,
    make("div", { class: "strip-labels", "aria-hidden": "true" }, ...labels.map(({ node }) => node)),
    words,
    make(
      "p",
      { class: "note" },
      `Training codes: median ${readable(median)}, half of them in the inner band; √d = ${readable(law.sqrt_d)}.`,
    ),
  );
  const number = root.querySelector("output");

  function layOut() {
    const span = (/** @type {HTMLElement} */ node, /** @type {number} */ from, /** @type {number} */ to) => {
      node.style.left = place(from);
      node.style.width = `${(100 * (to - from)) / end}%`;
    };
    span(band, low, high);
    span(inner, law.quantiles["0.25"] ?? low, law.quantiles["0.75"] ?? high);
    tick.style.left = place(median);
    for (const { at, node } of labels) node.style.left = place(at);
  }
  layOut();
  return {
    show(found) {
      root.classList.remove("waiting");
      words.textContent = found.words;
      marker.hidden = found.radius === null;
      if (found.radius === null) return;
      const wanted = Math.max(1.35 * high, 1.1 * found.radius);
      if (Math.abs(wanted - end) > 1e-9) {
        end = wanted; // a code far out is shown where it is
        layOut();
      }
      marker.style.left = place(found.radius);
      if (number) number.textContent = found.radius.toFixed(1);
    },
    wait: () => root.classList.add("waiting"),
  };
}

// --- sliders ---------------------------------------------------------------------------------------------------

/**
 * Sliders of principal axes and attributes, in sigmas; moving one holds the others of its kind.
 *
 * @param {HTMLElement} root
 * @param {any} app
 * @returns {{load: () => Promise<void>, follow: (code: Float32Array) => void}}
 */
export function mountSliders(root, app) {
  const { about, source } = app;
  const d = about.d;
  /** @type {{input: any, number: any}[]} */
  let rows = [];
  let slides = new Float32Array(0);
  let readouts = new Float32Array(0);
  /** @type {any} the one under the finger: it shows what was set, not what was read back */
  let held = null;
  let loading = 0;

  /** @param {Float32Array} code @param {number} k @returns {number} in sigmas */
  function score(code, k) {
    const row = k * (d + 1);
    let sum = readouts[row + d];
    for (let j = 0; j < d; j++) sum += readouts[row + j] * code[j];
    return sum;
  }

  async function load() {
    const turn = ++loading;
    const chosen = app.state.attributes;
    const choice = chosen ? { attributes: chosen } : {};
    try {
      const [found, steps, reads] = await Promise.all([
        source.sliders(choice),
        source.slides(choice),
        source.readouts(choice),
      ]);
      if (turn !== loading) return;
      [slides, readouts] = [steps, reads];
      rows = [];
      const groups = [
        group("Principal axes", found.pca),
        ...(found.attributes.length ? [group("Attributes", found.attributes)] : []),
      ];
      root.replaceChildren(...groups);
      if (about.attributes.length) root.append(chooser(found.attributes.map((/** @type {any} */ a) => a.name)));
      if (app.current.code) follow(app.current.code);
    } catch (error) {
      app.complain(error);
    }
  }

  /** @param {string} title @param {any[]} sliders */
  function group(title, sliders) {
    return make(
      "fieldset",
      { class: "sliders" },
      make("legend", {}, `${title} `, make("small", { title: "each slider holds the others of its kind" }, "in σ")),
      ...sliders.map((slider) => makeRow(slider, rows.length)),
    );
  }

  /** @param {any} slider @param {number} k @returns {HTMLElement} */
  function makeRow(slider, k) {
    const number = make("output", { class: "number" });
    const input = make("input", {
      type: "range", step: 0.05, min: Math.floor(slider.low), max: Math.ceil(slider.high),
      "aria-label": `${slider.name}, in sigma`, "data-slider": slider.axis ?? slider.name,
    });
    input.addEventListener("input", () => {
      const code = app.current.code;
      if (!code) return;
      held = input;
      const step = Number(input.value) - score(code, k);
      const row = slides.subarray(k * d, (k + 1) * d);
      app.live(code.map((/** @type {number} */ value, /** @type {number} */ j) => value + step * row[j]), { label: "moving" });
      number.textContent = sigmas(Number(input.value));
    });
    input.addEventListener("change", () => {
      held = null;
      if (!app.current.code) return;
      app.select(app.current.code, { label: `${slider.name} at ${sigmas(Number(input.value))} σ` });
    });
    rows.push({ input, number });
    const name = slider.name.replace(/_/g, " ");
    return make("label", { class: "slider", title: slider.name }, make("span", {}, name), number, input);
  }

  /** @param {string[]} shown @returns {HTMLElement} which attributes have sliders */
  function chooser(shown) {
    const boxes = about.axes.attribute.map((/** @type {string} */ name) => {
      const input = make("input", { type: "checkbox", value: name, onchange: choose });
      input.checked = shown.includes(name);
      return make("label", { class: "check" }, input, name.replace(/_/g, " "));
    });
    const node = make("details", { class: "chooser" }, make("summary", {}, "Choose attributes"), ...boxes);
    node.open = open;
    node.addEventListener("toggle", () => (open = node.open));
    return node;

    function choose() {
      const names = [...node.querySelectorAll("input:checked")].map((input) => /** @type {any} */ (input).value);
      app.go({ attributes: names.join(",") }, { replace: true });
    }
  }
  let open = false;

  /** @param {Float32Array} code */
  function follow(code) {
    rows.forEach(({ input, number }, k) => {
      if (input === held) return;
      const value = score(code, k);
      if (value < Number(input.min)) input.min = String(Math.floor(value));
      if (value > Number(input.max)) input.max = String(Math.ceil(value));
      input.value = String(value);
      number.textContent = sigmas(value);
    });
  }

  return { load, follow };
}

/** @param {number} value @returns {string} with a sign, two decimals */
export function sigmas(value) {
  const text = Math.abs(value).toFixed(2);
  return Number(text) === 0 ? "0.00" : (value < 0 ? "−" : "+") + text;
}

// --- neighbours ------------------------------------------------------------------------------------------------

/**
 * The nearest training images, the image over its reconstruction.
 *
 * @param {HTMLElement} root
 * @param {any} app
 * @returns {{show: (nearest: any[]) => Promise<void>}}
 */
export function mountNeighbours(root, app) {
  const list = make("div", { class: "thumbnails" });
  const { images, shipped, splits } = app.about;
  const number = (/** @type {number} */ count) => count.toLocaleString("en");
  const among = shipped && splits[0].n < shipped.trained
    ? ` Of the ${number(splits[0].n)} of ${number(shipped.trained)} training codes that are part of this page.` : "";
  root.append(
    make("h2", {}, "Nearest training images"),
    make("p", { class: "note" }, images
      ? "The image, below it its reconstruction, and the distance of the codes."
      : `Their reconstructions, and the distance of the codes.${among}`),
    list,
  );
  let shown = "";
  return {
    async show(nearest) {
      const key = nearest.map(({ ref }) => ref).join(" ");
      if (key === shown) return;
      shown = key;
      const nodes = await Promise.all(
        nearest.map(async ({ ref, id, distance }) => {
          const sources = [await app.source.picture(ref)];
          if (images) sources.unshift(await app.source.image(ref));
          return make(
            "button",
            { type: "button", title: `${ref}, ${id}`, "aria-label": `Select ${ref}, at distance ${readable(distance)}`,
              onclick: () => app.select(ref) },
            ...sources.map((src) => make("img", { src, alt: "", loading: "lazy" })),
            make("small", {}, readable(distance)),
          );
        }),
      );
      if (key === shown) list.replaceChildren(...nodes);
    },
  };
}

// --- a photo ---------------------------------------------------------------------------------------------------

/**
 * A photo that comes in: crop, code, reconstruction. It is sent to the person's own server and not kept.
 *
 * @param {HTMLElement} root
 * @param {any} app
 */
export function mountUpload(root, app) {
  const { about, source } = app;
  const file = make("input", { type: "file", id: "photo", accept: "image/*", onchange: () => take(file.files?.[0]) });
  const crop = make("select", { id: "crop", onchange: () => take(last) });
  for (const [value, label] of [["auto", "as the training images"], ["square", "middle square"], ["face", "around the face"]]) {
    crop.append(make("option", { value }, label));
  }
  const pair = make("div", { class: "pair", hidden: true });
  root.append(
    make("h2", {}, "Your photo"),
    make("p", { class: "note" }, "Choose or drop a picture. It is encoded here and kept nowhere; then move it with the sliders."),
    make("div", { class: "controls" }, make("label", { class: "field" }, make("span", {}, "Picture"), file),
      make("label", { class: "field" }, make("span", {}, "Crop"), crop)),
    pair,
  );
  /** @type {File | undefined} */
  let last;

  /** @param {File | undefined} photo */
  async function take(photo) {
    if (!photo) return;
    last = photo;
    const most = about.limits.upload_bytes;
    if (most && photo.size > most) {
      app.complain(new Error(`${photo.name} has ${megabytes(photo.size)}; at most ${megabytes(most)} can be sent.`));
      return;
    }
    app.say(`Encoding ${photo.name} …`);
    try {
      const { ref, original } = await source.encode(photo, crop.value);
      const picture = await source.picture(ref);
      pair.replaceChildren(
        make("figure", {}, make("img", { src: original, alt: "Your photo, cropped" }), make("figcaption", {}, "photo")),
        make("figure", {}, make("img", { src: picture, alt: "Its reconstruction" }), make("figcaption", {}, "reconstruction")),
      );
      pair.hidden = false;
      await app.select(ref, { label: `the code of ${photo.name}` });
    } catch (error) {
      app.complain(error);
    }
  }

  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    root.classList.add("over");
  });
  root.addEventListener("dragleave", () => root.classList.remove("over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    root.classList.remove("over");
    take(event.dataTransfer?.files[0]);
  });
}

/** @param {number} bytes @returns {string} */
function megabytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
