// Requests by outcome over time: stacked areas, a legend that tells the figures under the pointer, and a table.

import { byId, draw, keep, make, mark, say } from "./dom.js";
import { compact, count, counted, day, moment, rate, share, time } from "./format.js";
import { present, seriesClass, word } from "./outcomes.js";

const MARGIN = { left: 44, right: 8, top: 8, bottom: 22 };
const TABLE_ROWS = 30;
const LABEL_WIDTH = 84;

export class Mix {
  constructor() {
    this.frame = byId("mix-chart");
    this.svg = draw("svg", { role: "img", "aria-labelledby": "mix-title", "aria-describedby": "mix-legend" });
    this.grid = draw("g");
    this.areas = draw("g");
    this.cursor = draw("line", { class: "cursor", visibility: "hidden" });
    this.svg.append(this.grid, this.areas, this.cursor);
    this.none = make("p", { class: "none", text: "No requests in this time.", hidden: true });
    this.frame.append(this.svg, this.none);
    this.at = null;
    this.frame.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.frame.addEventListener("pointerleave", () => this.point(null));
  }

  show(state) {
    this.data = table(state);
    this.names = present(this.data.rows);
    this.width = this.frame.clientWidth - MARGIN.left - MARGIN.right;
    this.height = this.frame.clientHeight - MARGIN.top - MARGIN.bottom;
    const sums = this.data.rows.map((row) => this.names.reduce((all, name) => all + (row[name] ?? 0), 0));
    this.none.hidden = this.names.length > 0;
    say(this.none, this.data.ever ? "No requests in this time." : `No requests yet. Their base_url: ${location.origin}/v1`);
    this.scale = scale(Math.max(...sums, 0) / this.data.unit);
    say(byId("mix-unit"), this.data.per);
    this.drawGrid();
    this.drawAreas();
    this.tell();
    if (byId("mix-details").open) this.drawTable();
  }

  x(place) {
    return MARGIN.left + (this.width * place) / Math.max(1, this.data.rows.length - 1);
  }

  y(value) {
    return MARGIN.top + this.height * (1 - value / this.data.unit / this.scale.top);
  }

  drawGrid() {
    const { top, step } = this.scale;
    const lines = [];
    for (let value = 0; value <= top + step / 2; value += step) {
      const y = Math.round(this.y(value * this.data.unit)) + 0.5;
      lines.push({ key: `y${lines.length}`, x1: MARGIN.left, x2: MARGIN.left + this.width, y, x: MARGIN.left - 8, ty: y + 4, anchor: "end", text: compact(value) });
    }
    const rows = this.data.rows.length;
    const apart = this.data.steps.find((step) => (this.width * step) / rows >= LABEL_WIDTH) ?? rows - 1;
    for (let place = rows - 1; place >= 0; place -= apart) {
      const anchor = place === rows - 1 ? "end" : this.x(place) < LABEL_WIDTH / 2 + MARGIN.left ? "start" : "middle";
      lines.push({ key: `x${place}`, x: this.x(place), ty: MARGIN.top + this.height + 17, anchor, text: this.data.label(place) });
    }
    keep(this.grid, lines, (line) => line.key, () => draw("g", {}, draw("line", { class: "grid" }), draw("text")), (group, line) => {
      const [rule, text] = group.children;
      if (line.y === undefined) mark(rule, "visibility", "hidden");
      else for (const [name, value] of [["x1", line.x1], ["x2", line.x2], ["y1", line.y], ["y2", line.y]]) mark(rule, name, value);
      mark(text, "x", line.x);
      mark(text, "y", line.ty);
      mark(text, "text-anchor", line.anchor);
      say(text, line.text);
    });
  }

  drawAreas() {
    const floor = new Float64Array(this.data.rows.length);
    const areas = this.names.map((name) => {
      const lower = [];
      const upper = [];
      this.data.rows.forEach((row, place) => {
        const x = this.x(place).toFixed(1);
        lower.push(`${x} ${this.y(floor[place]).toFixed(1)}`);
        floor[place] += row[name] ?? 0;
        upper.push(`${x} ${this.y(floor[place]).toFixed(1)}`);
      });
      return { name, path: `M${upper.join("L")}L${lower.reverse().join("L")}Z` };
    });
    keep(this.areas, areas, (area) => area.name, (area) => draw("path", { class: `area ${seriesClass(area.name)}` }), (path, area) => mark(path, "d", area.path));
  }

  point(clientX) {
    if (this.data === undefined) return;
    const place = clientX === null ? null : Math.round(((clientX - this.frame.getBoundingClientRect().left - MARGIN.left) / this.width) * (this.data.rows.length - 1));
    this.at = place === null || place < 0 || place >= this.data.rows.length ? null : place;
    this.tell();
  }

  /** The legend: the whole range's figures, or those under the pointer. */
  tell() {
    const at = this.at !== null && this.at < this.data.rows.length ? this.at : null;
    mark(this.cursor, "visibility", at === null ? "hidden" : "visible");
    if (at !== null) for (const [name, value] of [["x1", this.x(at)], ["x2", this.x(at)], ["y1", MARGIN.top], ["y2", MARGIN.top + this.height]]) mark(this.cursor, name, value);
    const rows = at === null ? this.data.rows : [this.data.rows[at]];
    const sums = this.names.map((name) => [name, rows.reduce((all, row) => all + (row[name] ?? 0), 0)]);
    const all = sums.reduce((total, [, value]) => total + value, 0);
    const items = [...sums, ["", all]];
    keep(byId("mix-legend"), items, ([name]) => name, ([name]) => make("li", {}, make("i", { class: name ? `swatch ${seriesClass(name)}` : "", hidden: !name }), make("span", { class: name ? "" : "when", text: word(name) }), make("b")), (item, [name, value]) => {
      if (name) say(item.lastChild, `${share(value, all)}`);
      else {
        say(item.children[1], at === null ? counted(value, "request") : `${this.data.label(at, true)}: ${this.data.amount(value)}`);
        say(item.lastChild, "");
      }
    });
  }

  drawTable() {
    const size = Math.ceil(this.data.rows.length / TABLE_ROWS);
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col", text: "From" }), ...this.names.map((name) => make("th", { scope: "col", class: "number", text: word(name) }))));
    const body = make("tbody");
    for (let from = 0; from < this.data.rows.length; from += size) {
      const rows = this.data.rows.slice(from, from + size);
      const cells = this.names.map((name) => make("td", { class: "number", text: count(rows.reduce((all, row) => all + (row[name] ?? 0), 0)) }));
      body.append(make("tr", {}, make("th", { scope: "row", text: this.data.label(from, true) }), ...cells));
    }
    byId("mix-table").replaceChildren(head, body);
  }
}

/** The range's rows, what a row's unit is and how that is called, how its place in time is called, and how many rows apart such names may stand. */
function table({ range, parts }) {
  const ever = !parts.history.read || Object.keys(parts.history.month.features).length > 0;
  if (range === "now") {
    const { outcomes, slot_s: slotS } = parts.series;
    const end = Date.now() / 1000;
    const at = (place) => end - (outcomes.length - 1 - place) * slotS;
    return {
      ever,
      rows: outcomes.slice(0, -1),
      unit: slotS,
      per: "requests a second",
      steps: [180, 300].map((seconds) => seconds / slotS),
      label: (place, fine) => (fine ? moment(at(place)) : time(at(place))),
      amount: (value) => `${rate(value / slotS)} requests/s`,
    };
  }
  const { since, outcomes } = range === "day" ? parts.history.hours : parts.history.days;
  const label = range === "day" ? (place) => time((since + place) * 3600) : (place) => day(since + place);
  return { ever, rows: outcomes, unit: 1, ...(range === "day" ? { per: "requests an hour", steps: [4, 6, 12] } : { per: "requests a day (UTC)", steps: [5, 10, 15] }), label, amount: (value) => counted(value, "request") };
}

/** The axis' top and step: round numbers, at most five lines. */
function scale(most) {
  if (!(most > 0)) return { top: 1, step: 1 };
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) * power;
  return { top: Math.ceil(most / step) * step, step };
}
