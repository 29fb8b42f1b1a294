// Latency by outcome: the figures, and how far they spread.

import { byId, keep, make, part, say, style } from "./dom.js";
import { duration } from "./format.js";
import { present, RANGES, seriesClass, word } from "./outcomes.js";

const LEAST = Math.log(0.0001);
const MOST = Math.log(100);

export function latency({ range, parts }) {
  const figures = range === "now" ? parts.now.latency : parts.history[range].latency;
  say(byId("latency-range"), RANGES[range]);
  const rows = present([figures]).map((name) => ({ name, figures: figures[name] }));
  keep(byId("latency-rows"), rows, (row) => row.name, create, update);
  byId("latency-empty").hidden = rows.length > 0;
}

function create({ name }) {
  const number = (which) => make("td", { class: `number ${which}` });
  return make(
    "tr",
    { class: seriesClass(name) },
    make("th", { scope: "row" }, make("span", { class: "named" }, make("i", { class: "swatch" }), make("span", { text: word(name) }))),
    number("half"),
    number("most"),
    number("all"),
    make("td", { "aria-hidden": "true" }, make("div", { class: "spread" }, make("i"), make("b"))),
  );
}

function update(row, { figures: [, half, most, all] }) {
  say(part(row, "half"), duration(half));
  say(part(row, "most"), duration(most));
  say(part(row, "all"), duration(all));
  const [bar, tick] = part(row, "spread").children;
  style(bar, "left", `${place(half)}%`);
  style(bar, "width", `${(place(all) - place(half)).toFixed(1)}%`);
  style(tick, "left", `${place(most)}%`);
}

/** Where some seconds are on the scale, in per cent. */
function place(seconds) {
  const share = (Math.log(seconds) - LEAST) / (MOST - LEAST);
  return (100 * Math.min(1, Math.max(0, share))).toFixed(1);
}
