// Store, books and the semantic tier, and what somebody should know of.

import { byId, keep, make, mark, say } from "./dom.js";
import { bytes, count, counted, money } from "./format.js";

export function health({ parts }) {
  const { store, ledger, semantic, version, status } = parts.health;
  say(byId("version"), `version ${version}`);
  const facts = [
    ["Gateway", status === "ok" ? "healthy" : status, status === "ok" ? "" : "bad"],
    ["Answers stored", count(store.entries), ""],
    ["In memory", bytes(store.memory_bytes), ""],
    ["On disk", store.disk_bytes ? bytes(store.disk_bytes) : "–", ""],
    ["Writes waiting", count(store.pending_writes), ""],
    ["Writes lost", count(store.lost_writes), store.lost_writes ? "bad" : ""],
    ["Embedder", semantic.embedder === "none" ? "none" : semantic.state, semantic.state === "failed" ? "bad" : ""],
    ["Questions findable", count(semantic.questions ?? 0), ""],
    ["Books", ...books(ledger, parts.history)],
    ["Prices as of", ledger.prices_as_of || "–", ""],
    ["Without a known price, 30 d", count(parts.history.month.unpriced), parts.history.month.unpriced ? "warn" : ""],
    ["Unsettled, 30 d", unsettled(parts.history.month), parts.history.month.unsettled ? "warn" : ""],
  ];
  keep(byId("facts"), facts.flatMap(([name, value, kind]) => [["dt", name, name, ""], ["dd", name, value, kind]]), ([tag, name]) => tag + name, ([tag]) => make(tag), (element, [, , text, kind]) => {
    say(element, text);
    mark(element, "class", kind || null);
  });
  keep(byId("notices"), notices(parts), (one) => one.text, (one) => make("p", { class: `notice ${one.bad ? "bad" : ""}`, text: one.text }), () => {});
}

function books(ledger, history) {
  if (history.problem) return ["can't be read", "bad"];
  if (!ledger.recording) return ["not kept", "warn"];
  return ledger.durable ? ["kept", ""] : [ledger.detail || "in memory alone", "warn"];
}

const unsettled = (sums) => (sums.unsettled ? `${counted(sums.unsettled, "call")}, about ${money(sums.unsettled_nanousd)}` : "none");

function notices({ health: { store, semantic, status }, history, budgets, upstreams, now }) {
  const found = [];
  for (const one of budgets.filter((budget) => budget.breached_at !== null)) {
    found.push({ bad: true, text: `${one.feature}: too many semantic hits were wrong. Serving them is off until the budget is kept again, or somebody resumes it.` });
  }
  for (const one of upstreams.filter((upstream) => upstream.state === "open")) {
    found.push({ bad: true, text: `${one.name} fails: it is left alone and tried again from time to time.` });
  }
  if (status !== "ok") found.push({ bad: true, text: `Answers don't reach the disk: ${store.detail || "see the log"}.` });
  if (semantic.state === "failed") found.push({ bad: true, text: `The embedder failed, so nothing is matched by meaning: ${semantic.detail}` });
  if (history.problem) found.push({ bad: true, text: `The books can't be read; figures of today and 30 days are old. ${history.problem}` });
  if (now.unpriced) found.push({ bad: false, text: `Some answers are of models without a known price: they count nowhere as money. Set prices in the configuration.` });
  return found;
}
