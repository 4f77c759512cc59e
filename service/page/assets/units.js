// Numbers for people: two or three significant digits, and the unit that suits.

const WHOLE = { maximumFractionDigits: 0 };
const THREE = { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };

/** Milliseconds as `310 µs`, `4.20 ms` or `1.24 s`. */
export function duration(milliseconds) {
  if (milliseconds < 0.9995) return `${number(1000 * milliseconds, WHOLE)}\u202fµs`;
  if (milliseconds < 999.5) return `${number(milliseconds, THREE)}\u202fms`;
  return `${number(milliseconds / 1000, THREE)}\u202fs`;
}

/** `1,234`, `57` or `0.0123`. */
export function digits(value) {
  return number(value, value >= 10 ? WHOLE : { maximumSignificantDigits: 2 });
}

/** `0.61` or `−0.03`, with a minus sign and not a hyphen; no `−0.00`. */
export function cosine(score) {
  return score.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−");
}

export function percent(share) {
  return `${Math.round(100 * share)}\u202f%`;
}

export function plural(count, noun) {
  return `${number(count, WHOLE)} ${noun}${count === 1 ? "" : "s"}`;
}

function number(value, format) {
  return value.toLocaleString("en", format);
}
