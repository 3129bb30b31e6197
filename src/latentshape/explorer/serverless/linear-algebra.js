// @ts-check
/** The little linear algebra that a page without a server needs. Matrices are flat, row by row. */

/** @typedef {ArrayLike<number>} Numbers */

/**
 * @param {Numbers} a
 * @param {Numbers} b
 * @param {number} [start] of `a`
 * @returns {number} the sum of a[start + j] b[j]
 */
export function dot(a, b, start = 0) {
  let sum = 0;
  for (let j = 0; j < b.length; j++) sum += a[start + j] * b[j];
  return sum;
}

/** @param {Numbers} a @returns {number} its length */
export function norm(a) {
  return Math.sqrt(dot(a, a));
}

/**
 * F^T x of a matrix F (d, r).
 *
 * @param {Numbers} factor
 * @param {number} r columns
 * @param {Numbers} x (d,)
 * @returns {Float64Array} (r,)
 */
export function transposedTimes(factor, r, x) {
  const found = new Float64Array(r);
  for (let i = 0; i < x.length; i++) {
    if (x[i] === 0) continue;
    for (let j = 0; j < r; j++) found[j] += factor[i * r + j] * x[i];
  }
  return found;
}

/**
 * F y of a matrix F (d, r).
 *
 * @param {Numbers} factor
 * @param {Numbers} y (r,)
 * @returns {Float64Array} (d,)
 */
export function times(factor, y) {
  const r = y.length;
  return Float64Array.from({ length: factor.length / r }, (_, i) => dot(factor, y, i * r));
}

/**
 * Solve L y = x by substitution.
 *
 * @param {Numbers} lower L (d, d), lower triangular
 * @param {Numbers} x (d,)
 * @returns {Float64Array} y
 */
export function solveLower(lower, x) {
  const d = x.length, y = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    let rest = x[i];
    for (let j = 0; j < i; j++) rest -= lower[i * d + j] * y[j];
    y[i] = rest / lower[i * d + i];
  }
  return y;
}

/**
 * Solve S x = b for a symmetric, positive definite S.
 *
 * @param {number[][]} table S, (k, k)
 * @param {Numbers} b (k,)
 * @param {number} least pivots smaller than this share of their diagonal are none
 * @returns {{x: Float64Array} | {row: number}} the solution; or the first row that the rows before it determine
 */
export function solvePositive(table, b, least) {
  const k = table.length, lower = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = table[i][j];
      for (let m = 0; m < j; m++) rest -= lower[i * k + m] * lower[j * k + m];
      if (i === j) {
        if (!(rest > least * table[i][i])) return { row: i };
        lower[i * k + i] = Math.sqrt(rest);
      } else lower[i * k + j] = rest / lower[j * k + j];
    }
  }
  const x = solveLower(lower, b);
  for (let i = k - 1; i >= 0; i--) {
    for (let j = i + 1; j < k; j++) x[i] -= lower[j * k + i] * x[j];
    x[i] /= lower[i * k + i];
  }
  return { x };
}
