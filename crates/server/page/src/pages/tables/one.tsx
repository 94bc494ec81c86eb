// One table: how it is, how its columns map and why, its DDL, its latest changes, one key's versions.

import { get, messageOf, part } from "../../api/client";
import { nameOf, now, tables } from "../../api/live";
import type { TableDetail, TableLayout, TableRow } from "../../api/types";
import { useAsked } from "../../api/use";
import { link } from "../../app/router";
import { Shell } from "../../app/shell";
import { ago, bytes, count, duration, millis, rate } from "../../lib/format";
import { phaseTone } from "../../lib/tones";
import { Bar, Code, Empty, Facts, Notice, Panel, Tabs, Tag } from "../../parts/basics";
import { can } from "../../api/session";
import { TableButtons } from "./actions";
import { Changes, Versions } from "./changes";

const TABS = [
  { id: "columns", name: "Columns" },
  { id: "ddl", name: "Tables and views" },
  { id: "changes", name: "Changes" },
  { id: "versions", name: "Versions of a row" },
];

export function TablePage({ name, tab = "columns" }: { name: string; tab?: string }) {
  const dot = name.indexOf(".");
  const [schema, bare] = [name.slice(0, dot), name.slice(dot + 1)];
  const asked = useAsked((signal) => get<TableDetail>(`api/tables/${part(schema)}/${part(bare)}`, undefined, signal), [name]);
  const table = tables.value.find((candidate) => nameOf(candidate) === name) ?? asked.value?.table;
  return (
    <Shell crumbs={[{ name: "Tables", href: link(["tables"]) }, { name }]}>
      {table ? <Head table={table} /> : !asked.loading && <Notice tone="bad" title={messageOf(asked.error)} />}
      {table && (
        <>
          <Tabs
            label={`About ${name}`}
            tabs={TABS.filter(({ id }) => can("changes") || (id !== "changes" && id !== "versions")).map(({ id, name: title }) => ({ name: title, href: link(["tables", name, id]), current: id === tab }))}
          />
          {tab === "changes" ? <Changes place={table} /> : <Body tab={tab} detail={asked.value} error={asked.error} />}
        </>
      )}
    </Shell>
  );
}

function Head({ table }: { table: TableRow }) {
  const { progress } = table;
  return (
    <section class="panel fresh">
      <header>
        <Tag tone={phaseTone(table.phase)} dot>
          {table.phase}
        </Tag>
        {table.target && (
          <span>
            becomes <code>{table.target}</code>
            {table.view && (
              <>
                , current state in <code>{table.view}</code>
              </>
            )}
          </span>
        )}
        <div class="aside row">
          <TableButtons table={table} />
        </div>
      </header>
      <div class="body stack">
        {table.error && (
          <Notice tone="bad" title={table.error}>
            {table.advice && <div>{table.advice}</div>}
          </Notice>
        )}
        {progress && (
          <div class="stack tight">
            <Bar value={progress.fraction} of={1} label={`${nameOf(table)} copied`} />
            <span class="num">
              {count(progress.rows)} of about {count(progress.rows_estimated)} rows, {rate(progress.rows_per_second)}
              {progress.seconds_left != null && `, ${duration(progress.seconds_left)} left`}
            </span>
          </div>
        )}
        <Facts
          of={[
            ["Rows", count(table.rows ?? table.rows_copied)],
            ["Size", table.bytes != null && bytes(table.bytes)],
            ["Changes", `${count(table.rows_streamed)} since walhouse started, ${rate(table.rows_per_second)} now`],
            ["Last change", `${ago(table.last_change_ms, now.value)}${table.lag_ms != null ? `, visible ${millis(table.lag_ms)} after its commit` : ""}`],
          ]}
        />
      </div>
    </section>
  );
}

function Body({ tab, detail, error }: { tab: string; detail: TableDetail | null; error: unknown }) {
  if (!detail) return error ? <Notice tone="bad" title={messageOf(error)} /> : <Empty title="Looking at both databases" />;
  if (!detail.layout) return <Notice tone="warn" title={detail.problem ?? "Its layout is not known."} />;
  if (tab === "versions") return <Versions place={detail.table} layout={detail.layout} />;
  return tab === "ddl" ? <Definitions layout={detail.layout} /> : <Columns layout={detail.layout} />;
}

function Columns({ layout }: { layout: TableLayout }) {
  return (
    <>
      <Panel
        title="Columns"
        flush
        aside={
          <span>
            sorted by <code>{layout.order_by.join(", ")}</code>;{" "}
            {layout.history ? `every version is kept${layout.retention_days != null ? ` for ${layout.retention_days} days` : ""}` : "the current state only"}
          </span>
        }
      >
        <div class="scroller">
          <table class="plain roomy" aria-label="Columns">
            <thead>
              <tr>
                <th scope="col">Column</th>
                <th scope="col">Postgres</th>
                <th scope="col">ClickHouse</th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {layout.columns.map((column) => (
                <tr key={column.name}>
                  <td class="mono">
                    {column.name} {column.key && <Tag tone="busy">key</Tag>}
                  </td>
                  <td class="mono">{column.postgres_type}</td>
                  <td class="mono">{column.clickhouse_type}</td>
                  <td class="muted">{column.why}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      <Panel title="Added to each table" flush>
        <div class="scroller">
          <table class="plain roomy" aria-label="Added columns">
            <tbody>
              {layout.meta_columns.map((column) => (
                <tr key={column.name}>
                  <td class="mono">{column.name}</td>
                  <td class="mono">{column.clickhouse_type}</td>
                  <td class="muted">{column.meaning}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
    </>
  );
}

function Definitions({ layout }: { layout: TableLayout }) {
  return (
    <>
      {layout.definitions.map((definition) => (
        <Panel key={definition.name} title={<code>{definition.name}</code>} aside={definition.kind}>
          <Code text={definition.sql} label={`the definition of ${definition.name}`} />
        </Panel>
      ))}
    </>
  );
}
