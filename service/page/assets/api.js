// Requests to the service. Paths are relative, so that the page also works below a prefix of a reverse proxy.

const KEY = "cmow-api-key";

// Entries are read at once; where the buffer is full the browser would drop new ones.
performance.addEventListener("resourcetimingbufferfull", () => performance.clearResourceTimings());

/** What the service answered when it was not a success: its type, message and field, as in `sentence2[3]`. */
export class ServiceError extends Error {
  constructor(status, { type, message, param }) {
    super(message);
    Object.assign(this, { status, type, param });
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY));
}

/** The answer to a GET, or a ServiceError. */
export async function get(path) {
  return (await send(path, { method: "GET" })).body;
}

/** The answer to a POST with the milliseconds it took, or a ServiceError: { body, roundTrip, server }. */
export async function post(path, payload, signal) {
  return send(path, {
    method: "POST",
    body: JSON.stringify(payload),
    headers: { "content-type": "application/json" },
    signal,
  });
}

async function send(path, options) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
  const start = performance.now();
  const reply = await fetch(path, { ...options, headers, cache: "no-store" }).catch(explainNetwork);
  const body = await reply.json().catch(() => null);
  const roundTrip = onTheWire(reply.url) ?? performance.now() - start;
  if (!reply.ok || body === null) throw new ServiceError(reply.status, describe(reply, body));
  return { body, roundTrip, server: parseServerTiming(reply.headers.get("server-timing")) };
}

/** Milliseconds from the request to the last byte as the browser's network saw them, without the page's own work. */
function onTheWire(url) {
  const entry = performance.getEntriesByName(url, "resource").at(-1);
  return entry && entry.responseEnd - entry.requestStart;
}

function explainNetwork(error) {
  if (error.name === "AbortError") throw error;
  throw new ServiceError(0, { type: "unreachable", message: "The service cannot be reached.", param: null });
}

function describe(reply, body) {
  const wait = reply.headers.get("retry-after");
  const error = body?.error ?? { type: "http_error", message: `expected JSON, got status ${reply.status}`, param: null };
  return wait ? { ...error, message: `${error.message} (try again in ${wait} s)` } : error;
}

/** `a;dur=0.1, b;dur=2` to [["a", 0.1], ["b", 2]], in milliseconds. */
export function parseServerTiming(header) {
  return (header ?? "").split(",").flatMap((entry) => {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim());
    const duration = parameters.find((parameter) => parameter.startsWith("dur="));
    return name && duration ? [[name, Number(duration.slice(4))]] : [];
  });
}
