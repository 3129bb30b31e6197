// @ts-check
/**
 * The plane view: all codes seen along two axes; a place in it is a code that can be looked at.
 *
 * A place has many codes, one for every choice of the rest (see `latentshape.explorer.axes`): the mean's, the
 * current code's, or the mean of all codes that a Gaussian has there. All of it is reckoned here from `api/lift`, so
 * that a drag asks the server for pictures only.
 */

import { categories, gradient, suiting, unknown } from "./colours.js";
import { drawPicture, labelled, make, makeSVG } from "./dom.js";
import { PlaneView, percent, readable } from "./plane-view.js";
import { mountStrip } from "./plane-strip.js";
import { SourceError } from "./source.js";

const RESTS = [
  ["mean", "at the mean"],
  ["current", "as in the current code"],
  ["conditional", "conditional mean"],
];
const HELP =
  "Plane of codes. Arrow keys move the current place by 0.1 sigma, with Shift by 0.5; plus and minus zoom, 0 shows " +
  "all, Enter centres the view on the current place; A and B put the ends of a line at the current place.";
/** Sigmas of a step by keyboard, without and with Shift. */
const STEP = 0.1;
const LEAP = 0.5;
/** Pixels that make a click a drag, or a line. */
const SLACK = 4;

/**
 * @param {HTMLElement} root
 * @param {any} app
 * @returns {{show: () => void, hide: () => void}}
 */
export function mountPlane(root, app) {
  const { about, source } = app;
  const pictures = about.decodes;

  // --- what there is to choose ---------------------------------------------------------------------------------

  // The same axis twice spans no plane: the other one then takes what this one was.
  const axisX = make("select", {
    id: "axis-x",
    onchange: () => chooseAxes(axisX.value, axisX.value === app.state.y ? app.state.x : app.state.y),
  });
  const axisY = make("select", {
    id: "axis-y",
    onchange: () => chooseAxes(axisY.value === app.state.x ? app.state.y : app.state.x, axisY.value),
  });
  for (const select of [axisX, axisY]) select.append(...axisOptions(about));
  const swap = make(
    "button",
    { type: "button", id: "swap", "aria-label": "Swap the axes", title: "Swap the axes",
      onclick: () => chooseAxes(app.state.y, app.state.x) },
    "⇄",
  );
  const colour = make("select", { id: "colour", onchange: () => app.go({ colour: colour.value }) });
  for (const { by, label } of about.colours) colour.append(make("option", { value: by }, label));
  const rest = make("select", { id: "rest", onchange: () => app.go({ rest: rest.value }) });
  for (const [value, label] of RESTS) rest.append(make("option", { value }, label));
  const ellipses = box("ellipses", "ellipses");
  const contours = box("contours", "contours");
  const drawn = make("select", { id: "drawn", onchange: () => app.go({ drawn: drawn.value }) });
  drawn.append(make("option", { value: "" }, "none"));
  for (const name of about.samplers) drawn.append(make("option", { value: name, title: about.sampler_words?.[name] }, name));
  const drawnN = whole("drawn_n", 1, about.limits.drawn ?? 5000);
  const drawnSeed = whole("drawn_seed", 0, 999_999);
  const lineMode = make(
    "button",
    { type: "button", id: "line-mode", "aria-pressed": "false", title: "Drag a line; pictures along it come below",
      onclick: () => setLineMode(lineMode.getAttribute("aria-pressed") !== "true") },
    "Draw a line",
  );

  /** @param {string} key @param {string} label */
  function box(key, label) {
    const input = make("input", {
      type: "checkbox", id: key, onchange: () => app.go({ [key]: input.checked ? 1 : 0 }, { replace: true }),
    });
    return { input, label: make("label", { class: "check" }, input, label) };
  }

  /** @param {string} key @param {number} low @param {number} high */
  function whole(key, low, high) {
    const input = make("input", {
      type: "number", id: key.replace("_", "-"), min: low, max: high, step: 1,
      onchange: () => {
        const value = Math.round(Number(input.value));
        app.go({ [key]: Math.min(high, Math.max(low, Number.isFinite(value) ? value : low)) }, { replace: true });
        input.value = String(app.state[key]);
      },
    });
    return input;
  }

  const plot = make("div", {
    class: "plot", id: "plot", tabindex: 0, role: "application", "aria-label": HELP, "aria-roledescription": "plane",
  });
  const inset = make("canvas", { class: "inset", "aria-hidden": "true", hidden: !pictures });
  const readout = make("p", { class: "readout", "aria-hidden": "true" });
  const zoomers = make(
    "div",
    { class: "zoomers", role: "group", "aria-label": "Zoom" },
    zoomer("+", "Zoom in", () => view.zoom(1.5)),
    zoomer("−", "Zoom out", () => view.zoom(1 / 1.5)),
    zoomer("⌂", "Show all", () => view.setBox(view.home)),
  );

  /** @param {string} sign @param {string} label @param {() => void} onclick */
  function zoomer(sign, label, onclick) {
    return make("button", { type: "button", "aria-label": label, title: label, onclick }, sign);
  }

  const legend = make("div", { class: "legend" });
  const coverage = make("table", { class: "coverage" });
  const strip = make("section", { class: "strip", "aria-label": "Pictures along the line", hidden: true });
  root.append(
    make(
      "div",
      { class: "controls" },
      labelled("Horizontal axis", axisX),
      swap,
      labelled("Vertical axis", axisY),
      labelled("Colour", colour),
      ...(pictures ? [labelled("Rest of the code", rest)] : []),
    ),
    make(
      "div",
      { class: "controls second" },
      make("fieldset", { class: "checks" }, make("legend", {}, "Show"), ellipses.label, contours.label),
      labelled("Drawn codes", drawn),
      labelled("Number", drawnN),
      labelled("First seed", drawnSeed),
      ...(pictures ? [lineMode] : []),
    ),
    make("div", { class: "stage" }, plot, inset, readout, zoomers),
    strip,
    make("div", { class: "below" }, legend, coverage),
  );

  const view = new PlaneView(plot, {
    redrawn: (milliseconds) => {
      app.time("redraw", milliseconds);
      app.timings.paint ??= performance.now();
    },
    moved: (part) =>
      app.go({ box: part ? part.map((value) => value.toPrecision(5)).join(",") : "" }, { replace: true }),
  });

  // --- what lies where -----------------------------------------------------------------------------------------

  /** @type {any} */
  let facts = null;
  /** @type {Float32Array} (7, d): read-outs, plain and conditional steps, mean */
  let lift = new Float32Array(0);
  let loading = 0;

  /** @param {number} row @returns {Float32Array} of `lift` */
  const row = (row) => lift.subarray(row * about.d, (row + 1) * about.d);

  /** @param {Float32Array} code @returns {[number, number]} its place */
  function project(code) {
    const [wx, wy] = [row(0), row(1)];
    let [u, v] = facts.offset;
    for (let j = 0; j < code.length; j++) {
      u += wx[j] * code[j];
      v += wy[j] * code[j];
    }
    return [u, v];
  }

  /**
   * @param {number} u
   * @param {number} v
   * @param {Float32Array} from the code that rest = current leaves as it is
   * @returns {Float32Array} the code at a place
   */
  function codeAt(u, v, from) {
    const conditional = app.state.rest === "conditional";
    const [ex, ey] = conditional ? [row(4), row(5)] : [row(2), row(3)];
    const base = app.state.rest === "current" ? from : row(6);
    const [u0, v0] = project(base);
    return base.map((value, j) => value + (u - u0) * ex[j] + (v - v0) * ey[j]);
  }

  /** @param {number} u @param {number} v @returns {string} */
  function wordsOf(u, v) {
    const { x, y } = facts;
    const sigmas = (/** @type {number} */ value, /** @type {any} */ axis) =>
      readable((value - axis.mean) / axis.std, 2);
    return `${short(x)}: ${readable(u)} (${sigmas(u, x)}σ), ${short(y)}: ${readable(v)} (${sigmas(v, y)}σ)`;
  }

  async function load() {
    const turn = ++loading;
    const { x, y } = app.state;
    const first = !facts;
    axisX.value = x;
    axisY.value = y;
    root.classList.add("loading");
    try {
      const [found, steps, points] = await Promise.all([
        source.plane(x, y),
        source.lift(x, y),
        source.points(x, y),
      ]);
      if (turn !== loading) return; // other axes were chosen meanwhile
      [facts, lift] = [found, steps];
      view.show(facts, points, readBox(app.state.box));
      showCoverage();
      mark();
      await Promise.all([loadColour(), loadDrawn()]);
      describePlot();
      drawStrip();
      if (app.state.view === "plane" && !silent) {
        const how = pictures ? "Click or drag: the picture of that code appears." : "Click a place to learn how far out it lies.";
        app.say(`${about.n.toLocaleString("en")} codes in the plane of ${short(facts.x)} and ${short(facts.y)}. ${how}`);
      }
    } catch (error) {
      app.complain(error);
      if (turn === loading) fallBack(first);
    } finally {
      silent &&= turn !== loading;
      if (turn === loading) root.classList.remove("loading");
    }
  }

  /** Axes that span no plane, or that are not there: back to what is shown, or to the first look. */
  function fallBack(/** @type {boolean} */ first) {
    const [x, y] = first ? [about.default.x, about.default.y] : [facts.x.axis, facts.y.axis];
    if (x === app.state.x && y === app.state.y) return;
    silent = true; // the refusal is what is to be read
    app.go({ x, y, box: "", line: "" }, { replace: true });
  }
  let silent = false;
  let colouring = 0;

  async function loadColour() {
    const turn = ++colouring;
    const by = app.state.colour;
    colour.value = by;
    try {
      if (!about.colours.some((/** @type {any} */ known) => known.by === by)) {
        throw new SourceError(`Nothing here is coloured by ${by}; the density is shown.`, 0);
      }
      const [values, found] =
        by === "density" ? [null, null] : await Promise.all([source.colour(by), source.legend(by)]);
      if (turn !== colouring) return;
      view.density.setValues(values, found);
    } catch (error) {
      app.complain(error);
      if (turn === colouring && by !== "density") {
        silent = true;
        app.go({ colour: "density" }, { replace: true });
      }
      return;
    }
    showLegend();
    view.redraw();
  }

  let drawing = 0;

  async function loadDrawn() {
    const turn = ++drawing;
    const { drawn: sampler, drawn_n: n, drawn_seed: seed, x, y } = app.state;
    drawn.value = sampler;
    drawnN.value = n;
    drawnSeed.value = seed;
    for (const input of [drawnN, drawnSeed]) input.disabled = !sampler;
    try {
      const found = sampler ? await source.drawn(sampler, seed, n, x, y) : null;
      if (turn === drawing) view.drawn = found;
    } catch (error) {
      if (turn === drawing) view.drawn = null;
      app.complain(error);
    }
    showLegend();
    view.redraw();
  }

  /** The picture in words, for who cannot see it. */
  function describePlot() {
    const by = about.colours.find((/** @type {any} */ c) => c.by === app.state.colour)?.label ?? app.state.colour;
    const words = [
      `${about.n.toLocaleString("en")} codes, ${facts.x.label} against ${facts.y.label}, coloured by ${by}.`,
      `Correlation of the two ${readable(facts.correlation, 2)}.`,
      ...facts.ellipses.map(
        (/** @type {any} */ e) => `The ${e.sigma} sigma ellipse holds ${percent(e.observed)}, a Gaussian ${percent(e.expected)}.`,
      ),
    ];
    if (app.state.drawn) words.push(`${app.state.drawn_n} codes drawn by ${app.state.drawn} as crosses.`);
    view.canvas.setAttribute("aria-label", words.join(" "));
  }

  function showCoverage() {
    const row = (/** @type {string} */ title, /** @type {string} */ key) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, title),
        ...facts.ellipses.map((/** @type {any} */ e) => make("td", {}, percent(e[key]))),
      );
    const heads = facts.ellipses.map((/** @type {any} */ e) => make("th", { scope: "col" }, `${e.sigma}σ`));
    coverage.replaceChildren(
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Inside the ellipse"), ...heads)),
      make("tbody", {}, row("training codes", "observed"), row("a Gaussian", "expected")),
    );
  }

  function showLegend() {
    const { density } = view;
    const nodes = [];
    const bar = (/** @type {string} */ title, /** @type {any} */ name, /** @type {string} */ low, /** @type {string} */ high) => {
      const ramp = make("span", { class: "ramp", "aria-hidden": "true" });
      ramp.style.background = gradient(name, app.dark);
      return make("p", { class: "scale" }, make("b", {}, title), make("span", {}, low), ramp, make("span", {}, high));
    };
    if (density.kind === "density") {
      nodes.push(bar("codes per pixel, log scale", "density", "few", "many"));
    } else if (density.kind === "number") {
      const { label, low, high } = density.legend;
      nodes.push(bar(label, suiting(low, high), `≤ ${readable(low)}`, `≥ ${readable(high)}`));
    } else {
      nodes.push(categoryLegend(density));
    }
    if (density.values && density.kind === "number" && hasUnknown(density.values)) {
      nodes.push(make("p", { class: "scale" }, swatch(unknown(app.dark)), "unknown"));
    }
    if (view.drawn) {
      nodes.push(
        make("p", { class: "scale" }, make("span", { class: "cross", "aria-hidden": "true" }, "×"),
          `drawn by ${app.state.drawn}, seeds ${app.state.drawn_seed} to ${app.state.drawn_seed + app.state.drawn_n - 1}`),
      );
    }
    legend.replaceChildren(...nodes);
  }

  /** Categories can be left out one by one, so that nothing depends on telling colours apart. */
  function categoryLegend(/** @type {any} */ density) {
    const counts = new Array(256).fill(0);
    for (const index of density.indices) counts[index]++;
    const colours = categories(density.legend.labels.length, app.dark);
    const entries = density.legend.labels.map((/** @type {string} */ label, /** @type {number} */ k) => [label, k, colours[k]]);
    if (counts[255]) entries.push(["unknown", 255, unknown(app.dark)]);
    const checks = entries.map(([/** @type {string} */ label, /** @type {number} */ k, /** @type {string} */ hex]) => {
      const input = make("input", {
        type: "checkbox",
        onchange: () => {
          density.hide(k, !input.checked);
          view.redraw();
        },
      });
      input.checked = !density.hidden[k];
      return make("label", { class: "check" }, input, swatch(hex), `${label} (${counts[k].toLocaleString("en")})`);
    });
    return make("fieldset", { class: "checks" }, make("legend", {}, density.legend.label), ...checks);
  }

  // --- marks ---------------------------------------------------------------------------------------------------

  const pins = {
    // The two often lie close together: their names go to different sides.
    mean: pin("mean", { x: -10, y: -10, "text-anchor": "end" }, "mean", makeSVG("path", { d: "M-7 0H7M0 -7V7" })),
    origin: pin("origin", { x: 10, y: 20 }, "origin", makeSVG("path", { d: "M-5 -5L5 5M-5 5L5 -5" })),
    a: pin("end", { x: 9, y: -6 }, "A", makeSVG("circle", { r: 5 })),
    b: pin("end", { x: 9, y: -6 }, "B", makeSVG("circle", { r: 5 })),
    current: pin("current", {}, "", makeSVG("path", { d: "M-16 0H-7M7 0H16M0 -16V-7M0 7V16" }),
      makeSVG("circle", { r: 9 }), makeSVG("circle", { r: 2, class: "dot" })),
  };

  /**
   * @param {string} name
   * @param {Record<string, any>} where its words are
   * @param {string} words
   * @param {...SVGElement} shapes
   */
  function pin(name, where, words, ...shapes) {
    // Drawn twice, a broad rim below, so that it is seen on any density.
    return makeSVG(
      "g",
      { class: `pin ${name}` },
      makeSVG("g", { class: "halo" }, ...shapes.map((node) => node.cloneNode())),
      makeSVG("g", { class: "line" }, ...shapes),
      ...(words ? [makeSVG("text", where, words)] : []),
    );
  }

  function mark() {
    if (!facts) return;
    const line = readLine(app.state.line);
    view.line = line;
    const [um, vm] = project(row(6));
    const marks = [
      { u: um, v: vm, node: pins.mean },
      { u: facts.origin[0], v: facts.origin[1], node: pins.origin },
    ];
    if (line) {
      marks.push({ u: line[0], v: line[1], node: pins.a }, { u: line[2], v: line[3], node: pins.b });
    }
    if (app.current.code) {
      const [u, v] = project(app.current.code);
      marks.push({ u, v, node: pins.current });
    }
    view.setMarks(marks);
  }

  // --- the line ------------------------------------------------------------------------------------------------

  function lineCodes() {
    const line = readLine(app.state.line);
    if (!line || !facts) return null;
    const from = app.current.code ?? row(6);
    const steps = Math.min(24, Math.max(8, Math.round(app.state.steps)));
    const codes = new Float32Array(steps * about.d);
    for (let i = 0; i < steps; i++) {
      const t = i / (steps - 1);
      codes.set(codeAt(line[0] + t * (line[2] - line[0]), line[1] + t * (line[3] - line[1]), from), i * about.d);
    }
    return codes;
  }

  const { draw: drawStrip } = pictures
    ? mountStrip(strip, app, {
        codes: lineCodes,
        steps: (count) => app.go({ steps: count }, { replace: true }),
        clear: () => app.go({ line: "" }),
      })
    : { draw: async () => {} };

  /** @param {boolean} on */
  function setLineMode(on) {
    lineMode.setAttribute("aria-pressed", String(on));
    plot.classList.toggle("drawing", on);
    app.say(on ? "Drag from A to B: the pictures along the line come below the plane." : "Click or drag to look at places.");
  }

  /** @param {number[]} line u, v of A and of B @param {boolean} [replace] */
  function setLine(line, replace = false) {
    app.go({ line: line.map((value) => value.toPrecision(5)).join(",") }, { replace });
  }

  // --- touching ------------------------------------------------------------------------------------------------

  /** @type {Map<number, PointerEvent>} */
  const fingers = new Map();
  /** @type {{kind: "look" | "pan" | "line" | "pinch", x: number, y: number, from: Float32Array, place: number[]} | null} */
  let gesture = null;

  /** @param {number} u @param {number} v @param {Float32Array} from */
  function look(u, v, from) {
    const code = codeAt(u, v, from);
    readout.textContent = wordsOf(u, v);
    app.live(code, { label: readout.textContent });
    return code;
  }

  /** @type {Float32Array | null} */
  let looked = null;

  plot.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (!facts || !view.holds(event) || !(event.button === 0 || event.button === 1)) return;
    event.preventDefault(); // no text selection, no autoscroll
    plot.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    const [u, v] = view.placeOf(event);
    const start = { x: event.clientX, y: event.clientY, from: app.current.code ?? row(6), place: [u, v] };
    if (fingers.size === 2) {
      finishLook();
      gesture = { kind: "pinch", ...start };
    } else if (event.button === 1 || event.shiftKey) {
      gesture = { kind: "pan", ...start };
    } else if (pictures && lineMode.getAttribute("aria-pressed") === "true") {
      gesture = { kind: "line", ...start };
    } else {
      gesture = { kind: "look", ...start };
      app.began = event.timeStamp;
      looked = look(u, v, start.from);
    }
  });

  plot.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!facts) return;
    const before = fingers.get(event.pointerId);
    if (!before || !gesture) {
      hover(event);
      return;
    }
    fingers.set(event.pointerId, event);
    const [u, v] = view.placeOf(event);
    if (gesture.kind === "pinch") pinch(event, before);
    else if (gesture.kind === "pan") view.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else if (Math.hypot(event.clientX - gesture.x, event.clientY - gesture.y) > SLACK || gesture.moved) {
      gesture.moved = true;
      if (gesture.kind === "line") setLine([...gesture.place, u, v], true);
      else {
        app.dragging = true;
        looked = look(u, v, gesture.from);
      }
    }
  });

  /** @param {PointerEvent} event @param {PointerEvent} before */
  function pinch(event, before) {
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
    view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = new MouseEvent("pointermove", {
      clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2,
    });
    view.zoom(apart(event) / Math.max(1, apart(before)), ...view.placeOf(middle));
  }

  function finishLook() {
    app.dragging = false;
    if (!looked) return;
    const code = looked;
    looked = null;
    const [u, v] = project(code);
    app.select(code, { label: wordsOf(u, v) });
    if (!pictures) tellRadius(code);
  }

  for (const name of ["pointerup", "pointercancel"]) {
    plot.addEventListener(name, (/** @type {any} */ event) => {
      if (!fingers.delete(event.pointerId) || !gesture) return;
      if (gesture.kind === "look") finishLook();
      else if (gesture.kind === "line") {
        app.say(gesture.moved ? "The pictures from A to B are below the plane." : "Drag to draw a line.");
        strip.scrollIntoView({ block: "nearest" });
      }
      gesture = null;
    });
  }

  /** Bare codes have no picture: say how far out a place lies. */
  async function tellRadius(/** @type {Float32Array} */ code) {
    try {
      const { words } = await source.describe(code);
      if (app.current.code === code) app.say(`${app.current.label}. ${words}`);
    } catch (error) {
      app.complain(error);
    }
  }

  /** @param {PointerEvent} event */
  function hover(event) {
    const words = /** @type {Element} */ (event.target)?.getAttribute?.("data-words");
    readout.textContent = !view.holds(event) ? "" : words ?? wordsOf(...view.placeOf(event));
  }

  plot.addEventListener("pointerleave", () => (readout.textContent = ""));
  plot.addEventListener(
    "wheel",
    (/** @type {WheelEvent} */ event) => {
      if (!facts || !view.holds(event)) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      view.zoom(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0016)), ...view.placeOf(event));
    },
    { passive: false },
  );

  plot.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!facts || !app.current.code || event.ctrlKey || event.altKey || event.metaKey) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const [u, v] = project(app.current.code);
    if (arrow) {
      const step = event.shiftKey ? LEAP : STEP;
      const [to, up] = [u + arrow[0] * step * facts.x.std, v + arrow[1] * step * facts.y.std];
      app.began = event.timeStamp;
      const code = codeAt(to, up, app.current.code);
      app.select(code, { label: wordsOf(to, up) });
      if (!pictures) tellRadius(code);
    } else if (event.key === "+" || event.key === "=") view.zoom(1.25, u, v);
    else if (event.key === "-" || event.key === "_") view.zoom(0.8, u, v);
    else if (event.key === "0" || event.key === "Home") view.setBox(view.home);
    else if (event.key === "Enter") view.centreOn(u, v);
    else if (pictures && /^[ab]$/i.test(event.key)) {
      const line = readLine(app.state.line) ?? [u, v, u, v];
      line.splice(event.key.toLowerCase() === "a" ? 0 : 2, 2, u, v);
      setLine(line);
      app.say(`${event.key.toUpperCase()} is at ${wordsOf(u, v)}.`);
    } else return;
    event.preventDefault();
  });

  // --- following the state -------------------------------------------------------------------------------------

  /**
   * @param {string} x
   * @param {string} y
   */
  function chooseAxes(x, y) {
    app.go({ x, y, box: "", line: "" });
  }

  let opened = false;

  function follow(/** @type {any} */ state, /** @type {Set<string>} */ changed) {
    controls();
    if (!opened) return; // all of it is read when the plane is first seen
    if (changed.has("x") || changed.has("y")) load();
    else if (facts) {
      if (changed.has("colour")) loadColour().then(describePlot);
      if (changed.has("drawn") || changed.has("drawn_n") || changed.has("drawn_seed")) loadDrawn().then(describePlot);
      if (changed.has("line")) mark();
      if (["line", "steps", "rest"].some((key) => changed.has(key))) drawStrip();
      const wanted = readBox(state.box) ?? view.home;
      // What the view itself told comes back rounded: only other boxes are taken.
      if (changed.has("box") && wanted.some((value, i) => Math.abs(value - view.box[i]) > 1e-3 * Math.abs(wanted[1] - wanted[0]))) {
        view.setBox(wanted, false);
      }
    }
  }

  function controls() {
    rest.value = app.state.rest;
    ellipses.input.checked = Boolean(app.state.ellipses);
    contours.input.checked = Boolean(app.state.contours);
    view.toggle("ellipses", Boolean(app.state.ellipses));
    view.toggle("contours", Boolean(app.state.contours));
  }

  // Where the current face is not beside the plane, a finger still sees what it touches.
  app.onPicture((/** @type {any} */ found) => drawPicture(inset, found));
  app.onChange(follow);
  app.onCode((/** @type {any} */ current, /** @type {boolean} */ live) => {
    mark();
    if (!live && app.state.line && app.state.rest === "current") drawStrip();
  });
  app.onTheme((/** @type {boolean} */ dark) => {
    view.density.setTheme(dark);
    showLegend();
    view.redraw();
  });
  view.density.setTheme(app.dark);
  controls();

  return {
    show: () => {
      view.measure();
      if (!opened) load();
      opened = true;
    },
    hide: () => {},
  };
}

/** @param {any} about @returns {HTMLOptGroupElement[]} every axis there is */
function axisOptions(about) {
  const { component, pca, attribute } = about.axes;
  const group = (/** @type {string} */ label, /** @type {[string, string][]} */ entries) =>
    make("optgroup", { label }, ...entries.map(([value, text]) => make("option", { value }, text)));
  const groups = [
    group("Principal axes (PCA)", Array.from({ length: pca }, (_, k) => [`pca:${k}`, `PCA axis ${k + 1}`])),
    group("Components", Array.from({ length: component }, (_, j) => [`component:${j}`, `component ${j}`])),
  ];
  if (attribute.length) {
    groups.splice(1, 0, group("Attributes", attribute.map((/** @type {string} */ name) => [`attribute:${name}`, name])));
  }
  return groups;
}

/** @param {any} axis facts of one @returns {string} a name for the status line */
function short(axis) {
  const [kind, which] = axis.axis.split(":");
  if (kind === "pca") return `PCA axis ${Number(which) + 1}`;
  return kind === "component" ? `component ${which}` : which;
}

/** @param {string} colour @returns {HTMLElement} */
function swatch(colour) {
  const node = make("span", { class: "swatch", "aria-hidden": "true" });
  node.style.background = colour;
  return node;
}

/** @param {Float32Array} values @returns {boolean} */
function hasUnknown(values) {
  return values.some((value) => value !== value);
}

/** @param {string} text @param {number} count @returns {number[] | null} */
function readNumbers(text, count) {
  const found = String(text).split(",").map(Number);
  return text && found.length === count && found.every(Number.isFinite) ? found : null;
}

/** @param {string} text @returns {import("./plane-view.js").Box | null} */
function readBox(text) {
  const found = readNumbers(text, 4);
  return found && found[0] < found[1] && found[2] < found[3] ? /** @type {any} */ (found) : null;
}

/** @param {string} text @returns {number[] | null} u, v of A and of B */
function readLine(text) {
  return readNumbers(text, 4);
}
