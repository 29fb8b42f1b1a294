// Numbers and times as people read them.

const NANO = 1e-9;
const locale = navigator.languages;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
const rates = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 });
const dollars = (options) => new Intl.NumberFormat(locale, { style: "currency", currency: "USD", ...options });
const cents = dollars({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const large = dollars({ notation: "compact", maximumFractionDigits: 2 });
const tiny = dollars({ maximumSignificantDigits: 2 });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const exactly = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const days = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", timeZone: "UTC" });

export const count = (value) => (value >= 1e5 ? short.format(value) : whole.format(value));
export const counted = (value, one) => `${count(value)} ${one}${value === 1 ? "" : "s"}`;
export const compact = (value) => short.format(value);
export const rate = (value) => (value >= 1000 ? short.format(value) : rates.format(value));
export const share = (part, all) => (all ? percents.format(part / all) : "–");
export const percent = (value) => fine.format(value);
export const time = (seconds) => clock.format(seconds * 1000);
export const moment = (seconds) => exactly.format(seconds * 1000);
export const day = (number) => days.format(number * 86_400_000);

/** Nano-dollars as dollars: whole cents, or two digits of what is less than ten. */
export function money(nanousd) {
  const usd = nanousd * NANO;
  const size = Math.abs(usd);
  if (size >= 100_000) return large.format(usd);
  return size >= 0.1 || size === 0 ? cents.format(usd) : tiny.format(usd);
}

/** Seconds in the unit that suits them. */
export function duration(seconds) {
  if (seconds < 0.001) return `${whole.format(seconds * 1e6)} µs`;
  if (seconds < 0.01) return `${rates.format(seconds * 1e3)} ms`;
  if (seconds < 1) return `${whole.format(seconds * 1e3)} ms`;
  if (seconds < 100) return `${rates.format(seconds)} s`;
  return span(seconds);
}

/** A length of time in one unit. */
export function span(seconds) {
  for (const [size, name] of [[86_400, "d"], [3_600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${whole.format(seconds / size)} ${name}`;
  }
  return `${whole.format(seconds)} s`;
}

export function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(size) / 10));
  return `${rates.format(size / 2 ** (10 * power))} ${units[power]}`;
}
