// Which tables to look at: those that need it, the slowest, the busiest.

import { nameOf, now, tables } from "../../api/live";
import type { TableRow } from "../../api/types";
import { link } from "../../app/router";
import { ago, duration, millis, rate } from "../../lib/format";
import { phaseTone } from "../../lib/tones";
import { Panel, Tag } from "../../parts/basics";

const SHOWN = 6;

export function Lists() {
  const all = tables.value;
  const attention = all.filter((table) => table.phase === "stopped" || table.phase === "paused");
  const copied = all
    .filter((table) => table.phase === "copying" || table.phase === "pending")
    .sort((a, b) => (b.progress?.fraction ?? -1) - (a.progress?.fraction ?? -1));
  const slowest = top(all, (table) => table.lag_ms ?? 0);
  const busiest = top(all, (table) => table.rows_per_second);
  return (
    <div class="lists fresh">
      <Panel title="Needs attention" flush aside={attention.length > SHOWN && <a href={link(["tables"])}>all {attention.length}</a>}>
        <List
          rows={attention.slice(0, SHOWN)}
          none="No table is stopped or paused."
          value={(table) => (
            <Tag tone={phaseTone(table.phase)} dot>
              {table.phase}
            </Tag>
          )}
          more={(table) => table.error}
        />
      </Panel>
      {copied.length > 0 && (
        <Panel title="Being copied" flush aside={`${copied.length} of ${all.length}`}>
          <List
            rows={copied.slice(0, SHOWN)}
            none=""
            value={(table) => (table.progress ? `${Math.floor(table.progress.fraction * 100)} %` : table.phase)}
            more={(table) => (table.progress?.seconds_left != null ? `${duration(table.progress.seconds_left)} left` : null)}
          />
        </Panel>
      )}
      <Panel title="Slowest, commit to visible" flush>
        <List
          rows={slowest}
          none="No change has come yet."
          value={(table) => millis(table.lag_ms)}
          more={(table) => `last change ${ago(table.last_change_ms, now.value)}`}
        />
      </Panel>
      <Panel title="Busiest" flush>
        <List
          rows={busiest}
          none="No rows flow at the moment."
          value={(table) => rate(table.rows_per_second, "rows")}
          more={(table) => `last change ${ago(table.last_change_ms, now.value)}`}
        />
      </Panel>
    </div>
  );
}

function top(rows: TableRow[], value: (table: TableRow) => number): TableRow[] {
  return rows
    .filter((table) => value(table) > 0)
    .sort((a, b) => value(b) - value(a))
    .slice(0, SHOWN);
}

function List(props: {
  rows: TableRow[];
  none: string;
  value: (table: TableRow) => preact.ComponentChildren;
  more: (table: TableRow) => string | null | undefined;
}) {
  if (props.rows.length === 0) return <p class="body muted">{props.none}</p>;
  return (
    <ul class="list">
      {props.rows.map((table) => (
        <li key={nameOf(table)}>
          <a class="clip" href={link(["tables", nameOf(table)])}>
            {nameOf(table)}
          </a>
          <span class="muted clip grow" title={props.more(table) ?? undefined}>
            {props.more(table)}
          </span>
          <span class="num nowrap">{props.value(table)}</span>
        </li>
      ))}
    </ul>
  );
}
