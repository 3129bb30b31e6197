// @ts-check
/**
 * Charts of the gallery and shape views, as SVG and canvas, without any library.
 *
 * A chart is drawn for the width it has on the screen and again when that changes, instead of being scaled:
 * letters and lines keep their size on a phone. Colours come from classes of the style sheets (SVG) or from the
 * page's CSS variables (canvas), so that light and dark need no code here.
 */

import { make, makeSVG } from "./dom.js";

/** @typedef {{low: number, high: number, label: string, ticks?: number[], format?: (value: number) => string}} Axis */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Box pixels */
/**
 * @typedef {object} Frame
 * @property {SVGElement} plot where marks belong, clipped to the box
 * @property {Box} box edges of the plot in pixels of the picture
 * @property {(value: number) => number} x pixels from the left of a value
 * @property {(value: number) => number} y pixels from the top of a value
 */

/**
 * A number for people: so many decimals, thousands apart, a true minus sign.
 * @param {number | null | undefined} value
 * @param {number} [digits] decimals
 * @returns {string} a dash where there is no number
 */
export function number(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const text = value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return /^-[0.,]*$/.test(text) ? text.slice(1) : text.replace("-", "−");
}

/**
 * A share as per cent.
 * @param {number | null | undefined} value 0 to 1
 * @param {number} [digits] decimals
 * @returns {string}
 */
export function percent(value, digits = 1) {
  return value === null || value === undefined ? "–" : `${number(100 * value, digits)} %`;
}

/**
 * Round places between two ends: multiples of 1, 2 or 5 times a power of ten.
 * @param {number} low
 * @param {number} high
 * @param {number} [most] about so many
 * @returns {number[]}
 */
export function ticks(low, high, most = 6) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(span / most));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => span / s <= most) ?? 10 * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * span; k++) found.push(k * step);
  return found;
}

/**
 * Write ticks with as many decimals as their distance needs.
 * @param {number[]} values
 * @returns {(value: number) => string}
 */
export function tickFormat(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : Math.abs(values[0]) || 1;
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
  return (value) => number(value, digits);
}

/**
 * Keep a chart drawn for the width of its place.
 * @param {HTMLElement} place
 * @param {(width: number) => Element} draw makes the picture for a width in pixels
 * @returns {{redraw(): void}}
 */
export function responsive(place, draw) {
  let drawn = 0;
  const redraw = () => {
    const width = Math.floor(place.clientWidth);
    drawn = width;
    // A hidden view has no width: it is drawn when it is shown.
    if (width > 0) place.replaceChildren(draw(width));
  };
  new ResizeObserver(() => {
    if (Math.floor(place.clientWidth) !== drawn) redraw();
  }).observe(place);
  redraw();
  return { redraw };
}

let clips = 0;

/**
 * An empty chart with axes: ticks below and at the left, the label of y above its ticks, where it is read without
 * turning the head.
 * @param {object} options
 * @param {number} options.width pixels
 * @param {number} options.height pixels
 * @param {Axis} options.x
 * @param {Axis} options.y
 * @param {string} [options.label] what a screen reader says of the chart; none where something around it says so
 * @param {Partial<Box>} [options.margin] pixels around the plot
 * @param {boolean} [options.small] small type, for many charts beside one another
 * @returns {Frame & {svg: SVGElement}}
 */
export function frame({ width, height, x, y, label = undefined, margin = {}, small = false }) {
  const root = makeSVG("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, class: small ? "chart small" : "chart",
    ...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" }),
  });
  return { svg: root, ...addFrame(root, { width, height, x, y, margin, small }) };
}

/**
 * The same inside a picture that is there already, for panels above one another.
 * @param {SVGElement} root
 * @param {{width: number, height: number, x: Axis, y: Axis, margin?: Partial<Box>, small?: boolean, offset?: number}} options
 *   `offset`: pixels from the picture's top
 * @returns {Frame}
 */
export function addFrame(root, { width, height, x, y, margin = {}, small = false, offset = 0 }) {
  const room = small ? 46 : 72;
  const yTicks = y.ticks ?? ticks(y.low, y.high, Math.max(2, Math.floor(height / (small ? 40 : 48))));
  const xTicks = x.ticks ?? ticks(x.low, x.high, Math.max(2, Math.floor(width / room)));
  const yText = yTicks.map(y.format ?? tickFormat(yTicks)), xText = xTicks.map(x.format ?? tickFormat(xTicks));
  const letter = small ? 5.9 : 6.9;
  const box = {
    left: margin.left ?? Math.ceil(Math.max(...yText.map((t) => t.length), 1) * letter) + 12,
    right: width - (margin.right ?? 12),
    top: offset + (margin.top ?? (y.label ? 26 : 10)),
    bottom: offset + height - (margin.bottom ?? (x.label ? 42 : 24)),
  };
  const px = (/** @type {number} */ v) => box.left + ((v - x.low) / (x.high - x.low || 1)) * (box.right - box.left);
  const py = (/** @type {number} */ v) => box.bottom - ((v - y.low) / (y.high - y.low || 1)) * (box.bottom - box.top);
  const clip = `chart-clip-${++clips}`;
  const grid = makeSVG("g", { class: "axes", "aria-hidden": "true" });
  yTicks.forEach((tick, k) => {
    grid.append(makeSVG("line", { class: "grid", x1: box.left, x2: box.right, y1: py(tick), y2: py(tick) }));
    grid.append(makeSVG("text", { x: box.left - 7, y: py(tick), dy: "0.32em", "text-anchor": "end" }, yText[k]));
  });
  xTicks.forEach((tick, k) => {
    grid.append(makeSVG("line", { class: "tick", x1: px(tick), x2: px(tick), y1: box.bottom, y2: box.bottom + 5 }));
    grid.append(makeSVG("text", { x: px(tick), y: box.bottom + (small ? 16 : 19), "text-anchor": "middle" }, xText[k]));
  });
  grid.append(makeSVG("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  if (y.label) grid.append(makeSVG("text", { class: "name", x: 2, y: box.top - 12 }, y.label));
  if (x.label) {
    const middle = (box.left + box.right) / 2;
    grid.append(makeSVG("text", { class: "name", x: middle, y: box.bottom + 37, "text-anchor": "middle" }, x.label));
  }
  const plot = makeSVG("g", { "clip-path": `url(#${clip})` });
  const inside = { x: box.left, y: box.top - 1, width: Math.max(0, box.right - box.left), height: box.bottom - box.top + 2 };
  root.append(makeSVG("clipPath", { id: clip }, makeSVG("rect", inside)), grid, plot);
  return { plot, box, x: px, y: py };
}

/**
 * A histogram as one outline, from the base line.
 * @param {Frame} into
 * @param {number[]} edges (k + 1) in units of x
 * @param {number[]} heights (k) in units of y
 * @param {string} name class of the mark
 */
export function addSteps(into, edges, heights, name) {
  let path = `M${into.x(edges[0]).toFixed(1)} ${into.y(0).toFixed(1)}`;
  heights.forEach((height, k) => {
    path += `V${into.y(height).toFixed(1)}H${into.x(edges[k + 1]).toFixed(1)}`;
  });
  into.plot.append(makeSVG("path", { class: name, d: `${path}V${into.y(0).toFixed(1)}` }));
}

/**
 * A line through points.
 * @param {Frame} into
 * @param {ArrayLike<number>} xs (k) in units of x
 * @param {ArrayLike<number>} ys (k) in units of y; what is not finite interrupts the line
 * @param {string} name class of the mark
 */
export function addLine(into, xs, ys, name) {
  let path = "", down = false;
  for (let k = 0; k < xs.length; k++) {
    if (!Number.isFinite(ys[k])) { down = false; continue; }
    path += `${down ? "L" : "M"}${into.x(xs[k]).toFixed(1)} ${into.y(ys[k]).toFixed(1)}`;
    down = true;
  }
  into.plot.append(makeSVG("path", { class: name, d: path }));
}

/**
 * A band between two heights, over the whole width.
 * @param {Frame} into
 * @param {number} low in units of y
 * @param {number} high in units of y
 * @param {string} name class of the mark
 */
export function addBand(into, low, high, name) {
  const { left, right } = into.box, top = into.y(high);
  into.plot.append(makeSVG("rect", { class: name, x: left, y: top, width: right - left, height: Math.max(0, into.y(low) - top) }));
}

/**
 * An upright line with words at its top.
 * @param {Frame} into
 * @param {number} at in units of x
 * @param {string} name class of line and words
 * @param {string} [words]
 */
export function addRule(into, at, name, words) {
  const place = into.x(at), { left, right, top, bottom } = into.box;
  into.plot.append(makeSVG("line", { class: name, x1: place, x2: place, y1: top, y2: bottom }));
  if (!words) return;
  const turned = place > (left + right) / 2;
  into.plot.append(makeSVG("text", {
    class: `${name} words`, x: place + (turned ? -6 : 6), y: top + 12, "text-anchor": turned ? "end" : "start",
  }, words));
}

/**
 * What the marks of a chart mean.
 * @param {{name: string, kind: "line" | "area" | "band" | "rule", words: string}[]} marks `name`: class of the mark
 * @returns {HTMLElement}
 */
export function key(marks) {
  return make("ul", { class: "chart-key" }, ...marks.map(({ name, kind, words }) => make("li", {},
    makeSVG("svg", { width: 26, height: 12, "aria-hidden": "true", class: "chart" },
      kind === "area" || kind === "band"
        ? makeSVG("rect", { class: name, x: 1, y: 1, width: 24, height: 10 })
        : makeSVG("line", {
          class: name, ...(kind === "rule" ? { x1: 13, x2: 13, y1: 0, y2: 12 } : { x1: 1, x2: 25, y1: 6, y2: 6 }),
        })),
    words)));
}

/**
 * The numbers of a chart as a table that opens on demand: the text alternative, and something to copy.
 * @param {string} caption
 * @param {string[]} columns
 * @param {() => (string | number)[][]} rows worked out when it is opened
 * @param {string} [summary] what opens it
 * @returns {HTMLElement}
 */
export function numbersTable(caption, columns, rows, summary = "The numbers as a table") {
  const made = make("details", { class: "numbers", ontoggle: () => {
    if (!made.open || made.querySelector("table")) return;
    made.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, make("table", {},
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...columns.map((c) => make("th", { scope: "col" }, c)))),
      make("tbody", {}, ...rows().map((row) => make("tr", {}, ...row.map((cell, k) => k
        ? make("td", {}, cell) : make("th", { scope: "row" }, cell))))))));
  } }, make("summary", {}, summary));
  return made;
}

/**
 * What a CSS colour of an element is, for a canvas.
 * @param {Element} element
 * @param {string} name of a CSS variable, as `--blue`
 * @returns {[number, number, number]} red, green, blue, 0 to 255
 */
export function colourOf(element, name) {
  const probe = make("span", { hidden: true });
  probe.style.color = `var(${name})`;
  element.append(probe);
  const text = getComputedStyle(probe).color;
  probe.remove();
  const parts = (text.match(/-?[\d.]+(e-?\d+)?/g) ?? []).slice(0, 3).map(Number);
  // Mixed colours are written color(srgb 0.1 0.2 0.3).
  const scale = text.startsWith("color(") ? 255 : 1;
  return [scale * (parts[0] ?? 0), scale * (parts[1] ?? 0), scale * (parts[2] ?? 0)];
}

/**
 * A square matrix of coefficients, one cell each, with a cell cursor for pointer and keyboard.
 * @param {object} options
 * @param {Float32Array} options.values (n * n) row by row, from -1 to 1
 * @param {number} options.n
 * @param {string} options.label what a screen reader says of the matrix
 * @param {(row: number, column: number) => string} options.describe a cell in words
 * @param {(row: number, column: number, chosen: boolean) => void} options.onMove the cursor went to a cell; `chosen`: by
 *   keyboard or touch, not by hovering
 * @param {(row: number, column: number) => void} options.onOpen a cell was clicked, or Enter pressed on it
 * @returns {{element: HTMLElement, redraw(): void}} `redraw` when the page turns light or dark
 */
export function matrix({ values, n, label, describe, onMove, onOpen }) {
  const canvas = make("canvas", { width: n, height: n, "aria-hidden": "true" });
  // Cells of a small matrix are large enough by themselves.
  const lens = make("canvas", { class: "lens", width: 220, height: 220, "aria-hidden": "true", hidden: n <= 24 });
  const cursor = make("div", { class: "cell-cursor", hidden: true });
  const keys = "Arrow keys move the cell, with Shift by ten; Home goes to the strongest pair; Enter opens its plane.";
  const map = make("div", {
    class: "matrix-map", tabindex: "0", role: "application", "aria-roledescription": "matrix", "aria-label": `${label} ${keys}`,
  }, canvas, cursor);
  let row = 0, column = Math.min(1, n - 1);
  const [strongRow, strongColumn] = strongest(values, n);

  const draw = () => {
    const low = colourOf(map, "--negative"), zero = colourOf(map, "--zero"), high = colourOf(map, "--positive");
    const pixels = new ImageData(n, n);
    for (let k = 0; k < n * n; k++) {
      const r = values[k], end = r < 0 ? low : high, share = Math.min(1, Math.abs(r));
      for (let c = 0; c < 3; c++) pixels.data[4 * k + c] = zero[c] + share * (end[c] - zero[c]);
      pixels.data[4 * k + 3] = 255;
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    drawLens();
  };
  const drawLens = () => {
    const context = lens.getContext("2d"), around = 5, cells = 2 * around + 1, side = lens.width / cells;
    const page = colourOf(map, "--page").map(Math.round), ink = colourOf(map, "--ink").map(Math.round);
    context.imageSmoothingEnabled = false;
    context.fillStyle = `rgb(${page})`;
    context.fillRect(0, 0, lens.width, lens.height);
    for (let i = -around; i <= around; i++) for (let j = -around; j <= around; j++) {
      if (row + i < 0 || row + i >= n || column + j < 0 || column + j >= n) continue;
      context.drawImage(canvas, column + j, row + i, 1, 1, (j + around) * side, (i + around) * side, side, side);
    }
    context.strokeStyle = `rgb(${ink})`;
    context.lineWidth = 2;
    context.strokeRect(around * side + 1, around * side + 1, side - 2, side - 2);
  };
  const place = () => {
    const side = map.clientWidth / n;
    // Never smaller than can be seen, however many components there are.
    const size = Math.max(side, 7);
    cursor.hidden = false;
    cursor.style.width = cursor.style.height = `${size}px`;
    cursor.style.left = `${(column + 0.5) * side - size / 2}px`;
    cursor.style.top = `${(row + 0.5) * side - size / 2}px`;
  };
  const move = (/** @type {number} */ toRow, /** @type {number} */ toColumn, chosen = true) => {
    row = Math.max(0, Math.min(n - 1, toRow));
    column = Math.max(0, Math.min(n - 1, toColumn));
    place();
    drawLens();
    canvas.title = describe(row, column);
    onMove(row, column, chosen);
  };
  const cellAt = (/** @type {PointerEvent | MouseEvent} */ event) => {
    const area = canvas.getBoundingClientRect();
    const at = (/** @type {number} */ offset, /** @type {number} */ length) =>
      Math.max(0, Math.min(n - 1, Math.floor((offset / length) * n)));
    return [at(event.clientY - area.top, area.height), at(event.clientX - area.left, area.width)];
  };
  canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    const [i, j] = cellAt(event);
    if (i !== row || j !== column || cursor.hidden) move(i, j, false);
  });
  let touched = false;
  canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => { touched = event.pointerType === "touch"; });
  canvas.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const [i, j] = cellAt(event);
    move(i, j, touched);
    // A finger covers many cells: it moves the cursor, and what is under it is opened by the button beside.
    if (!touched) onOpen(i, j);
  });
  map.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const by = event.shiftKey ? 10 : 1;
    const moves = { ArrowUp: [-by, 0], ArrowDown: [by, 0], ArrowLeft: [0, -by], ArrowRight: [0, by] };
    const step = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (step) move(row + step[0], column + step[1]);
    else if (event.key === "Home") move(strongRow, strongColumn);
    else if (event.key === "Enter" || event.key === " ") onOpen(row, column);
    else return;
    event.preventDefault();
  });
  map.addEventListener("focus", () => move(row, column, false));
  new ResizeObserver(() => { if (!cursor.hidden) place(); }).observe(map);
  // Colours can be read once the element is in the page.
  requestAnimationFrame(() => { draw(); move(strongRow, strongColumn, false); });
  return { element: make("div", { class: "matrix" }, map, lens), redraw: draw };
}

/**
 * The cell with the largest absolute value off the diagonal.
 * @param {Float32Array} values (n * n)
 * @param {number} n
 * @returns {[number, number]}
 */
function strongest(values, n) {
  let best = -1;
  /** @type {[number, number]} */
  let at = [0, Math.min(1, n - 1)];
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) {
    if (Math.abs(values[i * n + j]) > best) { best = Math.abs(values[i * n + j]); at = [i, j]; }
  }
  return at;
}
