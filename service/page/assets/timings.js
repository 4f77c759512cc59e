// Where the time of both requests went: a row a stage, a column a request.

import { element } from "./dom.js";
import { duration } from "./units.js";

/** `replies` by name, each { server, roundTrip } in milliseconds; stages only where the service reports them. */
export function drawTimings(table, read, replies) {
  const columns = Object.entries(replies).map(([name, { server, roundTrip }]) => [name, new Map([...server, ["round trip", roundTrip]])]);
  const stages = new Set(columns.flatMap(([, times]) => [...times.keys()]));
  table.replaceChildren(
    element("caption", {}, read),
    element("thead", {}, element("tr", {}, element("td"), ...columns.map(([name]) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...[...stages].map((stage) => row(stage, columns))),
  );
}

function row(stage, columns) {
  const cells = columns.map(([, times]) => element("td", {}, times.has(stage) ? duration(times.get(stage)) : "—"));
  return element("tr", {}, element("th", { scope: "row" }, stage), ...cells);
}
