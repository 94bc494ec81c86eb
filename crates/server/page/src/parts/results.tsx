// Rows of a query: as a list, and as a quick chart of whatever in them looks like one.

import { useMemo } from "preact/hooks";
import { short } from "../lib/format";
import { Chart, type Series } from "./chart";
import { Grid, type Column } from "./grid";
import { Empty } from "./basics";

export interface Rows {
  columns: readonly { name: string; type: string }[];
  rows: readonly (readonly unknown[])[];
}

type Indexed = { at: number; cells: readonly unknown[] };

const CHARACTER_PX = 7.4;
const MAX_WIDTH_PX = 420;
const SAMPLE = 100;

/** A cell as text; null is told apart from an empty text by `isNull`. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export const isNumber = (type: string) => /^(Nullable\(|LowCardinality\()*(U?Int|Float|Decimal|BFloat)/.test(type);
const isTime = (type: string) => /^(Nullable\(|LowCardinality\()*Date/.test(type);

export function ResultGrid({ result, label }: { result: Rows; label: string }) {
  const rows = useMemo(() => result.rows.map((cells, at): Indexed => ({ at, cells })), [result]);
  const columns = useMemo(() => columnsOf(result), [result]);
  return (
    <Grid label={label} columns={columns} rows={rows} id={(row) => String(row.at)} empty={<Empty title="No rows" />} />
  );
}

function columnsOf(result: Rows): Column<Indexed>[] {
  const own: Column<Indexed>[] = result.columns.map((column, index) => {
    const right = isNumber(column.type);
    const longest = result.rows
      .slice(0, SAMPLE)
      .reduce((most, row) => Math.max(most, cellText(row[index]).length), column.name.length + 2);
    return {
      key: `${index}`,
      title: column.name,
      hint: column.type,
      width: Math.min(MAX_WIDTH_PX, Math.max(64, longest * CHARACTER_PX + 22)),
      right,
      mono: true,
      cell: (row) => <Cell value={row.cells[index]} />,
      sort: (row) => {
        const value = row.cells[index];
        if (value === null || value === undefined) return null;
        return right ? Number(value) : cellText(value);
      },
    };
  });
  return [...own, { key: "rest", title: "", filler: true, cell: () => null }];
}

function Cell({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span class="muted">NULL</span>;
  const text = cellText(value);
  return <span title={text.length > 40 ? text : undefined}>{text}</span>;
}

/** Columns that can be drawn: over what, and which. */
export function drawable(result: Rows): { x: number; ys: number[] } | null {
  const indexes = result.columns.map((_, index) => index);
  const typeOf = (index: number) => result.columns[index]?.type ?? "";
  const time = indexes.find((index) => isTime(typeOf(index)));
  const text = indexes.find((index) => !isNumber(typeOf(index)) && !isTime(typeOf(index)));
  const x = time ?? text ?? indexes[0];
  if (x === undefined || result.rows.length === 0) return null;
  const ys = indexes.filter((index) => index !== x && isNumber(typeOf(index)));
  return ys.length > 0 ? { x, ys } : null;
}

export function QuickChart({ result, x, ys }: { result: Rows; x: number; ys: number[] }) {
  const type = result.columns[x]?.type ?? "";
  const over = result.columns[x]?.name ?? "";
  if (!isTime(type) && !isNumber(type)) return <BarList result={result} x={x} y={ys[0] ?? 0} />;
  const points = result.rows
    .map((row) => ({ at: isTime(type) ? seconds(row[x]) : Number(row[x]), row }))
    .filter((point) => Number.isFinite(point.at))
    .sort((a, b) => a.at - b.at);
  const series = ys.slice(0, 6).map(
    (y, index): Series => ({
      name: result.columns[y]?.name ?? "",
      colour: ((index % 6) + 1) as Series["colour"],
      values: points.map((point) => (point.row[y] == null ? null : Number(point.row[y]))),
      fill: ys.length === 1,
    }),
  );
  return (
    <Chart
      title={`${series.map((one) => one.name).join(", ")} over ${over}`}
      at={points.map((point) => point.at)}
      series={series}
      format={short}
      height={300}
      plain={!isTime(type)}
      days
    />
  );
}

/** ClickHouse writes times as UTC without saying so. */
function seconds(value: unknown): number {
  const text = cellText(value).replace(" ", "T");
  return Date.parse(text.length > 10 ? `${text}Z` : `${text}T00:00:00Z`) / 1000;
}

const BARS = 50;

function BarList({ result, x, y }: { result: Rows; x: number; y: number }) {
  const rows = result.rows
    .slice(0, BARS)
    .map((row) => ({ name: cellText(row[x]), value: Number(row[y] ?? 0) }))
    .filter((row) => Number.isFinite(row.value));
  const most = Math.max(...rows.map((row) => Math.abs(row.value)), 0) || 1;
  return (
    <table class="bars" aria-label={`${result.columns[y]?.name} by ${result.columns[x]?.name}`}>
      <tbody>
        {rows.map((row, index) => (
          <tr key={index}>
            <th scope="row" class="clip" title={row.name}>
              {row.name}
            </th>
            <td>
              <i style={{ width: `${(Math.abs(row.value) / most) * 100}%` }} />
            </td>
            <td class="num right">{short(row.value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** For a spreadsheet. */
export function csv(result: Rows): string {
  const quote = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (cells: string[]) => cells.map(quote).join(",");
  const head = line(result.columns.map((column) => column.name));
  const body = result.rows.map((row) => line(row.map((cell) => (cell == null ? "" : cellText(cell)))));
  return `${[head, ...body].join("\r\n")}\r\n`;
}
