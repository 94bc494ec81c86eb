// All tables: a thousand of them too. Filter, phase, order are in the address, so a view can be kept and sent.

import { nameOf, now, tables } from "../../api/live";
import type { TablePhase, TableRow } from "../../api/types";
import { go, link, route } from "../../app/router";
import { Shell } from "../../app/shell";
import { ago, bytes, count, duration, millis, rate } from "../../lib/format";
import { phaseTone } from "../../lib/tones";
import { Bar, Chips, Empty, Filter, Tag } from "../../parts/basics";
import { Grid, type Column } from "../../parts/grid";
import { TableMenu } from "./actions";

const PHASES: TablePhase[] = ["live", "copying", "pending", "paused", "stopped"];

const COLUMNS: Column<TableRow>[] = [
  {
    key: "name",
    title: "Table",
    width: 250,
    small: 150,
    cell: (table) => <TableName table={table} />,
    sort: nameOf,
  },
  {
    key: "phase",
    title: "Phase",
    width: 96,
    small: 90,
    cell: (table) => (
      <Tag tone={phaseTone(table.phase)} dot>
        {table.phase}
      </Tag>
    ),
    sort: (table) => PHASES.length - PHASES.indexOf(table.phase),
  },
  { key: "rows", title: "Rows", width: 104, right: true, from: 560, cell: (table) => count(rowsOf(table)), sort: rowsOf },
  { key: "bytes", title: "Size", width: 84, right: true, from: 900, cell: (table) => bytes(table.bytes), sort: (table) => table.bytes },
  {
    key: "rate",
    title: "Rows/s",
    width: 84,
    right: true,
    from: 640,
    cell: (table) => (table.rows_per_second > 0 ? rate(table.rows_per_second) : <span class="muted">0</span>),
    sort: (table) => table.rows_per_second,
  },
  {
    key: "last",
    title: "Last change",
    width: 118,
    right: true,
    from: 760,
    cell: (table, at) => (table.last_change_ms == null ? <span class="muted">–</span> : ago(table.last_change_ms, at)),
    sort: (table) => table.last_change_ms,
  },
  { key: "lag", title: "Lag", width: 76, right: true, cell: (table) => millis(table.lag_ms), sort: (table) => table.lag_ms },
  { key: "note", title: "Progress or error", from: 560, cell: (table) => <Note table={table} />, sort: (table) => table.error ?? table.progress?.fraction },
  { key: "menu", title: "", width: 44, cell: (table) => <TableMenu table={table} /> },
];

export function TablesPage() {
  const { query } = route.value;
  const filter = query.get("filter") ?? "";
  const phase = (query.get("phase") ?? "all") as TablePhase | "all";
  const order = { key: query.get("by") ?? "name", down: query.get("down") === "1" };
  const set = (change: Record<string, string | undefined>) => {
    const next = { filter, phase: phase === "all" ? undefined : phase, by: query.get("by") ?? undefined, down: query.get("down") ?? undefined, ...change };
    history.replaceState(null, "", link(["tables"], { ...next, filter: next.filter || undefined }));
    dispatchEvent(new HashChangeEvent("hashchange"));
  };

  const wanted = filter.toLowerCase();
  const named = tables.value.filter((table) => matches(table, wanted));
  const shown = phase === "all" ? named : named.filter((table) => table.phase === phase);
  const inPhase = (candidate: TablePhase) => named.filter((table) => table.phase === candidate).length;
  const options = PHASES.map((value) => ({ value, name: value, count: inPhase(value) })).filter(
    (option) => option.count > 0 || option.value === phase,
  );
  return (
    <Shell crumbs={[{ name: "Tables" }]} fills>
      <div class="row wrap">
        <Filter value={filter} onInput={(text) => set({ filter: text })} label="Filter by name, target or error" />
        <Chips
          label="Phase"
          options={[{ value: "all" as const, name: "all", count: named.length }, ...options]}
          value={phase}
          onChange={(value) => set({ phase: value === "all" ? undefined : value })}
        />
      </div>
      <section class="panel grid-panel fresh">
        <Grid
          label="Tables"
          columns={COLUMNS}
          rows={shown}
          id={nameOf}
          now={now.value}
          order={order}
          onOrder={(next) => set({ by: next.key, down: next.down ? "1" : undefined })}
          onOpen={(table) => go(["tables", nameOf(table)])}
          empty={<None any={tables.value.length > 0} />}
        />
      </section>
    </Shell>
  );
}

function None({ any }: { any: boolean }) {
  return any ? (
    <Empty title="No table is like that">Change the filter or the phase.</Empty>
  ) : (
    <Empty title="No tables yet">They show as soon as the source was looked at.</Empty>
  );
}

function matches(table: TableRow, wanted: string): boolean {
  if (!wanted) return true;
  const texts = [nameOf(table), table.target ?? "", table.error ?? ""];
  return texts.some((text) => text.toLowerCase().includes(wanted));
}

function rowsOf(table: TableRow): number | null {
  return table.rows ?? (table.rows_copied > 0 ? table.rows_copied : null);
}

function TableName({ table }: { table: TableRow }) {
  return (
    <a href={link(["tables", nameOf(table)])} tabIndex={-1} title={nameOf(table)}>
      {table.schema !== "public" && <span class="muted">{table.schema}.</span>}
      {table.name}
    </a>
  );
}

function Note({ table }: { table: TableRow }) {
  if (table.error) return <span class="is-bad" title={table.error}>{table.error}</span>;
  const { progress } = table;
  if (!progress) return null;
  return (
    <div class="row">
      <div class="grow">
        <Bar value={progress.fraction} of={1} label={`${nameOf(table)} copied`} />
      </div>
      <span class="num muted">
        {Math.floor(progress.fraction * 100)} %{progress.seconds_left != null && `, ${duration(progress.seconds_left)} left`}
      </span>
    </div>
  );
}
