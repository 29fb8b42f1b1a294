// The figures at the top: what was saved, how, and what is going on.

import { byId, draw, keep, make, mark, part, say, style } from "./dom.js";
import { count, counted, money, rate, share } from "./format.js";
import { LAYERS, isFree, seriesClass, totals } from "./outcomes.js";

const RATE_S = 60;

export function tiles({ parts }) {
  const { now, history, flights, series } = parts;
  const live = totals(now.features);
  const saved = sum(now.layers);
  const windowS = series.slot_s * series.outcomes.length;
  const rates = perSecond(series);
  const recent = rates.slice(-RATE_S / series.slot_s - 1, -1);
  const current = recent.reduce((all, one) => all + one, 0) / Math.max(1, recent.length);
  const items = [
    period("Saved today (UTC)", history.today, history.read),
    period("Saved in 30 days", history.month, history.read),
    {
      name: "Saved in 15 min",
      kind: "saved",
      value: money(saved),
      note: `${money((saved / windowS) * 3600)} an hour`,
      split: now.layers,
    },
    {
      name: "Answered without a call",
      value: share(free(live), answered(live)),
      note: `of ${count(answered(live))} in 15 min`,
      rates: null,
    },
    { name: "Requests a second", value: rate(current), note: "last minute", rates },
    {
      name: "In flight",
      value: count(flights.running),
      note: `${counted(flights.callers, "caller")} waiting`,
    },
  ];
  keep(byId("tiles"), items, (item) => item.name, create, update);
}

/** Nothing is known of a period before the books have been read: that is no nought. */
function period(name, sums, read) {
  const saved = sum(sums.layers);
  const spent = sum(Object.values(totals(sums.features)).map((values) => values[2]));
  const net = saved - sums.audits_nanousd;
  return {
    name,
    kind: "saved",
    value: read ? money(saved) : "…",
    note: read ? `${money(net)} net of audits\n${money(spent)} spent` : "books not read yet",
    split: sums.layers,
  };
}

function create(item) {
  return make(
    "div",
    { class: `card tile ${item.kind ?? ""}` },
    make("span", { class: "name", text: item.name }),
    make("span", { class: "value" }),
    item.split ? make("span", { class: "split", role: "img" }) : null,
    item.rates ? draw("svg", { class: "spark", viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true" }, draw("path")) : null,
    make("span", { class: "note" }),
  );
}

function update(element, item) {
  say(part(element, "value"), item.value);
  say(part(element, "note"), item.note);
  if (item.split) showSplit(part(element, "split"), item.split);
  if (item.rates) mark(part(element, "spark").firstChild, "d", line(item.rates.slice(0, -1)));
}

function showSplit(element, layers) {
  const all = sum(layers);
  const named = LAYERS.filter((layer) => layers[layer]);
  keep(element, named, (layer) => layer, (layer) => make("i", { class: `fill ${seriesClass(layer)}` }), (bar, layer) => {
    style(bar, "width", `${((100 * layers[layer]) / all).toFixed(1)}%`);
  });
  const said = named.map((layer) => `${layer} ${money(layers[layer])}`).join(", ");
  mark(element, "aria-label", said ? `Saved by: ${said}` : "Nothing saved");
  mark(element, "title", said);
}

function line(values) {
  const top = Math.max(...values, 1e-9);
  const step = 100 / Math.max(1, values.length - 1);
  return values.map((value, place) => `${place ? "L" : "M"}${(place * step).toFixed(1)} ${(25 - (24 * value) / top).toFixed(1)}`).join("");
}

const perSecond = ({ outcomes, slot_s: slotS }) => outcomes.map((slot) => sum(slot) / slotS);
const sum = (values) => Object.values(values).reduce((all, one) => all + one, 0);
const free = (sums) => sum(Object.entries(sums).map(([name, values]) => (isFree(name) ? values[0] : 0)));
const answered = (sums) => sum(Object.entries(sums).map(([name, values]) => (name === "refused" ? 0 : values[0])));
