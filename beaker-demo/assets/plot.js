// Two plots, drawn as SVG from numbers. Widths are those of the page, so that text keeps its size.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 52;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 8;
const HEIGHT = 210;

/** Microseconds as a person reads them. */
export function duration(micros) {
  if (micros === 0) return "0";
  if (micros < 1000) return `${micros} µs`;
  if (micros < 10_000) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 1_000_000) return `${Math.round(micros / 1000)} ms`;
  return `${(micros / 1_000_000).toFixed(2)} s`;
}

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function canvas(into) {
  const width = Math.max(240, into.clientWidth);
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
  into.replaceChildren(svg);
  return { svg, width };
}

/** The shape of a sample: its kind is told by form as well as by colour. */
function mark(source, x, y) {
  const shape = {
    stale: () => element("rect", { x: x - 3.5, y: y - 3.5, width: 7, height: 7 }),
    made: () => element("path", { d: `M${x} ${y - 5}l5 9h-10z` }),
    joined: () => element("path", { d: `M${x} ${y - 5}l5 5l-5 5l-5 -5z` }),
  }[source];
  const drawn = shape ? shape() : element("circle", { cx: x, cy: y, r: 3.5 });
  drawn.setAttribute("class", source);
  return drawn;
}

/** Samples in their order, on a scale of powers of ten from 10 µs to 10 s. */
export function samples(into, list) {
  const { svg, width } = canvas(into);
  const inner = HEIGHT - TOP - BOTTOM;
  const y = (micros) => {
    const power = Math.min(7, Math.max(1, Math.log10(Math.max(1, micros))));
    return TOP + inner * (1 - (power - 1) / 6);
  };
  for (let power = 1; power <= 7; power++) {
    const at = y(10 ** power);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
    svg.append(element("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, tick(power)));
  }
  const room = Math.floor((width - LEFT - RIGHT - 12) / 9);
  const shown = list.slice(-room);
  shown.forEach((sample, at) => svg.append(mark(sample.source, LEFT + 10 + at * 9, y(sample.micros))));
}

function tick(power) {
  return ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"][power - 1];
}

/** Many times, the quickest first, as a line; with a level at p50 and p99. */
export function ranked(into, micros, quantiles) {
  const { svg, width } = canvas(into);
  const inner = HEIGHT - TOP - BOTTOM;
  const most = Math.max(1, micros[micros.length - 1]);
  const x = (at) => LEFT + ((width - LEFT - RIGHT) * at) / Math.max(1, micros.length - 1);
  const y = (value) => TOP + inner * (1 - value / most);
  for (let part = 0; part <= 4; part++) {
    const at = y((most * part) / 4);
    const text = duration(Math.round((most * part) / 4));
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
    svg.append(element("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, text));
  }
  const points = micros.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`);
  svg.append(element("polyline", { class: "line", points: points.join(" ") }));
  if (quantiles) {
    const at = y(quantiles.p50_micros);
    svg.append(element("line", { class: "level", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
  }
}
