// The last hour: what flows, how long it takes, what waits, what the source keeps.

import { useMemo } from "preact/hooks";
import { history } from "../../api/live";
import type { Overview, Point } from "../../api/types";
import { bytes, millis, rate } from "../../lib/format";
import { Chart } from "../../parts/chart";

/** Windows to look at: the smallest that holds all there is. */
const SPANS = [60, 180, 600, 1800, 3600];
/** How far the forecast of the log reaches, as a part of the window. */
const AHEAD = 0.25;

export function Charts({ overview }: { overview: Overview }) {
  const points = history.value;
  const at = useMemo(() => points.map((point) => point.at_ms / 1000), [points]);
  const pick = (value: (point: Point) => number | null | undefined) => points.map((point) => value(point) ?? null);
  const end = at.at(-1) ?? overview.at_ms / 1000;
  const age = end - (at[0] ?? end);
  const span = SPANS.find((candidate) => candidate >= age) ?? 3600;
  const range: [number, number] = [end - span, end];
  return (
    <div class="charts fresh">
      <div class="panel">
        <Chart
          title="Rows per second"
          at={at}
          range={range}
          format={rate}
          atLeast={5}
          series={[
            { name: "received", colour: 1, values: pick((point) => point.rows_in), fill: true },
            { name: "durable", colour: 2, values: pick((point) => point.rows_out) },
          ]}
        />
      </div>
      <div class="panel">
        <Chart
          title="Commit to visible"
          at={at}
          range={range}
          format={millis}
          atLeast={100}
          series={[
            { name: "p99", colour: 3, values: pick((point) => point.p99_ms) },
            { name: "p50", colour: 1, values: pick((point) => point.p50_ms), fill: true },
          ]}
        />
      </div>
      <div class="panel">
        <Chart
          title="Waiting to be durable"
          at={at}
          range={range}
          format={bytes}
          binary
          atLeast={65_536}
          series={[{ name: "lag", colour: 4, values: pick((point) => point.lag_bytes), fill: true }]}
        />
      </div>
      <div class="panel">
        <WalChart overview={overview} at={at} points={points} range={range} />
      </div>
    </div>
  );
}

/** The log that the source keeps, drawn on into the future at its present growth. */
function WalChart(props: { overview: Overview; at: number[]; points: Point[]; range: [number, number] }) {
  const { wal } = props.overview;
  const growing = wal.full_in_seconds != null && wal.growth_bytes_per_second > 0;
  const [from, to] = props.range;
  const ahead = growing ? (to - from) * AHEAD : 0;
  const kept = props.points.map((point): number | null => point.retained_bytes);
  const at = growing ? [...props.at, to + ahead] : props.at;
  const nothing = props.points.slice(1).map(() => null);
  const forecast = [...nothing, wal.retained_bytes, wal.retained_bytes + wal.growth_bytes_per_second * ahead];
  return (
    <Chart
      title="Log kept for the slot"
      note={wal.sentence}
      height={111}
      at={at}
      range={[from + ahead, to + ahead]}
      format={bytes}
      binary
      atLeast={16 * 1_048_576}
      series={[
        { name: "kept", colour: 6, values: growing ? [...kept, null] : kept, fill: true },
        ...(growing ? [{ name: "forecast", colour: 5 as const, values: forecast, dashed: true }] : []),
      ]}
    />
  );
}
