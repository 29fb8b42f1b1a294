// The table of features: requests, hit rates by layer, money; sorted by whichever column is asked for.

import { byId, keep, make, mark, part, say, style } from "./dom.js";
import { count, money, share } from "./format.js";
import { OUTCOMES, RANGES, seriesClass, totals } from "./outcomes.js";

const COLUMNS = [
  ["name", "Feature", "text"],
  ["requests", "Requests", "number"],
  ["exact", "Exact", "number"],
  ["inflight", "In flight", "number"],
  ["semantic", "Semantic", "number"],
  ["paid", "Asked", "number"],
  ["refused", "Refused", "number"],
  ["spent", "Spent", "number"],
  ["saved", "Saved", "number"],
];
const TOTAL = "All";
const LEAST_SHOWN = 0.001;

export class Features {
  /** `changed` is called when another order is asked for. */
  constructor(changed) {
    this.by = "saved";
    this.down = true;
    this.changed = changed;
    this.headings = COLUMNS.map(([key, text, kind]) => {
      const button = make("button", { type: "button", text, onclick: () => this.sort(key) });
      return make("th", { scope: "col", class: kind }, button);
    });
    this.headings.splice(1, 0, make("th", { scope: "col", class: "mix", "aria-hidden": "true", text: "Outcomes" }));
    this.body = make("tbody");
    byId("features").append(make("thead", {}, make("tr", {}, ...this.headings)), this.body);
  }

  sort(key) {
    this.down = this.by === key ? !this.down : key !== "name";
    this.by = key;
    this.changed();
  }

  show({ range, parts }) {
    const { features, shadowed } = range === "now" ? parts.now : parts.history[range];
    say(byId("features-range"), RANGES[range]);
    const rows = Object.entries(features).map(([name, outcomes]) => row(name, outcomes, shadowed[name] ?? 0));
    rows.sort((one, other) => this.order(one, other));
    if (rows.length > 1) rows.push({ ...row(TOTAL, totals(features), 0), key: "" });
    const sorted = COLUMNS.map(([key]) => (key === this.by ? (this.down ? "descending" : "ascending") : null));
    sorted.splice(1, 0, null);
    this.headings.forEach((heading, place) => mark(heading, "aria-sort", sorted[place]));
    keep(this.body, rows, (one) => one.key, create, update);
    byId("features-empty").hidden = rows.length > 0;
  }

  order(one, other) {
    const way = this.down ? -1 : 1;
    const [left, right] = [one.sort[this.by], other.sort[this.by]];
    const first = typeof left === "string" ? left.localeCompare(right) : left - right;
    return way * first || one.name.localeCompare(other.name);
  }
}

/** `shadowed`: requests that a semantic hit would have answered, had the feature served it. */
function row(name, outcomes, shadowed) {
  const of = (outcome) => outcomes[outcome]?.[0] ?? 0;
  const requests = Object.values(outcomes).reduce((all, values) => all + values[0], 0);
  const counts = {
    exact: of("exact"),
    inflight: of("joined"),
    semantic: of("semantic") + of("semantic-joined"),
    paid: of("fresh") + of("bypass") + of("batch"),
    refused: of("refused"),
  };
  const saved = Object.values(outcomes).reduce((all, values) => all + values[1], 0);
  const spent = Object.values(outcomes).reduce((all, values) => all + values[2], 0);
  const rates = Object.fromEntries(Object.entries(counts).map(([key, value]) => [key, requests ? value / requests : 0]));
  return { key: `feature ${name}`, name, outcomes, requests, counts, shadowed, saved, spent, sort: { name, requests, saved, spent, ...rates } };
}

function create({ key, name }) {
  const cells = COLUMNS.slice(1).map(([column]) => make("td", { class: `number ${column} ${column === "saved" ? "strong" : ""}` }));
  return make(
    "tr",
    { class: key ? "" : "total" },
    make("th", { scope: "row", title: name, text: name }),
    make("td", { class: "mix", "aria-hidden": "true" }, make("div", { class: "split" })),
    ...cells,
  );
}

function update(element, { outcomes, requests, counts, shadowed, saved, spent }) {
  const named = OUTCOMES.filter((outcome) => outcomes[outcome]?.[0]);
  keep(part(element, "split"), named, (outcome) => outcome, (outcome) => make("i", { class: `fill ${seriesClass(outcome)}` }), (bar, outcome) => {
    style(bar, "width", `${((100 * outcomes[outcome][0]) / requests).toFixed(1)}%`);
  });
  say(part(element, "requests"), count(requests));
  for (const [key, value] of Object.entries(counts)) say(part(element, key), share(value, requests));
  if (shadowed >= LEAST_SHOWN * requests && shadowed) say(part(element, "semantic"), `${share(counts.semantic, requests)} (${share(shadowed, requests)} in shadow)`);
  say(part(element, "spent"), money(spent));
  say(part(element, "saved"), money(saved));
}
