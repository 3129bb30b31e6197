// @ts-check
/** The pictures along a line: a strip to look at, to choose from and to save. */

import { download, drawPicture, make } from "./dom.js";

/** Pictures in a strip. */
export const LEAST_STEPS = 8;
export const MOST_STEPS = 24;

/**
 * @param {HTMLElement} root
 * @param {any} app
 * @param {{codes: () => Float32Array | null, steps: (count: number) => void, clear: () => void}} line
 *     its codes (steps, d) as they are now, told how many steps are wanted, and that it is to go
 * @returns {{draw: () => Promise<void>}} `draw` shows the line anew
 */
export function mountStrip(root, app, line) {
  const pictures = make("div", { class: "pictures", role: "group", "aria-label": "Pictures from A to B" });
  const count = make("output", { class: "number" });
  const steps = make("input", {
    type: "range", min: LEAST_STEPS, max: MOST_STEPS, step: 1, "aria-label": "Pictures in the strip",
    oninput: () => {
      count.textContent = steps.value;
      line.steps(Number(steps.value));
    },
  });
  const save = (/** @type {"strip" | "gif"} */ as) => async () => {
    const codes = line.codes();
    if (!codes) return;
    try {
      app.say(`Preparing the ${as === "gif" ? "GIF" : "PNG"} …`);
      const file = await app.source.file(codes, as);
      const name = `${app.about.name}-line.${as === "gif" ? "gif" : "png"}`;
      download(file, name);
      app.say(`Saved ${name}: ${steps.value} pictures from A to B${as === "gif" ? " and back" : ""}.`);
    } catch (error) {
      app.complain(error);
    }
  };
  root.append(
    make(
      "div",
      { class: "bar" },
      make("b", {}, "From A to B"),
      make("label", { class: "inline" }, steps, count, " pictures"),
      make("button", { type: "button", class: "save-png", onclick: save("strip") }, "Save PNG"),
      ...(app.about.files.includes("gif")
        ? [make("button", { type: "button", class: "save-gif", onclick: save("gif") }, "Save GIF")] : []),
      make("button", { type: "button", class: "clear", onclick: line.clear }, "Remove line"),
    ),
    pictures,
  );
  let flying = false;
  let again = false;

  /** One question in flight, then the latest. */
  async function draw() {
    const codes = line.codes();
    root.hidden = !codes;
    if (!codes) return;
    if (flying) {
      again = true;
      return;
    }
    flying = true;
    try {
      const found = await app.source.decode(codes);
      show(found, codes);
    } catch (error) {
      app.complain(error);
    }
    flying = false;
    if (again) {
      again = false;
      draw();
    }
  }

  /** @param {any} found @param {Float32Array} codes */
  function show(found, codes) {
    const total = found.shape[0];
    steps.value = String(total);
    count.textContent = String(total);
    while (pictures.children.length > total) pictures.lastChild?.remove();
    while (pictures.children.length < total) {
      pictures.append(make("button", { type: "button" }, make("canvas")));
    }
    const d = app.about.d;
    [...pictures.children].forEach((button, i) => {
      drawPicture(button.firstChild, found, i);
      const label = `picture ${i + 1} of ${total} from A to B`;
      button.setAttribute("aria-label", `Select ${label}`);
      button.onclick = () => app.select(codes.slice(i * d, (i + 1) * d), { label });
    });
  }

  return { draw };
}
