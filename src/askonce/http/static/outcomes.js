// How requests are answered: the order in which this is shown, and its words.

/** Outcomes that cost nothing first, then those that cost, then those that aren't answers. */
export const OUTCOMES = ["exact", "joined", "semantic", "semantic-joined", "fresh", "batch", "bypass", "refused"];
export const LAYERS = ["exact", "in-flight", "semantic", "prompt cache", "batch"];
export const RANGES = { now: "last 15 min", day: "last 24 h", month: "last 30 days" };

const WORDS = {
  exact: "Exact hit",
  joined: "Joined in flight",
  semantic: "Semantic hit",
  "semantic-joined": "Semantic, in flight",
  fresh: "Asked upstream",
  batch: "Batch",
  bypass: "Bypassed",
  refused: "Refused",
};
const FREE = new Set(["exact", "joined", "semantic", "semantic-joined"]);

export const word = (outcome) => WORDS[outcome] ?? outcome;
export const isFree = (outcome) => FREE.has(outcome);
export const seriesClass = (name) => `of-${OUTCOMES.includes(name) || LAYERS.includes(name) ? name.replace(" ", "-") : "other"}`;

/** Those that occur, known ones in their order, others behind. */
export function present(rows) {
  const found = new Set(rows.flatMap((row) => Object.keys(row)));
  return [...OUTCOMES.filter((name) => found.delete(name)), ...[...found].sort()];
}

/** Sums over features of what `[requests, saved, spent]` each outcome has. */
export function totals(features) {
  const sums = {};
  for (const outcomes of Object.values(features)) {
    for (const [outcome, values] of Object.entries(outcomes)) {
      const sum = (sums[outcome] ??= [0, 0, 0]);
      values.forEach((value, place) => { sum[place] += value; });
    }
  }
  return sums;
}
