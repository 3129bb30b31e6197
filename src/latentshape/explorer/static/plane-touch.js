// @ts-check
/**
 * Pointers and keys in the plane.
 *
 * One pointer looks at places, or draws a line; Shift, the middle button or two fingers move the view; the wheel
 * and two fingers zoom. Keys do all of it.
 */

/** Pixels that make a click a drag. */
const SLACK = 4;
/** Sigmas of a step by keyboard, without and with Shift. */
const STEP = 0.1;
const LEAP = 0.5;
/** Logarithm of the zoom for a pixel of the wheel, and for one of a pinch on a touchpad, which comes as a wheel. */
const WHEEL = 0.0016;
const TOUCHPAD = 0.01;
/** Pixels of a line, where the wheel counts in lines. */
const LINE = 16;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * @typedef {Object} Hands what touching does
 * @property {() => boolean} ready whether there is a plane to touch
 * @property {() => boolean} drawing whether a drag draws a line
 * @property {(u: number, v: number, began: number | null) => void} look shows a place; `began` is when it was touched
 *     first, null while dragging
 * @property {() => void} settle the place looked at last is chosen
 * @property {(line: number[]) => void} line u, v of A and of B
 * @property {(moved: boolean) => void} lined the line is drawn, if it is one
 * @property {(event: PointerEvent | null) => void} hover null: the pointer has left
 * @property {(x: number, y: number, began: number) => void} step moves the current place, in sigmas
 * @property {() => [number, number]} current the current place
 * @property {(end: "a" | "b") => void} put an end of the line is to be at the current place
 */

/**
 * @param {HTMLElement} plot
 * @param {import("./plane-view.js").PlaneView} view
 * @param {Hands} hands
 */
export function listen(plot, view, hands) {
  listenToPointers(plot, view, hands);
  plot.addEventListener(
    "wheel",
    (event) => {
      if (!hands.ready() || !view.holds(event)) return;
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? LINE : 1);
      view.zoom(Math.exp(-pixels * (event.ctrlKey ? TOUCHPAD : WHEEL)), ...view.placeOf(event));
    },
    { passive: false },
  );
  plot.addEventListener("keydown", (event) => {
    if (!hands.ready() || event.ctrlKey || event.altKey || event.metaKey) return;
    if (press(event, view, hands)) event.preventDefault();
  });
}

/**
 * @param {KeyboardEvent} event
 * @param {import("./plane-view.js").PlaneView} view
 * @param {Hands} hands
 * @returns {boolean} whether the key means something here
 */
function press(event, view, hands) {
  const arrow = ARROWS[/** @type {keyof typeof ARROWS} */ (event.key)];
  const place = hands.current();
  if (arrow) {
    const by = event.shiftKey ? LEAP : STEP;
    hands.step(by * arrow[0], by * arrow[1], event.timeStamp);
  } else if ("+=".includes(event.key)) view.zoom(1.25, ...place);
  else if ("-_".includes(event.key)) view.zoom(0.8, ...place);
  else if (event.key === "0" || event.key === "Home") view.setBox(view.home);
  else if (event.key === "Enter") view.centreOn(...place);
  else if (/^[ab]$/i.test(event.key)) hands.put(event.key.toLowerCase() === "a" ? "a" : "b");
  else return false;
  return true;
}

/**
 * @param {HTMLElement} plot
 * @param {import("./plane-view.js").PlaneView} view
 * @param {Hands} hands
 */
function listenToPointers(plot, view, hands) {
  /** @type {Map<number, PointerEvent>} the last event of each pointer that is down */
  const down = new Map();
  /** @type {{kind: "look" | "pan" | "line" | "pinch", x: number, y: number, place: number[], moved: boolean} | null} */
  let gesture = null;

  plot.addEventListener("pointerdown", (event) => {
    if (!hands.ready() || !view.holds(event) || event.button > 1) return;
    event.preventDefault(); // no text selection, no scrolling by the middle button
    plot.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    const place = view.placeOf(event);
    const started = { x: event.clientX, y: event.clientY, place, moved: false };
    if (down.size > 1) {
      if (gesture?.kind === "look") hands.settle(); // what the first finger has shown stays
      gesture = { kind: "pinch", ...started };
    } else if (event.button === 1 || event.shiftKey) {
      gesture = { kind: "pan", ...started };
    } else if (hands.drawing()) {
      gesture = { kind: "line", ...started };
    } else {
      gesture = { kind: "look", ...started };
      hands.look(place[0], place[1], event.timeStamp);
    }
  });

  plot.addEventListener("pointermove", (event) => {
    if (!hands.ready()) return;
    const before = down.get(event.pointerId);
    if (!before || !gesture) return hands.hover(event);
    down.set(event.pointerId, event);
    if (gesture.kind === "pinch") return pinch(event, before);
    if (gesture.kind === "pan") return view.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    gesture.moved ||= Math.hypot(event.clientX - gesture.x, event.clientY - gesture.y) > SLACK;
    if (!gesture.moved) return;
    const [u, v] = view.placeOf(event);
    if (gesture.kind === "line") hands.line([...gesture.place, u, v]);
    else hands.look(u, v, null);
  });

  /** @param {PointerEvent} event @param {PointerEvent} before of the same finger */
  function pinch(event, before) {
    const other = [...down.values()].find((finger) => finger.pointerId !== event.pointerId);
    if (!other) return;
    const apart = (/** @type {PointerEvent} */ finger) =>
      Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = new MouseEvent("mousemove", {
      clientX: (event.clientX + other.clientX) / 2,
      clientY: (event.clientY + other.clientY) / 2,
    });
    view.zoom(apart(event) / Math.max(1, apart(before)), ...view.placeOf(middle));
  }

  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId) || !gesture) return;
    if (gesture.kind === "look") hands.settle();
    else if (gesture.kind === "line") hands.lined(gesture.moved);
    gesture = null; // the second finger alone does nothing
  };
  plot.addEventListener("pointerup", up);
  plot.addEventListener("pointercancel", up);
  plot.addEventListener("pointerleave", () => hands.hover(null));
}
