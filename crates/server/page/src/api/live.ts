// What the server sends by itself: the overview once a second, the tables as they change; and the last hour.
//
// The browser's EventSource connects again by itself, except after some errors and when a network goes silent:
// so silence is watched, and the connection made anew.

import { computed, signal } from "@preact/signals";
import { get } from "./client";
import type { HistoryReply, Overview, Point, TableRow, TablesEvent } from "./types";

export type Connection = "connecting" | "live" | "lost";

export const overview = signal<Overview | null>(null);
export const connection = signal<Connection>("connecting");
export const history = signal<Point[]>([]);
/** The browser's clock, once a second; corrected by what the server's clock says. */
export const now = signal(Date.now());

const tablesByName = signal<Map<string, TableRow>>(new Map());
export const tables = computed(() => [...tablesByName.value.values()]);

/** How a table is written: `schema.name`. */
export const nameOf = (table: { schema: string; name: string }) => `${table.schema}.${table.name}`;

/** Without a word for so long, the connection counts as lost. The server sends once a second. */
const SILENCE_MS = 6000;
const RETRY_MS = 1500;
const HISTORY_EVERY_MS = 10_000;
const HOUR_MS = 3_600_000;

let source: EventSource | null = null;
let heard = 0;
let skew = 0;

let started = false;

export function start(): void {
  if (started) return;
  started = true;
  connect();
  void loadHistory(3600);
  setInterval(tick, 1000);
  setInterval(() => void loadHistory(connection.value === "live" ? 30 : 3600), HISTORY_EVERY_MS);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && connection.value !== "live") connect();
  });
}

function tick(): void {
  now.value = Date.now() + skew;
  if (connection.value === "live" && Date.now() - heard > SILENCE_MS) lose();
}

function connect(): void {
  source?.close();
  heard = Date.now();
  source = new EventSource("api/events");
  source.addEventListener("overview", (event) => {
    const news = JSON.parse(event.data) as Overview;
    overview.value = news;
    skew = news.at_ms - Date.now();
    hear();
  });
  source.addEventListener("tables", (event) => {
    take(JSON.parse(event.data) as TablesEvent);
    hear();
  });
  source.addEventListener("error", lose);
}

function hear(): void {
  heard = Date.now();
  if (connection.value === "live") return;
  // After a break the hour is asked for again: what was missed is there.
  if (connection.value === "lost") void loadHistory(3600);
  connection.value = "live";
}

function lose(): void {
  connection.value = "lost";
  source?.close();
  source = null;
  setTimeout(() => {
    if (!source) connect();
  }, RETRY_MS);
}

function take(news: TablesEvent): void {
  const next = news.full ? new Map<string, TableRow>() : new Map(tablesByName.value);
  for (const row of news.tables) next.set(nameOf(row), row);
  for (const name of news.removed) next.delete(name);
  tablesByName.value = next;
}

async function loadHistory(seconds: number): Promise<void> {
  let reply: HistoryReply;
  try {
    reply = await get<HistoryReply>("api/history", { seconds });
  } catch {
    return;
  }
  const known = seconds >= 3600 ? [] : history.value;
  const last = known.at(-1)?.at_ms ?? 0;
  const all = [...known, ...reply.points.filter((point) => point.at_ms > last)];
  const horizon = (all.at(-1)?.at_ms ?? 0) - HOUR_MS;
  history.value = all.filter((point) => point.at_ms >= horizon);
}
