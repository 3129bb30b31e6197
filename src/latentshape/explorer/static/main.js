// @ts-check
/**
 * The frame of the page: state, current code, tabs, theme, status line.
 *
 * Views are mounted with one object, `app`:
 *
 * | member | what it is |
 * |---|---|
 * | `about` | answer of `api/about` |
 * | `source` | a `Source` (source.js): every request of the page |
 * | `state` | the state of the URL, a plain object; read it, change it with `go` |
 * | `mean` | the mean of the training codes, Float32Array (d) |
 * | `current` | `{ref, code, label}` of the current code: `ref` reproduces `code` (Float32Array, d) exactly, and is empty
 *    while something moves; `named` is the code of `state.ref` before its temperature |
 * | `select(ref or code, {label, quiet})` | makes a code the current one, in the URL too; resolves when it is |
 * | `heated(code, t)` | the code at temperature t: mean + t (code - mean) |
 * | `settle()` | writes the state into the address now, not in a moment |
 * | `live(code)` | shows a code while something moves: pictures follow, the URL does not; end with `select` |
 * | `go(partial, {replace})` | changes the state and the URL; `replace` makes no entry in the history |
 * | `say(sentence)` | shows a sentence in the status line, which screen readers read |
 * | `greet(sentence)` | the same, unless a refusal stands there that has to be read |
 * | `complain(error)` | the same for an error |
 * | `onChange(listener)` | `listener(state, changed)` after every change of state; `changed` is a Set of keys |
 * | `onCode(listener)` | `listener(current, live)` after every change of the current code |
 * | `onPicture(listener)` | `listener(pictures)` when the current code has been decoded |
 * | `onTheme(listener)` | `listener(dark)` when colours have to be drawn anew |
 * | `dark` | whether colours are dark ones |
 * | `timings` | milliseconds: `paint`, and the last 200 of `redraw`, `click`, `drag` |
 *
 * A view is `mount(element, app)`, which returns `{show(), hide()}`. Galleries and the shape view are loaded when
 * they are first opened, so that the plane is there at once.
 *
 * `window.explorer` is `{state, current, timings, settle, ready}` for tests and scripts.
 */

import { mountFace } from "./face.js";
import { mountPlane } from "./plane.js";
import { Source } from "./source.js";
import { VIEWS, countOf, defaults, describeRef, formatFragment, parseFragment, readOut, writtenOut } from "./state.js";

/** Times kept of each kind. */
const KEPT = 200;

/** @type {any} */
const app = {
  about: null,
  source: new Source(),
  state: {},
  mean: null,
  current: { ref: "", code: null, named: null, label: "" },
  dark: false,
  timings: { paint: null, redraw: [], click: [], drag: [] },
};

/** @type {Set<Function>} */
const changeListeners = new Set();
/** @type {Set<Function>} */
const codeListeners = new Set();
/** @type {Set<Function>} */
const themeListeners = new Set();
/** @type {Set<Function>} */
const pictureListeners = new Set();

app.onChange = (/** @type {Function} */ listener) => changeListeners.add(listener);
app.onCode = (/** @type {Function} */ listener) => codeListeners.add(listener);
app.onPicture = (/** @type {Function} */ listener) => pictureListeners.add(listener);
app.showPicture = (/** @type {any} */ found) => pictureListeners.forEach((listener) => listener(found));
app.onTheme = (/** @type {Function} */ listener) => themeListeners.add(listener);

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element #${id}.`);
  return found;
}

// --- saying --------------------------------------------------------------------------------------------------

app.say = (/** @type {string} */ sentence) => {
  const status = element("status");
  status.classList.remove("error");
  status.textContent = sentence;
};

app.greet = (/** @type {string} */ sentence) => {
  if (!element("status").classList.contains("error")) app.say(sentence);
};

app.complain = (/** @type {any} */ error) => {
  if (error?.name === "AbortError") return;
  const status = element("status");
  status.classList.add("error");
  status.textContent = error?.message || String(error);
  if (error?.name !== "SourceError") console.error(error); // a fault of the page, not an answer of the server
};

app.time = (/** @type {"redraw" | "click" | "drag"} */ kind, /** @type {number} */ milliseconds) => {
  const times = app.timings[kind];
  times.push(milliseconds);
  if (times.length > KEPT) times.shift();
};

// --- state and URL -------------------------------------------------------------------------------------------

/** @type {import("./state.js").State} */
let base = {};

/**
 * @param {import("./state.js").State} next
 * @returns {Set<string>} keys that changed
 */
function adopt(next) {
  const keys = new Set([...Object.keys(app.state), ...Object.keys(next)]);
  const changed = new Set([...keys].filter((key) => app.state[key] !== next[key]));
  app.state = next;
  return changed;
}

/** @param {Set<string>} changed */
function tell(changed) {
  if (!changed.size) return;
  if (changed.has("view")) showView();
  if (changed.has("ref") || changed.has("t")) resolving = resolve();
  for (const listener of changeListeners) listener(app.state, changed);
}

app.go = (/** @type {any} */ partial, /** @type {{replace?: boolean}} */ options = {}) => {
  const changed = adopt({ ...app.state, ...partial });
  if (!changed.size) return;
  if (!options.replace) element("status").classList.remove("error"); // the person has gone on
  write(Boolean(options.replace));
  tell(changed);
};

/** Browsers refuse more than about ten changes of the address a second. */
const PAUSE = 150;
let written = -PAUSE;
let timer = 0;

/**
 * Write the state into the address: at once, or a moment later where it was only just written.
 *
 * @param {boolean} replace make no entry in the history
 */
function write(replace) {
  clearTimeout(timer);
  const now = performance.now();
  if (now - written >= PAUSE) put(replace);
  else timer = setTimeout(put, PAUSE, true);
}

/** @param {boolean} replace */
function put(replace) {
  timer = 0;
  written = performance.now();
  history[replace ? "replaceState" : "pushState"](null, "", formatFragment(app.state, base));
}

/** Write what still waits, so that the address can be copied. */
app.settle = () => {
  if (!timer) return;
  clearTimeout(timer);
  put(true);
};

/** Follow a URL that was typed, or the back button. */
function follow() {
  clearTimeout(timer);
  timer = 0;
  if (formatFragment(app.state, base) === (location.hash || "#")) return;
  const next = parseFragment(location.hash, base);
  if (!offered().some((view) => view.name === next.view)) next.view = "plane";
  tell(adopt(next));
}

// --- the current code ----------------------------------------------------------------------------------------

let asked = 0;

/** @type {Promise<boolean>} */
let resolving = Promise.resolve(true);

/**
 * Work out the code of `state.ref` at temperature `state.t` and make it the current one.
 *
 * @returns {Promise<boolean>} whether it is
 */
async function resolve() {
  const { ref, t } = app.state;
  if (app.current.of === `${ref} ${t}`) return true;
  const turn = ++asked;
  try {
    const named = readOut(ref, app.about.d) ?? (await app.source.code(ref));
    if (turn !== asked) return false; // another code was chosen meanwhile
    const code = app.heated(named, t);
    setCurrent(code, t === 1 ? ref : writtenOut(code), `${ref} ${t}`, labelOf(ref, t), named);
    emitCode(false);
    return true;
  } catch (error) {
    if (turn === asked) app.complain(error); // of what was asked for last, and nothing older
    return false;
  }
}

app.heated = (/** @type {Float32Array} */ code, /** @type {number} */ t) =>
  t === 1 ? code : code.map((value, j) => app.mean[j] + t * (value - app.mean[j]));

/**
 * @param {string} ref
 * @param {number} t
 * @returns {string}
 */
function labelOf(ref, t) {
  return describeRef(ref, app.about) + (t === 1 ? "" : `, at temperature ${t}`);
}

/**
 * @param {Float32Array} code
 * @param {string} ref
 * @param {string} of the state it belongs to
 * @param {string} label
 * @param {Float32Array} [named] the code before its temperature
 */
function setCurrent(code, ref, of, label, named = code) {
  app.current = { ref, code, of, label, named };
}

/** @param {boolean} live */
function emitCode(live) {
  for (const listener of codeListeners) listener(app.current, live);
}

app.live = (/** @type {Float32Array} */ code, /** @type {{label?: string}} */ options = {}) => {
  asked++;
  setCurrent(code, "", "", options.label ?? "moving", app.current.named);
  emitCode(true);
};

app.select = async (/** @type {string | Float32Array} */ what, /** @type {any} */ options = {}) => {
  const { label, t = 1, replace = false, quiet = false } = options;
  if (typeof what === "string") {
    app.current.of = ""; // even the same name is to be shown anew after something was moved
    if (app.state.ref === what && app.state.t === t) resolving = resolve();
    else app.go({ ref: what, t }, { replace });
    if (!(await resolving)) return;
  } else {
    asked++; // whatever is still on its way comes too late
    const ref = writtenOut(what);
    setCurrent(what, ref, `${ref} 1`, label ?? describeRef(ref, app.about));
    app.go({ ref, t: 1 }, { replace });
    emitCode(false);
  }
  if (!quiet) app.say(`Current: ${label ?? app.current.label}.`);
};

// --- views ---------------------------------------------------------------------------------------------------

/** @type {Record<string, {show: () => void, hide: () => void}>} */
const mounted = {};

/** Views that are loaded when they are first opened. */
const LOADERS = {
  gallery: async () => (await import("./gallery.js")).mountGallery,
  shape: async () => (await import("./shape.js")).mountShape,
};

/** @returns {typeof VIEWS} views that there is something to show in */
function offered() {
  return VIEWS.filter((view) => app.about.decodes || !view.decodes);
}

function makeTabs() {
  const list = element("tabs");
  for (const view of offered()) {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${view.name}`;
    tab.textContent = view.label;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", view.name);
    tab.addEventListener("click", () => app.go({ view: view.name }));
    list.append(tab);
  }
  list.addEventListener("keydown", (event) => {
    const names = offered().map((view) => view.name);
    const at = names.indexOf(app.state.view);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    app.go({ view: names[(to + names.length) % names.length] });
    element(`tab-${app.state.view}`).focus();
  });
}

/** Show the view of the state, and hide the others. */
async function showView() {
  const { view } = app.state;
  document.body.dataset.view = view;
  for (const { name } of offered()) {
    const tab = element(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === view));
    tab.tabIndex = name === view ? 0 : -1;
  }
  // The current face stays beside the plane, where it is no tab's panel.
  element("face").setAttribute("role", view === "face" ? "tabpanel" : "complementary");
  for (const [name, part] of Object.entries(mounted)) {
    if (name !== view) part.hide();
  }
  const loader = LOADERS[/** @type {keyof typeof LOADERS} */ (view)];
  if (!mounted[view] && loader) {
    try {
      const mount = await loader();
      mounted[view] ??= mount(element(view), app);
    } catch (error) {
      app.complain(error);
    }
  }
  if (app.state.view === view) mounted[view]?.show();
}

// --- light and dark ------------------------------------------------------------------------------------------

const THEME = "latentshape-theme";

/** @returns {string | null} what was chosen, if it could be kept */
function keptTheme() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // storage is switched off: the system's choice holds
  }
}

/** @param {boolean} dark */
function applyTheme(dark) {
  app.dark = dark;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const button = element("theme");
  button.setAttribute("aria-pressed", String(dark));
  button.title = dark ? "Change to light colours" : "Change to dark colours";
  for (const listener of themeListeners) listener(dark);
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = keptTheme();
  applyTheme(kept ? kept === "dark" : system.matches);
  system.addEventListener("change", () => keptTheme() ?? applyTheme(system.matches));
  element("theme").addEventListener("click", () => {
    applyTheme(!app.dark);
    try {
      localStorage.setItem(THEME, app.dark ? "dark" : "light");
    } catch {
      // It holds for this page alone.
    }
  });
}

// --- start ---------------------------------------------------------------------------------------------------

async function start() {
  startTheme();
  const about = (app.about = await app.source.about());
  base = defaults(about);
  app.state = parseFragment(location.hash, base);
  if (!offered().some((view) => view.name === app.state.view)) app.state.view = "plane";
  document.title = `${about.name} · latentshape`;
  element("name").textContent = about.name;
  element("facts").textContent = `${countOf(about)}, d = ${about.d}`;
  document.body.classList.toggle("bare", !about.decodes);
  makeTabs();
  mounted.plane = mountPlane(element("plane"), app);
  if (about.decodes) mounted.face = mountFace(element("face"), app);
  const meaning = app.source.code("mean");
  showView();
  app.mean = await meaning;
  window.addEventListener("popstate", follow);
  window.addEventListener("hashchange", follow);
  resolving = resolve();
  const shown = await resolving;
  if (shown && app.state.view !== "plane") app.greet(`Current: ${app.current.label}.`);
  if (!shown) {
    // A link to a code that is not there: say so, and show something that is.
    setCurrent(app.mean, "mean", "mean 1", labelOf("mean", 1));
    emitCode(false);
  }
  return app;
}

const ready = start();
ready.catch((error) => app.complain(error));
Object.defineProperty(window, "explorer", {
  value: {
    get state() {
      return app.state;
    },
    get current() {
      return app.current;
    },
    timings: app.timings,
    settle: () => app.settle(),
    ready: ready.then(() => true),
  },
});
