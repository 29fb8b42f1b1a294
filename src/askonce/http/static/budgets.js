// Error budgets: the promise, what was measured, how sure that is, and what finding out costs.

import { byId, keep, make, mark, part, say, style } from "./dom.js";
import { count, counted, money, percent } from "./format.js";

/** The gauge ends at so many budgets: what is beyond stands at its end. */
const SCALE = 3;

export function budgets({ parts }) {
  const { health, history } = parts;
  const { spent_today_nanousd: spent, daily_limit_nanousd: limit, waiting } = health.audits;
  say(byId("audits-sum"), `audits today ${money(spent)} of ${money(limit)}${waiting ? `, ${count(waiting)} waiting` : ""}`);
  const items = parts.budgets.map((one) => ({ ...one, cost: history.month.features[one.feature]?.audit?.[2] ?? 0 }));
  items.sort((one, other) => weight(other) - weight(one) || one.feature.localeCompare(other.feature));
  keep(byId("budgets"), items, (one) => one.feature, create, update);
}

/** What needs somebody's eye comes first, what is off last. */
function weight(one) {
  if (one.breached_at !== null) return 4;
  if (one.mode === "off") return 0;
  if (known(one) && one.estimate > one.budget) return 3;
  return one.labels ? 2 : 1;
}

/** Whether labels say anything of what is served now: there may be some, but none as sure as is needed now. */
const known = (one) => one.labels > 0 && (one.low > 0 || one.high < 1);

function create({ feature }) {
  return make(
    "li",
    { class: "budget" },
    make("div", { class: "line" }, make("h3", { text: feature }), make("span", { class: "chip state" })),
    make(
      "div",
      { class: "gauge", role: "meter", "aria-valuemin": 0, "aria-label": `Wrong among semantic hits of ${feature}` },
      make("i", { class: "within" }),
      make("i", { class: "range" }),
      make("i", { class: "limit" }),
      make("i", { class: "estimate" }),
    ),
    make("p", { class: "muted small said" }),
  );
}

function update(element, one) {
  const off = one.mode === "off";
  const most = Math.min(1, SCALE * one.budget);
  const place = (value) => `${((100 * Math.min(value, most)) / most).toFixed(2)}%`;
  const measured = known(one);
  const kept = one.breached_at === null ? (one.high > one.budget ? "unsure" : "") : "breached";
  mark(element, "class", `budget ${kept} ${off ? "off" : ""}`);
  style(part(element, "within"), "width", place(one.budget));
  style(part(element, "limit"), "left", place(one.budget));
  const range = part(element, "range");
  for (const name of ["range", "estimate"]) part(element, name).hidden = !measured;
  style(range, "left", place(one.low));
  style(range, "right", `${(100 - parseFloat(place(one.high))).toFixed(2)}%`);
  style(part(element, "estimate"), "left", place(one.estimate));
  const gauge = part(element, "gauge");
  mark(gauge, "aria-valuemax", most);
  mark(gauge, "aria-valuenow", measured ? Math.min(most, one.estimate) : 0);
  const [kind, word] = verdict(one);
  mark(part(element, "state"), "class", `chip state ${kind}`);
  say(part(element, "state"), word);
  const wrong = measured ? `${percent(one.estimate)} wrong (${percent(one.low)} to ${percent(one.high)})` : one.labels ? "what is served now isn't measured yet" : "not measured yet";
  const said = `${wrong}, promised ${percent(one.budget)} · ${count(one.hits)} of ${counted(one.requests, "request")} hit · ${counted(one.labels, "label")} · audits ${money(one.cost)} in 30 days`;
  mark(gauge, "aria-valuetext", said);
  say(part(element, "said"), said);
}

function verdict(one) {
  if (one.mode === "off") return ["", "semantic off"];
  if (one.breached_at !== null) return ["bad", "breached: serving is off"];
  if (one.mode === "shadow") return ["warn", "shadow: only looking"];
  if (one.threshold === null) return ["warn", "serving nothing yet"];
  return [known(one) && one.estimate > one.budget ? "warn" : "good", `serving from ${percent(one.threshold)} on`];
}
