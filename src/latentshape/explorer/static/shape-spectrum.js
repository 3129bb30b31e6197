// @ts-check
/** The spectrum of the principal axes, whose bars open planes. */

import { addFrame, addLine, number, numbersTable, percent, responsive } from "./charts.js";
import { make, makeSVG } from "./dom.js";

/**
 * @param {HTMLElement} body
 * @param {any} app of main.js
 * @param {(body: HTMLElement) => Promise<any>} shape the record, when it is there
 */
export async function spectrumPanel(body, app, shape) {
  const record = await shape(body);
  const explained = /** @type {number[]} */ (record.pca.explained), axes = app.about.axes.pca;
  let sum = 0;
  const cumulative = explained.map((share) => (sum += share));
  const reach = (/** @type {number} */ share) => cumulative.findIndex((c) => c >= share - 1e-9) + 1;
  const sentence = `The first axis carries ${percent(explained[0])} of the variance; half of it is in ${reach(0.5)}, 90 % in `
    + `${reach(0.9)} and 99 % in ${reach(0.99)} of ${explained.length} axes. Effective dimension, (Σλ)²/Σλ²: `
    + number(record.pca.effective_dimension, 1)
    + (record.pca.control ? ` (control ${number(record.pca.control.effective_dimension, 1)}).` : ".");
  const words = (/** @type {number} */ k) =>
    `axis ${k + 1}: ${percent(explained[k], 2)} of the variance`
    + (k ? `, the first ${k + 1} together ${percent(cumulative[k])}` : "");
  let at = 0;
  const reading = make("p", { class: "reading" });
  const canvas = make("div", { class: "chart-place spectrum", tabindex: "0", role: "slider", "aria-label":
    "Principal axis; Enter opens the plane of it and the next one", "aria-valuemin": 1, "aria-valuemax": explained.length });
  const openable = (/** @type {number} */ k) => k < axes;
  const open = (/** @type {number} */ k) => {
    if (!openable(k)) { app.say(`Planes are offered for the first ${axes} principal axes, not for axis ${k + 1}.`); return; }
    const next = k + 1 < axes ? k + 1 : k - 1;
    app.go({ view: "plane", x: `pca:${k}`, y: next < 0 ? app.about.default.y : `pca:${next}` });
  };
  /** @type {(k: number) => void} */
  let mark = () => {};
  const move = (/** @type {number} */ k) => {
    at = Math.max(0, Math.min(explained.length - 1, k));
    canvas.setAttribute("aria-valuenow", at + 1);
    canvas.setAttribute("aria-valuetext", words(at));
    reading.textContent = `${words(at)[0].toUpperCase()}${words(at).slice(1)}.`;
    mark(at);
  };
  canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -1e9, End: 1e9 };
    if (event.key in steps) move(at + steps[/** @type {keyof typeof steps} */ (event.key)]);
    else if (event.key === "Enter") open(at);
    else return;
    event.preventDefault();
  });
  body.replaceChildren(
    make("figure", {}, canvas, reading, make("figcaption", {}, `${sentence} A click opens the plane of an axis and the next one.`)),
    numbersTable("Principal axes", ["axis", "variance λ", "share", "cumulative"],
      () => explained.map((share, k) =>
        [k + 1, number(record.pca.eigenvalues[k], 3), percent(share, 2), percent(cumulative[k], 2)])));
  responsive(canvas, (width) => {
    const count = explained.length, upper = width < 560 ? 190 : 220, lower = 170;
    const root = makeSVG("svg", {
      width, height: upper + lower, viewBox: `0 0 ${width} ${upper + lower}`, class: "chart pickable", role: "img",
      "aria-label": `Spectrum of the principal axes. ${sentence}`,
    });
    const inPercent = (/** @type {number} */ v) => `${v} %`;
    // Ticks stand under the middle of their bars; axes are counted from 1.
    const step = [1, 2, 5, 10, 20, 50, 100, 200].find((s) => count / s <= (width < 560 ? 6 : 12)) ?? 500;
    const whole = [...new Set([1, ...Array.from({ length: Math.floor(count / step) }, (_, k) => (k + 1) * step)])];
    const x = { low: 0.5, high: count + 0.5, ticks: whole, format: String };
    const shares = addFrame(root, { width, height: upper, margin: { left: 56 }, x: { ...x, label: "" },
      y: { low: 0, high: 106 * explained[0], label: "share of the variance", format: inPercent } });
    const sums = addFrame(root, { width, height: lower, offset: upper, margin: { left: 56 }, x: { ...x, label: "principal axis" },
      y: { low: 0, high: 104, ticks: [0, 50, 90], label: "cumulative share", format: inPercent } });
    const gap = (shares.x(2) - shares.x(1)) > 4 ? 1 : 0;
    const cursors = [shares, sums].map(({ plot, box }) =>
      plot.appendChild(makeSVG("rect", { class: "cursor", y: box.top, height: box.bottom - box.top })));
    explained.forEach((share, k) => {
      const left = shares.x(k + 0.5) + gap / 2, wide = Math.max(0.8, shares.x(k + 1.5) - shares.x(k + 0.5) - gap);
      const top = shares.y(100 * share);
      shares.plot.append(makeSVG("rect", { class: "codes-bar", x: left, width: wide, y: top, height: shares.box.bottom - top }));
    });
    addLine(sums, cumulative.map((_, k) => k + 1), cumulative.map((c) => 100 * c), "codes-line");
    mark = (k) => cursors.forEach((c) => {
      const wide = Math.max(3, shares.x(1) - shares.x(0));
      c.setAttribute("x", shares.x(k + 1) - wide / 2);
      c.setAttribute("width", wide);
    });
    const axisAt = (/** @type {MouseEvent} */ event) => {
      const offset = event.clientX - root.getBoundingClientRect().left, { left, right } = shares.box;
      return Math.max(0, Math.min(count - 1, Math.floor(((offset - left) / (right - left)) * count)));
    };
    root.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => move(axisAt(event)));
    root.addEventListener("click", (/** @type {MouseEvent} */ event) => { move(axisAt(event)); open(at); });
    mark(at);
    return root;
  });
  move(0);
}
