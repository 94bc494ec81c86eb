// A server that answers like a walhouse with many tables: for work on the page, and for what is slow to bring about.
// usage: node tests/fake.mjs PORT [live|copying|broken|warning|kafka] [TABLES]

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const dist = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const [port = "9091", state = "live", tableCount = "1000"] = process.argv.slice(2);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const wave = (at, period, low, high) => low + ((Math.sin((at / period) * 2 * Math.PI) + 1) / 2) * (high - low);
const noise = (at) => { const x = Math.sin(at * 12.9898) * 43758.5453; return x - Math.floor(x); };
const broken = state === "broken";
const names = ["sales", "customer", "employee", "sales_territory", "orders", "order_line", "invoice", "payment", "shipment", "product"];

function tables(at) {
  return Array.from({ length: Number(tableCount) }, (_, index) => {
    const base = names[index % names.length];
    const turn = Math.floor(index / names.length);
    const stopped = state === "warning" && index % 97 === 5;
    const copying = state === "copying" && index % 3 === 1;
    const pending = state === "copying" && index % 3 === 2;
    const rate = index % 7 === 0 && !copying && !pending && !stopped && !broken ? 400 / (1 + turn) * noise(at / 1000 + index) : 0;
    const fraction = 0.05 + 0.9 * noise(index);
    return {
      schema: turn % 4 === 3 ? "archive" : "public", name: turn === 0 ? base : `${base}_${turn}`, target: turn === 0 ? base : `${base}_${turn}`, view: `view_${base}_last_rec`,
      phase: stopped ? "stopped" : copying ? "copying" : pending ? "pending" : "live",
      rows: pending ? null : Math.floor(500000 / (turn + 1)), bytes: Math.floor(5e7 / (turn + 1)), rows_copied: 500000, rows_estimated: 500000, rows_streamed: 1234,
      rows_per_second: rate, progress: copying ? { rows: 500000 * fraction, rows_estimated: 500000, fraction, rows_per_second: 80000, seconds_left: (1 - fraction) * 60 } : null,
      last_change_ms: pending ? null : at - 900 * noise(index) * (index % 50), lag_ms: pending ? null : 30 + 100 * noise(index),
      error: stopped ? `the type of column "amount" changed from integer to text` : null, advice: stopped ? `copy it again: walhouse resync ${base}` : null,
    };
  });
}

function overview(at) {
  const rows = broken ? 0 : wave(at / 1000, 300, 700, 1900) + 200 * noise(at / 1000);
  const latency = broken ? null : { p50_ms: 40 + 10 * noise(at), p99_ms: 120 + 80 * noise(at + 1), count: 3000 };
  const good = { level: "good", sentence: "live, 0.2 s behind", cause: null, advice: null, since_ms: null };
  const health = {
    live: good,
    copying: { ...good, level: "busy", sentence: "copying, 42 % done, about 3 min left" },
    broken: { level: "bad", sentence: "waiting for ClickHouse, attempt 7; nothing is lost, it goes on by itself", cause: "could not insert into sales: connection refused (os error 111)", advice: "see that ClickHouse runs, can be reached from here and has room on its disk", since_ms: at - 95_000 },
    warning: { ...good, level: "warning", sentence: "live, 0.2 s behind, but 11 of 1000 tables stopped", cause: `public.product: the type of column "amount" changed from integer to text`, advice: "copy it again: walhouse resync public.product" },
  }[state === "kafka" ? "live" : state];
  const kafka = state === "kafka" ? [{ kind: "kafka", name: "127.0.0.1:9092", level: "good" }] : [];
  const into = state === "kafka" ? [{ rows_per_second: rows, bytes_per_second: rows * 180, lag_bytes: 0, lag_seconds: 0, latency: null }] : [];
  const read = state === "kafka" ? { bytes_per_second: null, lag_bytes: 0, lag_messages: 12 } : {};
  return {
    at_ms: at, slot: "walhouse", state: broken ? "waiting" : state === "copying" ? "copying" : "live", health,
    stages: [{ kind: "postgres", name: "shop at 127.0.0.1:5432", level: "good" }, { kind: "walhouse", name: "0.1.0", level: state === "copying" ? "busy" : "good" }, ...kafka, { kind: "clickhouse", name: "default at 127.0.0.1:8123", level: broken ? "bad" : "good" }],
    arrows: [
      { rows_per_second: rows, bytes_per_second: rows * 180, lag_bytes: 0, lag_seconds: 0, latency: latency && { ...latency, p50_ms: latency.p50_ms / 4, p99_ms: latency.p99_ms / 4 } },
      ...into,
      { rows_per_second: broken ? 0 : rows, bytes_per_second: broken ? 0 : rows * 180, lag_bytes: broken ? 52_000_000 : 12_000, lag_seconds: broken ? 95 : 0.1, latency, ...read },
    ],
    wal: { retained_bytes: broken ? 3.2e9 : 2.1e7, growth_bytes_per_second: broken ? 4e5 : 0, limit_bytes: 10 * 1024 ** 3, limit: "max_slot_wal_keep_size", full_in_seconds: broken ? 18_700 : null, sentence: broken ? "at this rate the limit of 10 GiB is reached in 5 h 11 min" : "far from its limit of 10 GiB" },
    tables: { total: Number(tableCount), live: state === "copying" ? 333 : state === "warning" ? Number(tableCount) - 11 : Number(tableCount), copying: state === "copying" ? 333 : 0, pending: state === "copying" ? 334 : 0, stopped: state === "warning" ? 11 : 0, paused: 0 },
    copy: state === "copying" ? { rows: 4.2e6, rows_estimated: 1e7, fraction: 0.42, rows_per_second: 310_000, seconds_left: 190 } : null,
  };
}

function point(at) {
  const o = overview(at);
  const dead = broken && Date.now() - at < 95_000;
  const rows = broken && !dead ? wave(at / 1000, 300, 700, 1900) : o.arrows[0].rows_per_second;
  const p99 = dead ? null : 120 + 80 * noise(at + 1);
  return { at_ms: at, rows_in: dead ? 0 : rows, rows_out: dead ? 0 : rows * 0.98, bytes_in: rows * 180, bytes_out: rows * 180, lag_bytes: dead ? (95_000 - (Date.now() - at)) * 500 : 12_000 + 20_000 * noise(at), lag_seconds: 0.1, p50_ms: p99 && p99 / 3, p99_ms: p99, retained_bytes: broken ? 3.2e9 - Math.max(0, (Date.now() - at)) * 400 : 2.1e7 + 1e6 * noise(at) };
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  const json = (value) => { response.writeHead(200, { "content-type": "application/json" }); response.end(JSON.stringify(value)); };
  if (url.pathname === "/api/session") {
    json({ login: "none", csrf: "x", version: "0.1.0", features: { pipeline: true, commands: true, data: true, changes: true, query: true, verify: true, topics: state === "kafka", connectors: state === "kafka" } });
  } else if (url.pathname === "/api/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const event = (name, data) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    event("overview", overview(Date.now()));
    event("tables", { full: true, tables: tables(Date.now()), removed: [] });
    const timer = setInterval(() => { event("overview", overview(Date.now())); event("tables", { full: false, tables: tables(Date.now()).filter((table) => table.rows_per_second > 0), removed: [] }); }, 1000);
    request.on("close", () => clearInterval(timer));
  } else if (url.pathname === "/api/history") {
    const seconds = Number(url.searchParams.get("seconds") ?? 3600);
    const end = Date.now();
    json({ points: Array.from({ length: Math.floor(seconds / 10) }, (_, i) => point(end - (seconds - (i + 1) * 10) * 1000)) });
  } else if (url.pathname.startsWith("/api/")) {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ code: "not_found", error: `there is no ${url.pathname}`, advice: null }));
  } else {
    const file = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
    try {
      const body = await readFile(join(dist, file));
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": CSP });
      response.end(body);
    } catch {
      response.writeHead(404);
      response.end();
    }
  }
});
server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
