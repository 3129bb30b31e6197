// @ts-check
/** Decoded floats as pixels, and pixels as files. */

import { drawPicture, make } from "./dom.js";

/** Pixels between the pictures of a strip, as `latentshape.images.grid` has them. */
const GAP = 2;

/**
 * @param {Float32Array} images (m, c, h, w) in [0, 1]
 * @param {number} channels
 * @param {number} size side in pixels
 * @returns {import("./source-base.js").Pictures} (m, h, w, c)
 */
export function pixelsOf(images, channels, size) {
  const area = size * size, count = images.length / (channels * area);
  const pixels = new Uint8ClampedArray(images.length); // clips, and rounds halves to even as torch does
  for (let i = 0, to = 0; i < count; i++) {
    for (let p = 0; p < area; p++) {
      for (let k = 0; k < channels; k++, to++) pixels[to] = Math.fround(255 * images[(i * channels + k) * area + p]);
    }
  }
  return { pixels: new Uint8Array(pixels.buffer), shape: [count, size, size, channels] };
}

/**
 * Pictures side by side on a canvas.
 *
 * @param {import("./source-base.js").Pictures} pictures
 * @param {number} columns
 * @returns {HTMLCanvasElement}
 */
export function sheetOf(pictures, columns) {
  const [count, height, width] = pictures.shape, across = Math.min(columns, count), rows = Math.ceil(count / across);
  const sheet = make("canvas", { width: across * (width + GAP) - GAP, height: rows * (height + GAP) - GAP });
  const context = sheet.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, sheet.width, sheet.height);
  const one = make("canvas");
  for (let i = 0; i < count; i++) {
    drawPicture(one, pictures, i);
    context.drawImage(one, (i % across) * (width + GAP), Math.floor(i / across) * (height + GAP));
  }
  return sheet;
}

/** @param {HTMLCanvasElement} canvas @returns {Promise<Blob>} as PNG */
export function pngOf(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The browser could not write a PNG."))), "image/png");
  });
}
