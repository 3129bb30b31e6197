// @ts-check
/**
 * A morph: the codes on the way from one code to another, decoded, played, saved, with their Mahalanobis radius.
 *
 * All kinds of path are drawn in the chart, so that the dip of the straight line beside the others is seen: half way
 * between two codes at a right angle it is at 0.7 of their radius, where there are no codes in many dimensions.
 */

import { addBand, addLine, frame, key, number, numbersTable, responsive } from "./charts.js";
import { download, drawPicture, labelled, make, makeSVG } from "./dom.js";
import { describeRef } from "./state.js";

/** Codes of a path: what is offered, and the first choice. */
const STEPS = [8, 12, 16, 24, 32, 48, 64], FIRST = 16;
/** Milliseconds a picture stays when played, as in the GIF; with reduced motion. */
const FRAME = 100, SLOW = 1000;
/** What the kinds of path are. */
const KINDS = {
  linear: "the straight line between the codes",
  spherical: "turns about the mean; the radius goes evenly from one end’s to the other’s",
  density: "keeps to where a Gaussian’s density is high, which is nearer to the mean than the codes are",
};

/**
 * Put the morph gallery into an element.
 * @param {HTMLElement} element
 * @param {any} app of main.js
 * @returns {{update(): void, hide(): void}}
 */
export function mountMorph(element, app) {
  const { about, source } = app;
  const kinds = /** @type {string[]} */ (about.paths);
  const first = kinds.includes("spherical") ? "spherical" : kinds[0];
  const held = about.splits[about.splits.length - 1];
  const usual = { from: `${held.name}:0`, to: held.n > 1 ? `${held.name}:1` : `${about.default.sampler}:0` };
  const wanted = () => {
    const { g_from, g_to, g_kind, g_steps } = app.state;
    const steps = Math.round(Number(g_steps || FIRST));
    return {
      from: String(g_from || usual.from), to: String(g_to || usual.to), kind: kinds.includes(g_kind) ? g_kind : first,
      steps: Math.min(Math.max(steps || FIRST, 2), about.limits.codes),
    };
  };
  const ends = ["from", "to"].map((end, k) => chooser(app, k ? "B" : "A", (ref) =>
    app.go({ [`g_${end}`]: ref === usual[/** @type {"from" | "to"} */ (end)] ? "" : ref })));
  const swap = make("button", { type: "button", class: "swap", title: "Swap A and B", "aria-label": "Swap A and B", onclick: () => {
    const { from, to } = wanted();
    app.go({ g_from: to, g_to: from });
  } }, "⇄");
  const ways = kinds.map((kind) => make("input", { type: "radio", name: "morph-kind", value: kind,
    onchange: () => app.go({ g_kind: kind === first ? "" : kind }) }));
  const steps = make("select", { onchange: () => app.go({ g_steps: Number(steps.value) === FIRST ? "" : steps.value }) },
    ...STEPS.filter((n) => n <= about.limits.codes).map((n) => make("option", { value: n }, String(n))));
  const big = make("canvas", { class: "morph-picture", width: about.size, height: about.size, role: "img" });
  const slider = make("input", { type: "range", min: 0, max: FIRST - 1, step: 1, value: 0, "aria-label": "Place on the path",
    oninput: () => { stop(); show(Number(slider.value)); } });
  const play = make("button", { type: "button", class: "play", onclick: () => (playing ? stop() : start()) }, "▶ Play");
  const take = make("button", { type: "button", onclick: () => {
    if (codes) app.select(codeAt(at), { label: `step ${at + 1} of a ${wanted().kind} morph` });
  } }, "Make it the current face");
  const place = make("output", { class: "where" });
  const strip = make("div", { class: "morph-strip", role: "group", "aria-label": "Pictures along the path" });
  const chart = make("div", { class: "chart-place" });
  const words = make("figcaption"), legend = make("div"), meaning = make("p", { class: "note" });
  const table = make("div");
  const problem = make("p", { class: "problem", hidden: true });
  const save = (/** @type {"strip" | "gif"} */ as, /** @type {string} */ label, /** @type {string} */ ending) => {
    const button = make("button", { type: "button", onclick: async () => {
      if (!codes) return;
      button.disabled = true;
      try {
        const { kind } = wanted();
        download(await source.file(codes, as), `${about.name}-${kind}-morph.${ending}`);
        app.say(`Saved ${pictures.shape[0]} pictures of the ${kind} morph as ${ending.toUpperCase()}.`);
      } catch (error) {
        app.complain(error);
      }
      button.disabled = false;
    } }, label);
    return button;
  };
  const result = make("div", { class: "morph-result" },
    make("div", { class: "morph-stage" }, big,
      make("div", { class: "controls" }, play, slider, place),
      make("div", { class: "controls" }, take, save("strip", "Save PNG strip", "png"),
        ...(about.files.includes("gif") ? [save("gif", "Save GIF", "gif")] : []))),
    make("div", { class: "morph-side" }, strip,
      legend, make("figure", {}, chart, words), table));
  element.replaceChildren(
    make("div", { class: "morph-ends" }, ends[0].element, swap, ends[1].element),
    make("div", { class: "controls" },
      make("fieldset", { class: "chips" }, make("legend", {}, "Path"),
        ...kinds.map((kind, k) => make("label", {}, ways[k], kind))),
      labelled("Steps", steps), meaning),
    problem, result);

  /** @type {Float32Array | null} */
  let codes = null;
  /** @type {import("./source.js").Pictures} */
  let pictures = { pixels: new Uint8Array(), shape: [0, 0, 0, 0] };
  /** @type {HTMLElement[]} */
  let thumbs = [];
  /** @type {Record<string, Float32Array>} */
  let radii = {};
  let at = 0, drawn = "", playing = 0;
  const codeAt = (/** @type {number} */ k) => /** @type {Float32Array} */ (codes).slice(k * about.d, (k + 1) * about.d);

  /** @param {number} k of the path's codes */
  function show(k) {
    at = k;
    drawPicture(big, pictures, k);
    slider.value = String(k);
    const radius = radii[wanted().kind]?.[k];
    const said = `${k + 1} of ${thumbs.length}` + (radius === undefined ? "" : `, radius ${number(radius, 1)}`);
    place.textContent = said;
    slider.setAttribute("aria-valuetext", said);
    big.setAttribute("aria-label", `Picture ${said}`);
    thumbs.forEach((thumb, j) => thumb.setAttribute("aria-current", String(j === k)));
    mark(k);
  }

  // --- playing: only when asked to; with reduced motion picture by picture, once

  function start() {
    if (!codes || thumbs.length < 2) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches, pause = still ? SLOW : FRAME;
    play.textContent = "❚❚ Pause";
    // Begun at the last picture it would be over at once.
    let k = still && at === thumbs.length - 1 ? -1 : at, by = k === thumbs.length - 1 ? -1 : 1, since = performance.now();
    const tick = (/** @type {number} */ now) => {
      if (now - since >= pause) {
        since = now;
        k += by;
        if (k < 0 || k >= thumbs.length) {
          if (still) { stop(); return; }
          by = -by;
          k += 2 * by;
        }
        show(k);
      }
      playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "▶ Play";
  }

  // --- radius along the path

  /** @type {(k: number) => void} */
  let mark = () => {};
  const figure = responsive(chart, (width) => {
    const all = Object.values(radii).flatMap((r) => Array.from(r)), band = about.radius.quantiles;
    const ends = [...all, band ? band["0.99"] : 0];
    const high = 1.06 * Math.max(...ends), count = radii[wanted().kind]?.length ?? 2;
    const made = frame({
      width, height: width < 480 ? 210 : 240, label: words.textContent ?? "",
      x: { low: 1, high: count, label: "step of the path", ticks: stepTicks(count, width), format: String },
      y: { low: 0, high, label: "Mahalanobis radius" },
    });
    if (band) {
      addBand(made, band["0.01"], band["0.99"], "codes-band");
      addLine(made, [1, count], [about.radius.median, about.radius.median], "median-line");
    }
    const chosen = wanted().kind;
    // The chosen one last, on top.
    for (const kind of Object.keys(radii).sort((a, b) => Number(a === chosen) - Number(b === chosen))) {
      addLine(made, Array.from(radii[kind], (_, k) => k + 1), radii[kind], `path-line ${kind}${kind === chosen ? " chosen" : ""}`);
    }
    const dot = made.svg.appendChild(makeSVG("circle", { class: "path-dot", r: 5 }));
    mark = (k) => {
      const r = radii[wanted().kind];
      if (!r || k >= r.length) return;
      dot.setAttribute("cx", String(made.x(k + 1)));
      dot.setAttribute("cy", String(made.y(r[k])));
    };
    mark(at);
    return made.svg;
  });

  // --- the path

  function update() {
    const now = wanted();
    ends[0].set(now.from);
    ends[1].set(now.to);
    kinds.forEach((kind, k) => { ways[k].checked = kind === now.kind; });
    meaning.textContent = `${now.kind}: ${KINDS[/** @type {keyof typeof KINDS} */ (now.kind)] ?? "a path"}.`;
    legend.replaceChildren(key([
      ...kinds.map((kind) => ({ name: `path-line ${kind}${kind === now.kind ? " chosen" : ""}`, kind: /** @type {const} */ ("line"),
        words: kind === now.kind ? `${kind}, as shown` : kind })),
      { name: "codes-band", kind: "band", words: "98 % of the training codes" },
      { name: "median-line", kind: "line", words: "their median" },
    ]));
    if (![...steps.options].some((option) => Number(option.value) === now.steps)) {
      steps.append(make("option", { value: now.steps }, String(now.steps)));
    }
    steps.value = String(now.steps);
    const words = `${now.from} ${now.to} ${now.kind} ${now.steps}`;
    if (words === drawn) {
      figure.redraw();
      return;
    }
    drawn = words;
    walk(now);
  }

  /** @param {{from: string, to: string, kind: string, steps: number}} now */
  async function walk(now) {
    const mine = drawn;
    stop();
    result.setAttribute("aria-busy", "true");
    try {
      const [a, b] = await Promise.all([source.code(now.from), source.code(now.to)]);
      const both = new Float32Array(2 * about.d);
      both.set(a);
      both.set(b, about.d);
      const found = await source.path(both, now.kind, now.steps);
      if (mine !== drawn) return;
      const decoded = await source.decode(found);
      if (mine !== drawn) return;
      [codes, pictures] = [found, decoded];
      problem.hidden = true;
      result.hidden = false;
      fillStrip(now.kind);
      radii = {};
      show(0);
      await measure(both, now, mine);
    } catch (error) {
      if (mine !== drawn) return;
      codes = null;
      drawn = ""; // the next look asks again
      result.hidden = true;
      problem.hidden = false;
      problem.textContent = error instanceof Error ? error.message : String(error);
      app.complain(error);
    } finally {
      if (mine === drawn || !drawn) result.removeAttribute("aria-busy");
    }
  }

  /** @param {string} kind */
  function fillStrip(kind) {
    const count = pictures.shape[0];
    slider.max = String(count - 1);
    thumbs = Array.from({ length: count }, (_, k) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      drawPicture(canvas, pictures, k);
      return make("button", { type: "button", class: "picture", "aria-label": `Step ${k + 1} of ${count}`,
        onclick: () => { stop(); show(k); } }, canvas);
    });
    strip.replaceChildren(...thumbs);
    app.say(`A ${kind} morph of ${count} pictures.`);
  }

  /**
   * The radii of all kinds of path, those of the shown one from its own codes.
   * @param {Float32Array} both ends (2, d)
   * @param {{kind: string, steps: number}} now
   * @param {string} mine
   */
  async function measure(both, now, mine) {
    if (!about.radius.quantiles) {
      words.textContent = `There is no chart of radii: ${about.radius.why}.`;
      chart.hidden = true;
      return;
    }
    const found = await Promise.all(kinds.map(async (kind) => {
      try {
        const path = kind === now.kind ? /** @type {Float32Array} */ (codes) : await source.path(both, kind, now.steps);
        return /** @type {const} */ ([kind, await source.radii(path)]);
      } catch (error) {
        if (kind === now.kind) throw error;
        return null; // a kind that is not defined between these ends, such as opposite ones
      }
    }));
    if (mine !== drawn) return;
    radii = Object.fromEntries(found.filter((entry) => entry !== null));
    words.textContent = inWords(radii, now.kind, about.radius);
    table.replaceChildren(numbersTable("Mahalanobis radius along the path", ["step", ...Object.keys(radii)],
      () => Array.from({ length: now.steps }, (_, k) => [k + 1, ...Object.values(radii).map((r) => number(r[k], 2))])));
    figure.redraw();
    show(at);
  }

  return { update, hide: stop };
}

/**
 * What the chart shows.
 * @param {Record<string, Float32Array>} radii by kind
 * @param {string} kind the shown one
 * @param {any} law `about.radius`
 * @returns {string}
 */
function inWords(radii, kind, law) {
  const least = (/** @type {Float32Array} */ r) => Math.min(...r);
  const own = radii[kind];
  let said = `The ${kind} path goes from radius ${number(own[0], 1)} to ${number(own[own.length - 1], 1)}, `
    + `at least ${number(least(own), 1)} on its way`;
  const low = law.quantiles["0.01"], high = law.quantiles["0.99"];
  if (least(own) < low) said += `: nearer to the mean than 99 % of the training codes (${number(low, 1)}).`;
  else if (Math.max(...own) > high) said += `; it reaches farther out than 99 % of the training codes (${number(high, 1)}).`;
  else said += `: within the radii of 98 % of the training codes (${number(low, 1)} to ${number(high, 1)}).`;
  const others = Object.keys(radii).filter((name) => name !== kind);
  const theirs = others.map((name) => `${name} ${number(least(radii[name]), 1)}`);
  return theirs.length ? `${said} Least radius of the others: ${theirs.join(", ")}.` : said;
}

/** @param {number} count @param {number} width pixels @returns {number[]} steps with a number below them */
function stepTicks(count, width) {
  const by = [1, 2, 3, 5, 10, 20].find((k) => count / k <= width / 44) ?? 20;
  const found = Array.from({ length: Math.ceil(count / by) }, (_, k) => 1 + k * by);
  if (count - found[found.length - 1] >= by / 2) found.push(count);
  return found;
}

/**
 * Choose an end of the path: a picture, and where it comes from.
 * @param {any} app
 * @param {string} name A or B
 * @param {(ref: string) => void} chosen
 * @returns {{element: HTMLElement, set(ref: string): void}}
 */
function chooser(app, name, chosen) {
  const { about, source } = app;
  const splits = new Map(about.splits.map((/** @type {any} */ s) => [s.name, s.n]));
  const image = make("img", { alt: "", width: about.size, height: about.size });
  const kind = make("select", { "aria-label": `${name} comes from`, onchange: () => chosen(named(kind.value, 0)) },
    make("option", { value: "own", disabled: true }, "a code of your own"),
    make("option", { value: "mean" }, "the mean"), make("option", { value: "origin" }, "the origin"),
    make("optgroup", { label: "an image of" }, ...[...splits.keys()].map((s) => make("option", { value: s }, s))),
    make("optgroup", { label: "a draw of" }, ...about.samplers.map((/** @type {string} */ s) => make("option", { value: s }, s))));
  const row = make("input", { type: "number", min: 0, step: 1, "aria-label": `${name}: image or seed`,
    onchange: () => chosen(named(kind.value, Math.max(0, Math.round(Number(row.value)) || 0))) });
  const step = (/** @type {number} */ by) => chosen(named(kind.value, Math.max(0, Number(row.value) + by)));
  const previous = make("button", { type: "button", "aria-label": `${name}: previous`, onclick: () => step(-1) }, "‹");
  const next = make("button", { type: "button", "aria-label": `${name}: next`, onclick: () => step(1) }, "›");
  const counted = make("span", { class: "pager" }, previous, row, next);
  const words = make("small");
  const element = make("fieldset", { class: "morph-end" }, make("legend", {}, name), image,
    make("div", {}, kind, counted,
      make("button", { type: "button", onclick: () => chosen(app.current.ref) }, "Take the current face"), words));

  /** @param {string} value @param {number} number */
  function named(value, number) {
    const most = splits.get(value);
    if (most !== undefined) return `${value}:${Math.min(number, most - 1)}`;
    return about.samplers.includes(value) ? `${value}:${number}` : value;
  }

  let now = "";
  return {
    element,
    set(ref) {
      if (ref === now) return;
      now = ref;
      const [what, number] = ref.split(":");
      const counts = splits.has(what) || about.samplers.includes(what);
      kind.value = what === "z" ? "own" : what;
      counted.hidden = !counts;
      row.value = counts ? number : "";
      previous.disabled = counts && Number(number) === 0;
      words.textContent = describeRef(ref, about);
      image.alt = `${name}: ${describeRef(ref, about)}`;
      source.picture(ref).then((/** @type {string} */ address) => { image.src = address; }, app.complain);
    },
  };
}
