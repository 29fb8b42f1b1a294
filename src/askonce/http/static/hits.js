// The latest semantic hits: both questions side by side, how sure the match was, and whether it was right.

import { byId, keep, make, mark, part, say, style } from "./dom.js";
import { moment, percent } from "./format.js";

const SHOWN = 8;
const SUREST = 0.9999;
const NOT_KEPT = "Text not shown: its feature doesn't keep texts, or its answer is gone.";

export class Hits {
  constructor() {
    this.list = byId("hits");
    this.said = new Map();
    this.waiting = null;
    this.all = false;
    this.latest = [];
    byId("hits-all").addEventListener("click", () => {
      this.all = !this.all;
      this.show(this.latest);
    });
    for (const event of ["pointerleave", "focusout"]) this.list.addEventListener(event, () => setTimeout(() => this.catchUp(), 0));
  }

  /** Shows the latest; while somebody points at the list or is in it, nothing moves under their hands. */
  show(latest) {
    this.latest = latest;
    const hits = this.all ? latest : latest.slice(0, SHOWN);
    const toggle = byId("hits-all");
    toggle.hidden = latest.length <= SHOWN;
    say(toggle, this.all ? "Show fewer" : `Show all ${latest.length}`);
    mark(toggle, "aria-expanded", this.all);
    const busy = this.list.matches(":hover") || this.list.contains(document.activeElement);
    const shown = new Set([...this.list.children].map((element) => element.dataset.key));
    const held = busy && shown.size >= Math.min(hits.length, SHOWN);
    this.waiting = held ? latest : null;
    const fresh = hits.filter((hit) => !shown.has(key(hit))).length;
    say(byId("hits-note"), held && fresh ? `${fresh} more since` : "");
    const items = held ? hits.filter((hit) => shown.has(key(hit))) : hits;
    byId("hits-empty").hidden = hits.length > 0;
    keep(this.list, items, key, (hit) => this.create(hit), (element, hit) => this.update(element, hit));
  }

  catchUp() {
    if (this.waiting !== null) this.show(this.waiting);
  }

  forget() {
    this.list.replaceChildren();
    this.said.clear();
  }

  create(hit) {
    const verdict = (correct, text) => make("button", { type: "button", class: correct ? "right" : "wrong", text, onclick: () => this.judge(hit, correct) });
    return make(
      "li",
      { class: "hit" },
      make("div", { class: "pair" }, side("Asked", "asked"), side("Answered as", "original")),
      make(
        "div",
        { class: "foot" },
        make("span", { class: "confidence" }, make("span", { class: "meter", "aria-hidden": "true" }, make("i", { class: "sure" })), make("span", { class: "sureness" })),
        make("span", { class: "chip guards" }),
        make("span", { class: "chip where" }),
        make("span", { class: "chip audited" }),
        make("span", { class: "verdict" }, make("span", { class: "told", role: "status" }), verdict(true, "Right"), verdict(false, "Wrong")),
      ),
    );
  }

  update(element, hit) {
    compare(part(element, "asked"), part(element, "original"), hit);
    style(part(element, "sure"), "width", `${(100 * hit.confidence).toFixed(1)}%`);
    const needed = hit.threshold === null ? "" : `, now needed ${percent(hit.threshold)}`;
    say(part(element, "sureness"), `${surely(hit.confidence)} sure${needed}`);
    say(part(element, "guards"), hit.reason === "link" ? "known paraphrase" : "no guard objects");
    say(part(element, "where"), `${moment(hit.at)} · ${hit.feature} · ${hit.tenant} · ${hit.outcome}`);
    const audited = part(element, "audited");
    audited.hidden = hit.judged === null;
    say(audited, hit.judged ? "audited: right" : "audited: wrong");
    mark(audited, "class", `chip audited ${hit.judged ? "good" : "bad"}`);
    const told = hit.told ?? null;
    say(part(element, "told"), this.said.get(key(hit)) ?? (told === null ? "" : told ? "Judged right" : "Judged wrong, link cut"));
    for (const [name, word] of [["right", "Right"], ["wrong", "Wrong"]]) {
      const button = part(element, name);
      button.disabled = !hit.open || told !== null || this.said.has(key(hit));
      mark(button, "aria-label", `${word}: ${hit.asked ?? `the hit of ${moment(hit.at)}`}`);
    }
  }

  async judge(hit, correct) {
    this.tell(hit, "Recording…");
    try {
      const response = await fetch("/admin/feedback", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ request_id: hit.request_id, tenant: hit.tenant, correct }),
      });
      const said = await response.json();
      this.tell(hit, response.ok ? (correct ? "Judged right" : "Judged wrong, link cut") : said.error.message);
    } catch {
      this.said.delete(key(hit));
      this.tell(hit, null);
    }
  }

  tell(hit, text) {
    if (text !== null) this.said.set(key(hit), text);
    const element = [...this.list.children].find((one) => one.dataset.key === key(hit));
    if (element) {
      say(part(element, "told"), text ?? "The gateway can't be reached.");
      for (const name of ["right", "wrong"]) part(element, name).disabled = text !== null;
    }
  }
}

const key = (hit) => `${hit.tenant} ${hit.request_id} ${hit.at}`;
const surely = (confidence) => (confidence > SUREST ? `over ${percent(SUREST)}` : percent(confidence));
const side = (title, name) => make("div", { class: "side" }, make("span", { text: title }), make("p", { class: name }));

/** Both questions, with the words marked that only one of them has. */
function compare(left, right, hit) {
  const sides = [[left, hit.asked, hit.asked_mark, hit.original], [right, hit.original, hit.original_mark, hit.asked]];
  for (const [element, text, hint, other] of sides) {
    const now = JSON.stringify([text, hint, other]);
    if (element.shown === now) continue;
    element.shown = now;
    if (text === null) element.replaceChildren(make("span", { class: "mark", text: hint ? `#${hint} ` : "" }), make("span", { class: "muted small", text: NOT_KEPT }));
    else element.replaceChildren(...words(text, other));
  }
}

function words(text, other) {
  if (other === null) return [document.createTextNode(text)];
  const known = new Set(split(other).map(plain));
  return split(text).map((piece) => (plain(piece) && !known.has(plain(piece)) ? make("mark", { text: piece }) : document.createTextNode(piece)));
}

const split = (text) => text.match(/[\p{L}\p{N}'’]+|[^\p{L}\p{N}'’]+/gu) ?? [];
const plain = (piece) => (/[\p{L}\p{N}]/u.test(piece) ? piece.toLowerCase() : "");
