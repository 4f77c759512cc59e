// Numbers for people: three significant digits, and the unit that suits.

const STEPS = [
  [1000, "s", 1000],
  [1, "ms", 1],
  [0, "µs", 0.001],
];

/** Milliseconds as `310 µs`, `4.20 ms` or `1.24 s`. */
export function duration(milliseconds) {
  const [, unit, scale] = STEPS.find(([from]) => milliseconds >= from);
  return `${digits(milliseconds / scale)}\u202f${unit}`;
}

/** `1,234` or `0.0123`. */
export function digits(value) {
  return value.toLocaleString("en", value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

/** `0.61` or `−0.03`, with a minus sign and not a hyphen. */
export function cosine(score) {
  return score.toFixed(2).replace("-", "−");
}

export function percent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}

export function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
