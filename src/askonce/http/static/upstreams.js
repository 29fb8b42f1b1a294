// Who answers: whether they can be reached, what they bear, and what waits for them.

import { byId, keep, make, mark, part, say } from "./dom.js";
import { count, counted, duration, share, span } from "./format.js";

const STATES = { closed: ["good", "healthy"], "half-open": ["warn", "trying again"], half_open: ["warn", "trying again"], open: ["bad", "left alone"] };

export function upstreams({ parts }) {
  keep(byId("upstreams"), parts.upstreams, (one) => one.name, create, update);
}

function create({ name }) {
  return make(
    "li",
    { class: "upstream" },
    make(
      "div",
      { class: "line" },
      make("h3", {}, make("i", { class: "lamp", "aria-hidden": "true" }), make("span", { text: name }), make("span", { class: "chip state" })),
      make("span", { class: "muted small calls" }),
    ),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Models of ${name}` },
      make("table", {},
        make("thead", {}, make("tr", {}, ...["Model", "Under way", "Limit", "Waiting", "429s"].map((text, place) => make("th", { scope: "col", class: place ? "number" : "", text })))),
        make("tbody", { class: "models" }))),
  );
}

function update(element, one) {
  mark(element, "data-state", one.state);
  const [kind, word] = STATES[one.state] ?? ["", one.state];
  const probe = one.state === "open" ? `, tried again in ${span(one.probes_in_s)}` : "";
  mark(part(element, "state"), "class", `chip state ${kind}`);
  say(part(element, "state"), word + probe);
  const mean = one.mean_s === null ? "" : ` · ${duration(one.mean_s)} on average`;
  say(part(element, "calls"), one.calls ? `${counted(one.calls, "call")} · ${share(one.failures, one.calls)} failed${mean}` : "no calls");
  keep(part(element, "models"), one.models, (model) => model.model, line, (row, model) => {
    const left = model.state === "closed" ? "" : ` (${(STATES[model.state] ?? ["", model.state])[1]})`;
    say(row.children[0], model.model + left);
    say(row.children[1], count(model.in_use));
    say(row.children[2], model.limit === null ? "–" : count(model.limit));
    say(row.children[3], count(model.queued));
    say(row.children[4], count(model.refused_429));
  });
}

const line = () => make("tr", {}, make("th", { scope: "row" }), ...Array.from({ length: 4 }, () => make("td", { class: "number" })));
