// Numbers and times as a person reads them. Every function takes the value and returns text.

const NARROW = "\u2009";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1234567 as "1,234,567". */
export function count(value: number | null | undefined): string {
  return value == null ? "–" : grouped.format(value);
}

/** 1234567 as "1.23 M": three digits at most. */
export function short(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return "–";
  const units = ["", "k", "M", "G", "T"];
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  const text = unit === 0 && Number.isInteger(value) ? String(rest) : threeDigits(rest);
  return `${value < 0 ? "−" : ""}${text}${unit > 0 ? NARROW + units[unit] : ""}`;
}

function threeDigits(value: number): string {
  if (value === 0) return "0";
  if (value < 10) return trim(value.toFixed(value < 1 ? 2 : 1));
  return value < 100 ? trim(value.toFixed(1)) : value.toFixed(0);
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Rows or events per second. */
export function rate(value: number | null | undefined, unit = ""): string {
  return value == null ? "–" : `${short(value)}${unit ? " " + unit : ""}/s`;
}

/** Bytes with binary units, as Postgres counts them. */
export function bytes(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= 1000 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(rest) : threeDigits(rest)}${NARROW}${units[unit]}`;
}

/** A duration in seconds: "40 ms", "3.2 s", "4 min 10 s", "2 h 5 min", "3 d". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  const value = Math.max(0, seconds);
  if (value === 0) return `0${NARROW}s`;
  if (value < 0.0995) return `${Math.max(1, Math.round(value * 1000))}${NARROW}ms`;
  if (value < 9.95) return `${value.toFixed(1)}${NARROW}s`;
  if (value < 99.5) return `${Math.round(value)}${NARROW}s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return pair(minutes, "min", Math.round(value - minutes * 60), "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return pair(hours, "h", minutes % 60, "min");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(major: number, majorUnit: string, minor: number, minorUnit: string): string {
  const head = `${major}${NARROW}${majorUnit}`;
  return minor > 0 ? `${head} ${minor}${NARROW}${minorUnit}` : head;
}

/** A latency in milliseconds: finer than a duration below a second. */
export function millis(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value >= 1000) return duration(value / 1000);
  return `${value >= 10 || value === 0 ? Math.round(value) : trim(value.toFixed(1))}${NARROW}ms`;
}

/** A moment (milliseconds since 1970) as "12 s ago"; more than a day ago as its date. */
export function ago(moment: number | null | undefined, now: number): string {
  if (moment == null) return "never";
  const seconds = (now - moment) / 1000;
  if (seconds < 1) return "just now";
  if (seconds > 86_400) return time(moment);
  return `${seconds < 99.5 ? `${Math.floor(seconds)}${NARROW}s` : duration(Math.floor(seconds))} ago`;
}

/** A moment in the browser's own time zone: "2026-01-31 08:15:02". */
export function time(moment: number | null | undefined, fraction = false): string {
  if (moment == null) return "–";
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return "–";
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const milli = fraction ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : "";
  return `${day} ${clock}${milli}`;
}

/** "08:15:02" of a moment. */
export function clock(moment: number): string {
  return time(moment).slice(11);
}

export function percent(part: number, whole: number): string {
  if (whole <= 0) return "–";
  const value = (part / whole) * 100;
  return `${value >= 99.95 && value < 100 ? "99.9" : trim(value.toFixed(value < 10 ? 1 : 0))}${NARROW}%`;
}

/** "1 table", "3 tables". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
