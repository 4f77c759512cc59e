// Durations as horizontal bars to scale: twice the time is twice the length.

import { svg } from "./dom.js";
import { duration } from "./units.js";

const ROW = 58;
const BAR = 20;
const RIGHT = 84; // room for the value beside the longest bar
const SHORTEST = 2; // pixels, below which a bar would not be seen

/** An SVG of `bars` ({ name, note, milliseconds, ours }), `width` CSS pixels wide. */
export function drawBars(bars, width) {
  const perMillisecond = (width - RIGHT) / Math.max(...bars.map(({ milliseconds }) => milliseconds));
  const description = bars.map(({ name, milliseconds }) => `${name}: ${duration(milliseconds)}`).join("; ");
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${bars.length * ROW}`, role: "img", "aria-label": `Latency. ${description}` },
    ...bars.map((bar, row) => drawBar(bar, row * ROW, Math.max(SHORTEST, bar.milliseconds * perMillisecond))),
  );
}

function drawBar({ name, note, milliseconds, ours }, top, length) {
  const title = svg("text", { x: 0, y: top + 18, class: ours ? "strong" : "plain" }, name);
  title.append(svg("tspan", { class: "soft", dx: 8 }, note));
  return svg(
    "g",
    {},
    title,
    svg("rect", { class: ours ? "ours" : "theirs", x: 0, y: top + 26, width: length, height: BAR, rx: Math.min(4, length / 2) }),
    svg("text", { class: "strong", x: length + 8, y: top + 26 + BAR / 2 + 5 }, duration(milliseconds)),
  );
}
