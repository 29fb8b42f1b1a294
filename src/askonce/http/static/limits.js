// What tenants and features may use, and how much of it they do; the fullest first.

import { byId, keep, make, mark, part, say, style } from "./dom.js";
import { count, money, percent, span } from "./format.js";

const UNITS = { requests_per_minute: "requests a minute", tokens_per_minute: "tokens a minute", usd_per_day: "a day", usd_per_month: "a month" };
const MONEY = /^usd/;

export function limits({ parts }) {
  byId("limits-card").hidden = parts.limits.length === 0;
  keep(byId("limits"), parts.limits, (one) => `${one.tenant} ${one.feature} ${one.limit}`, create, update);
}

/** `tenant` "" stands for all tenants together; `used` null for whichever credential has used most. */
function whose({ tenant, feature, used }) {
  const who = tenant === "" ? "all tenants" : used === null ? "any one credential" : tenant;
  return feature === "" ? who : `${who} in ${feature}`;
}

function create(one) {
  return make(
    "li",
    { class: "allowance" },
    make("span", { class: "whose", text: whose(one), title: whose(one) }),
    make("span", { class: "used" }),
    make("div", { class: "meter", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": `${whose(one)}, ${UNITS[one.limit] ?? one.limit}` }, make("i", { class: "full" })),
  );
}

function update(element, one) {
  const over = one.ratio >= 1;
  const warned = !over && one.used !== null && one.soft !== null && one.used >= one.soft;
  mark(element, "class", `allowance ${over && one.hard !== null ? "bad" : over || warned ? "warn" : ""}`);
  style(part(element, "full"), "width", percentOf(one.ratio));
  const said = amount(one);
  say(part(element, "used"), said);
  const meter = part(element, "meter");
  mark(meter, "aria-valuenow", Math.min(100, Math.round(100 * one.ratio)));
  mark(meter, "aria-valuetext", said);
}

const percentOf = (ratio) => `${(100 * Math.min(1, ratio)).toFixed(1)}%`;

function amount({ limit, used, soft, hard, ratio, resets_at: resetsAt }) {
  const unit = UNITS[limit] ?? limit;
  if (used === null) return `${percent(ratio)} of ${MONEY.test(limit) ? `dollars ${unit}` : unit}`;
  const told = MONEY.test(limit) ? money : count;
  const left = MONEY.test(limit) ? `, anew in ${span(Math.max(0, resetsAt - Date.now() / 1000))}` : "";
  return `${told(used)} of ${told(hard ?? soft)} ${unit}${hard === null ? " (soft)" : ""}${left}`;
}
