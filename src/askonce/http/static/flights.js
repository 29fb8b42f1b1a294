// Answers under way: how many wait for each, how far it is, and who was asked.

import { byId, keep, make, mark, part, say } from "./dom.js";
import { count, counted, duration } from "./format.js";

const SHOWN = 24;
const STATES = { "looking up": "looking it up", queued: "queued", asked: "asked", answering: "answering" };

export function flights({ parts }) {
  const { running, callers, groups, flights: list } = parts.flights;
  say(byId("flights-sum"), running ? `${counted(callers, "caller")} on ${counted(running, "answer")} under way` : "");
  keep(byId("flight-groups"), groups, ([upstream, model]) => `${upstream} ${model}`, chip, (element, [upstream, model, under, waiting]) => {
    say(element.children[0], `${upstream} · ${model}`);
    say(element.children[1], under === waiting ? count(under) : `${count(under)} for ${count(waiting)}`);
  });
  const shown = list.slice(0, SHOWN).sort((one, other) => one.number - other.number);
  keep(byId("flights"), shown, (one) => one.number, create, update);
  byId("flights-empty").hidden = running > 0;
}

const chip = () => make("li", { class: "chip" }, make("span"), make("b"));

function create() {
  return make(
    "li",
    { class: "flight" },
    make("span", { class: "callers" }, make("span", { class: "many" }), make("small")),
    make("span", { class: "what" }),
    make("span", { class: "how" }),
    make("span", { class: "text" }),
  );
}

function update(element, flight) {
  mark(element, "data-state", flight.state);
  say(part(element, "many"), count(flight.callers));
  say(part(element, "callers").lastChild, flight.callers === 1 ? "caller" : "callers");
  say(part(element, "what"), `${flight.feature} · ${flight.model}`);
  const more = [flight.upstream, flight.stream ? "stream" : "", flight.lane === "interactive" ? "" : flight.lane];
  if (flight.first_s !== null) more.push(`first word after ${duration(flight.first_s)}`);
  const how = [`${STATES[flight.state]} for ${duration(flight.age_s)}`, ...more.filter(Boolean)].join(" · ");
  say(part(element, "how"), how);
  mark(element, "title", `${flight.feature} · ${flight.model}\n${how}`);
  const text = part(element, "text");
  mark(text, "class", flight.text === null ? "text mark" : "text");
  say(text, flight.text ?? (flight.mark ? `#${flight.mark}` : "no text to show"));
}
