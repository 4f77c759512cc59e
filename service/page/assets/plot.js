// Durations as horizontal bars on a logarithmic scale.

import { svg } from "./dom.js";
import { duration } from "./units.js";

const ROW = 58;
const BAR = 20;
const AXIS = 30;
const LABEL = 62; // room that a label of the axis needs
const RIGHT = 78; // room for the value beside the longest bar

/**
 * An SVG of `bars` ({ name, note, milliseconds, ours }), `width` CSS pixels wide.
 * The scale starts at the power of ten below the shortest bar, so that every bar has a length.
 */
export function logBars(bars, width) {
  const all = bars.map(({ milliseconds }) => milliseconds);
  const low = Math.ceil(Math.log10(Math.min(...all))) - 1;
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...all))));
  const x = (milliseconds) => ((Math.log10(milliseconds) - low) / (high - low)) * (width - RIGHT);
  const height = bars.length * ROW + AXIS;
  const description = bars.map(({ name, milliseconds }) => `${name}: ${duration(milliseconds)}`).join("; ");
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Latency on a logarithmic scale. ${description}` },
    ...decades(low, high, x, bars.length * ROW),
    ...bars.map((bar, row) => drawBar(bar, row * ROW, x(bar.milliseconds))),
  );
}

function decades(low, high, x, bottom) {
  const every = Math.ceil(LABEL / (x(10 ** (low + 1)) - x(10 ** low)));
  return Array.from({ length: high - low + 1 }, (_, step) => {
    const milliseconds = 10 ** (low + step);
    const at = x(milliseconds);
    const line = svg("line", { class: "grid", x1: at, x2: at, y1: 0, y2: bottom });
    const anchor = step === 0 ? "start" : "middle";
    const label = step % every ? "" : duration(milliseconds);
    return svg("g", {}, line, svg("text", { class: "soft", x: at, y: bottom + 18, "text-anchor": anchor }, label));
  });
}

function drawBar({ name, note, milliseconds, ours }, top, length) {
  const title = svg("text", { x: 0, y: top + 18, class: ours ? "strong" : "plain" }, name);
  if (note) title.append(svg("tspan", { class: "soft", dx: 8 }, note));
  return svg(
    "g",
    {},
    title,
    svg("rect", { class: ours ? "ours" : "theirs", x: 0, y: top + 26, width: length, height: BAR, rx: 4 }),
    svg("text", { class: "strong", x: length + 8, y: top + 26 + BAR / 2 + 5 }, duration(milliseconds)),
  );
}
