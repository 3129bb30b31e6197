// @ts-check
/** Making elements. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} node
 * @param {Record<string, any>} attributes `on...` are listeners, true and false set and leave out, the rest is text
 */
function dress(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, String(value));
  }
}

/**
 * An HTML element.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  dress(node, attributes);
  node.append(...children);
  return node;
}

/**
 * An SVG element.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function makeSVG(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  dress(node, attributes);
  node.append(...children);
  return node;
}

/**
 * A control with its label above it.
 *
 * @param {string} label
 * @param {HTMLElement} control
 * @returns {HTMLLabelElement}
 */
export function labelled(label, control) {
  return make("label", { class: "field" }, make("span", {}, label), control);
}

/**
 * Draw decoded pixels on a canvas at their own size; CSS scales it.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {import("./source.js").Pictures} pictures
 * @param {number} [row] which of them
 */
export function drawPicture(canvas, pictures, row = 0) {
  const [, height, width, channels] = pictures.shape;
  const size = height * width * channels;
  const image = new ImageData(width, height);
  for (let i = 0, from = row * size; i < 4 * height * width; i += 4, from += channels) {
    image.data[i] = pictures.pixels[from];
    image.data[i + 1] = pictures.pixels[channels === 1 ? from : from + 1];
    image.data[i + 2] = pictures.pixels[channels === 1 ? from : from + 2];
    image.data[i + 3] = 255;
  }
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * Hand a file to the person.
 *
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still be reading it
}
