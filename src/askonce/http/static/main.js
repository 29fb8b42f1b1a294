// The page: signs in, follows the gateway, and shows what it hears of, a frame at a time.

import { byId, say, mark } from "./dom.js";
import { Door } from "./door.js";
import { follow } from "./stream.js";
import { showTheme } from "./theme.js";
import { tiles } from "./tiles.js";
import { Mix } from "./mix.js";
import { latency } from "./latency.js";
import { Features } from "./features.js";
import { flights } from "./flights.js";
import { budgets } from "./budgets.js";
import { limits } from "./limits.js";
import { Hits } from "./hits.js";
import { upstreams } from "./upstreams.js";
import { health } from "./health.js";

const RANGE = "askonce-range";
const state = { range: "now", parts: null, pulse: [] };
const mix = new Mix();
const features = new Features(() => show(["features"]));
const hits = new Hits();

/** What is shown, by the parts of the message that it depends on. */
const panels = {
  tiles: [tiles, ["now", "history", "flights", "series"]],
  mix: [() => mix.show(state), ["series", "history"]],
  latency: [latency, ["now", "history"]],
  features: [() => features.show(state), ["now", "history"]],
  flights: [flights, ["flights"]],
  budgets: [budgets, ["budgets", "history", "health"]],
  limits: [limits, ["limits"]],
  hits: [() => hits.show(state.parts.hits), ["hits"]],
  upstreams: [upstreams, ["upstreams"]],
  health: [health, ["health", "history", "now"]],
};
const due = new Set();

/** Has panels shown with the next frame. */
function show(names) {
  if (state.parts === null) return;
  if (!due.size) requestAnimationFrame(paint);
  for (const name of names) due.add(name);
}

function paint() {
  const names = [...due];
  due.clear();
  for (const name of names) panels[name][0](state);
}

/** A message has come: `whole` has all parts, `update` those that have changed, and the series' end. */
function hear(kind, parts) {
  const came = kind === "whole" ? parts : { ...parts, series: extended(state.parts.series, parts.tail) };
  state.parts = { ...state.parts, ...came };
  state.pulse.push([performance.now(), state.parts.series]);
  if (state.pulse.length > 60) state.pulse.shift();
  const names = Object.keys(panels).filter((name) => panels[name][1].some((part) => part in came));
  show(names);
}

/** The series with its newest slots replaced or added, as long as before. */
function extended(series, tail) {
  const gone = tail.number - series.number;
  const moved = gone > 0 ? [...series.outcomes.slice(gone), ...Array(gone).fill({})] : [...series.outcomes];
  moved.splice(moved.length - tail.outcomes.length, tail.outcomes.length, ...tail.outcomes);
  return { ...series, number: tail.number, outcomes: moved };
}

function stand(kind, text) {
  mark(byId("status"), "data-state", kind);
  say(byId("status-text"), text);
}

function begin() {
  byId("dashboard").hidden = false;
  byId("sign-out").hidden = false;
  const stop = follow({ hear, stand, lost: (reason) => { leave(); door.open(reason); } });
  const leave = () => {
    stop();
    state.parts = null;
    state.pulse = [];
    hits.forget();
    byId("dashboard").hidden = true;
    byId("sign-out").hidden = true;
    stand("off", "");
  };
  byId("sign-out").onclick = async () => {
    leave();
    await door.leave();
  };
}

const door = new Door(begin);
showTheme();
const kept = localStorage.getItem(RANGE);
for (const input of byId("ranges").querySelectorAll("input")) {
  if (input.value === kept) {
    input.checked = true;
    state.range = kept;
  }
  input.addEventListener("change", () => {
    state.range = input.value;
    localStorage.setItem(RANGE, input.value);
    show(["mix", "latency", "features"]);
  });
}
new ResizeObserver(() => show(["mix"])).observe(byId("mix-chart"));
byId("mix-details").addEventListener("toggle", () => show(["mix"]));
door.enter();
