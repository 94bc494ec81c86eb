// A comparison, table by table: the tree as it narrows from a table to its buckets to their rows, and the verdict.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { DifferingKeys, TableJob, TableVerdict, VerifyJob } from "../../api/types";
import { count, plural } from "../../lib/format";
import { Facts, Tag, type Tone } from "../../parts/basics";

const STEPS: Record<TableJob["step"], { tone: Tone; word: string }> = {
  waiting: { tone: "idle", word: "waiting" },
  summing: { tone: "busy", word: "summing" },
  narrowing: { tone: "busy", word: "narrowing" },
  done: { tone: "ok", word: "equal" },
};
/** Equal tables beyond so many are counted and not listed. */
const SHOWN = 100;
/** The strip of buckets has at most so many cells; one cell then stands for several buckets. */
const CELLS = 128;

const rank = (table: TableJob) => {
  if (table.verdict && !table.verdict.equal) return 0;
  if (table.step === "narrowing") return 1;
  if (table.step === "summing") return 2;
  return table.step === "waiting" ? 3 : 4;
};

export function Job({ job }: { job: VerifyJob }) {
  const ordered = [...job.tables].sort((a, b) => rank(a) - rank(b));
  const rest = ordered.length - SHOWN;
  return (
    <ul class="panel job" aria-label="Tables">
      {ordered.slice(0, SHOWN).map((table) => (
        <Row key={`${table.schema}.${table.name}`} table={table} />
      ))}
      {rest > 0 && <li class="muted">and {plural(rest, "table")} more</li>}
    </ul>
  );
}

function Row({ table }: { table: TableJob }) {
  const { verdict } = table;
  const different = verdict != null && !verdict.equal;
  const { tone, word } = different ? { tone: "bad" as const, word: "differs" } : STEPS[table.step];
  return (
    <li>
      <div class="job-head">
        <span class="clip">
          {table.schema}.{table.name}
        </span>
        <Tag tone={tone} dot>
          {word}
        </Tag>
        <span class="num muted">{verdict && rowsText(verdict)}</span>
      </div>
      <Tree table={table} />
      {different && <Findings verdict={verdict} />}
    </li>
  );
}

function rowsText(verdict: TableVerdict): string {
  const versions = verdict.versions != null ? `, ${plural(verdict.versions, "version")}` : "";
  if (verdict.rows_source === verdict.rows_target) return `${plural(verdict.rows_source, "row")}${versions}`;
  return `${count(verdict.rows_source)} rows in Postgres, ${count(verdict.rows_target)} in ClickHouse${versions}`;
}

/** Three levels: the table, its buckets, and under those that differ their rows. */
function Tree({ table }: { table: TableJob }) {
  if (table.step === "waiting" || table.buckets === 0) {
    return <div class={`strip ${table.step === "summing" ? "under-way" : ""}`} aria-hidden="true" />;
  }
  const cells = Math.min(CELLS, table.buckets);
  const cellOf = (bucket: number) => Math.floor((bucket * cells) / table.buckets);
  const differing = new Set(table.differing.map(cellOf));
  const narrowed = new Set(table.narrowed.map(cellOf));
  const label =
    table.differing.length === 0
      ? `all ${table.buckets} buckets have equal sums`
      : `${table.differing.length} of ${table.buckets} buckets differ, ${table.narrowed.length} of them looked at row by row`;
  return (
    <div class="tree" role="img" aria-label={label} title={label}>
      <div class={`strip ${differing.size > 0 ? "bad" : "good"}`} />
      <div class="strip cells">
        {Array.from({ length: cells }, (_, cell) => (
          <i key={cell} class={differing.has(cell) ? "bad" : "good"} />
        ))}
      </div>
      {differing.size > 0 && (
        <div class="strip cells">
          {Array.from({ length: cells }, (_, cell) => (
            <i key={cell} class={narrowed.has(cell) ? "seen" : differing.has(cell) ? "looking" : ""} />
          ))}
        </div>
      )}
    </div>
  );
}

function Findings({ verdict }: { verdict: TableVerdict }) {
  const keys: [string, DifferingKeys][] = [
    ["Missing in ClickHouse", verdict.missing],
    ["Only in ClickHouse", verdict.extra],
    ["Different", verdict.different],
    ["Newest version is not the current row", verdict.stale],
  ];
  return (
    <Facts
      of={[
        ["Columns that ClickHouse lacks", verdict.absent_columns.join(", ")],
        ...keys.map(([name, found]): [string, ComponentChildren] => [name, found.count > 0 && <Keys of={found} />]),
        ["Versions that are there twice", verdict.repeated_versions > 0 && count(verdict.repeated_versions)],
      ]}
    />
  );
}

const FEW = 8;

function Keys({ of }: { of: DifferingKeys }) {
  const [all, setAll] = useState(false);
  const shown = all ? of.keys : of.keys.slice(0, FEW);
  const more = of.count - shown.length;
  return (
    <span>
      {plural(of.count, "key")}: <span class="mono">{shown.join(", ")}</span>
      {more > 0 && !all && of.keys.length > FEW ? (
        <>
          {" "}
          <button type="button" class="link" onClick={() => setAll(true)}>
            show {of.keys.length - FEW} more
          </button>
        </>
      ) : (
        more > 0 && ", …"
      )}
    </span>
  );
}
