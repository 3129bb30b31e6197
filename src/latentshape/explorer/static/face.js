// @ts-check
/**
 * The current face: its picture, where it lies, and everything that moves it.
 *
 * Beside the plane on wide screens, a view of its own on all. Pictures follow every move at once; what the server
 * says of a code (radius, neighbours) is asked when the move has ended.
 */

import { drawPicture, labelled, make } from "./dom.js";
import { mountNeighbours, mountRadius, mountSliders, mountUpload } from "./face-parts.js";

/** Milliseconds after the last move. */
const QUIET = 150;
const HOTTEST = 2;
const ANY_SEED = 999_999_999;

/**
 * @param {HTMLElement} root
 * @param {any} app
 * @returns {{show: () => void, hide: () => void}}
 */
export function mountFace(root, app) {
  const { about, source } = app;
  const last = about.limits.seeds ? about.limits.seeds - 1 : ANY_SEED;
  const canvas = make("canvas", { class: "picture", role: "img", width: about.size, height: about.size });
  const caption = make("figcaption", { id: "caption" });
  const sampler = make("select", { id: "sampler", onchange: () => redrawn(0) });
  for (const name of about.samplers) sampler.append(make("option", { value: name, title: about.sampler_words?.[name] }, name));
  const seed = make("input", {
    type: "number", id: "seed", min: 0, max: last, step: 1,
    onchange: () => redrawn(0),
  });
  const heat = make("output", { class: "number" });
  const temperature = make("input", {
    type: "range", id: "temperature", min: 0, max: HOTTEST, step: 0.05,
    "aria-label": "Temperature: 0 is the mean, 1 the code as it is",
    oninput: () => {
      const t = Number(temperature.value);
      heat.textContent = t.toFixed(2);
      app.live(app.heated(app.current.named, t), { label: `at temperature ${t}` });
    },
    onchange: () => {
      const t = Number(temperature.value);
      app.select(app.state.ref, { t });
    },
  });
  const radius = make("section", { class: "radius", "aria-label": "Mahalanobis radius" });
  const sliders = make("section", { class: "all-sliders", "aria-label": "Sliders" });
  const neighbours = make("section", { class: "neighbours more" });
  const upload = make("section", { class: "upload more", id: "upload" });
  const draw = make(
      "section",
      { class: "draw", "aria-label": "Choose a code" },
      make(
        "div",
        { class: "controls" },
        labelled("Sampler", sampler),
        labelled("Seed", seed),
        make(
          "span",
          { class: "steps", role: "group", "aria-label": "Seed" },
          button("◀", "Previous seed", () => redrawn(-1)),
          button("▶", "Next seed", () => redrawn(1)),
        ),
      ),
      make(
        "div",
        { class: "buttons" },
        button("Mean", "Select the mean code", () => app.select("mean")),
        button("Random image", "Select the code of a training image at random", randomImage),
        button("Copy link", "Copy a link to what is shown", copyLink),
      ),
      make(
        "label",
        { class: "slider heat", title: "mean + t (code − mean)" },
        make("span", {}, "temperature t"),
        heat,
        temperature,
      ),
    );
  // Three columns where there is room; beside the plane they dissolve into one (style.css).
  root.append(
    make("div", { class: "column" }, make("figure", { class: "current" }, canvas, caption), upload),
    make("div", { class: "column" }, draw, sliders),
    make("div", { class: "column" }, radius, neighbours),
  );
  const radiusPart = mountRadius(radius, about);
  const slidersPart = mountSliders(sliders, app);
  const neighboursPart = mountNeighbours(neighbours, app);
  if (about.encodes) mountUpload(upload, app);
  else upload.remove();

  /** @param {string} sign @param {string} label @param {() => void} onclick */
  function button(sign, label, onclick) {
    return make("button", { type: "button", "aria-label": label, title: label, onclick }, sign);
  }

  /** @param {number} step to the next seed, or the last one */
  function redrawn(step) {
    const number = Math.min(last, Math.max(0, Math.round(Number(seed.value) || 0) + step));
    const name = sampler.value;
    app.go({ sampler: name, seed: number }, { replace: true });
    // The temperature stays: draws are compared at the same one.
    app.select(`${name}:${number}`, { t: app.state.t });
  }

  function randomImage() {
    const { name, n } = about.splits[0];
    app.select(`${name}:${Math.floor(Math.random() * n)}`);
  }

  async function copyLink() {
    app.settle();
    try {
      await navigator.clipboard.writeText(location.href);
      app.say("The link is copied: it shows what you see now.");
    } catch {
      app.say("The browser does not let pages copy; take the link from its address line.");
    }
  }

  // --- following the code --------------------------------------------------------------------------------------

  /** @type {Float32Array | null} the last one that a picture was asked for */
  let asked = null;
  let quiet = 0;
  let before = 0;
  /** @type {any} what was said of the code that `described` is */
  let found = null;
  /** @type {Float32Array | null} */
  let described = null;

  function showPicture() {
    const { code } = app.current;
    if (code === asked) return;
    asked = code;
    const began = app.began ?? null;
    app.began = null;
    source.live(
      code,
      (/** @type {any} */ pictures) => {
        drawPicture(canvas, pictures);
        app.showPicture(pictures);
        const now = performance.now();
        if (began !== null) app.time("click", now - began);
        else if (app.dragging) app.time("drag", now - before);
        before = now;
      },
      app.complain,
    );
  }

  async function describe() {
    const { code } = app.current;
    if (code === described) return showFound();
    try {
      const answer = await source.describe(code);
      if (app.current.code !== code) return; // moved on meanwhile
      [found, described] = [answer, code];
      showFound();
    } catch (error) {
      app.complain(error);
    }
  }

  function showFound() {
    if (!found) return;
    radiusPart.show(found);
    canvas.setAttribute("aria-label", `Decoded picture of ${app.current.label}. ${found.words}`);
    if (app.state.view === "face") neighboursPart.show(found.nearest);
  }

  app.onCode((/** @type {any} */ current, /** @type {boolean} */ live) => {
    showPicture();
    slidersPart.follow(current.code);
    caption.textContent = current.label;
    clearTimeout(quiet);
    if (live) radiusPart.wait();
    else quiet = setTimeout(describe, QUIET);
  });
  app.onChange((/** @type {any} */ state, /** @type {Set<string>} */ changed) => {
    controls();
    if (changed.has("attributes")) slidersPart.load();
  });

  function controls() {
    const { state } = app;
    // A drawn code shows what it was drawn by, also where a link or a gallery has chosen it.
    const [name, number] = String(state.ref).split(":");
    const drawn = about.samplers.includes(name);
    sampler.value = drawn ? name : state.sampler;
    seed.value = drawn ? number : state.seed;
    temperature.value = state.t;
    heat.textContent = Number(state.t).toFixed(2);
  }
  controls();
  slidersPart.load();

  return { show: showFound, hide: () => {} };
}
