// The pipe as it is: stations and, on each arrow, what flows there now.

import { tables } from "../../api/live";
import type { Arrow, Overview, Stage, StageKind } from "../../api/types";
import { bytes, count, duration, millis, rate, short } from "../../lib/format";
import { toneOf } from "../../lib/tones";
import { Bar, Dot } from "../../parts/basics";

const TITLES: Record<StageKind, string> = {
  postgres: "Postgres",
  walhouse: "walhouse",
  kafka: "Kafka",
  clickhouse: "ClickHouse",
};

export function Pipe({ overview }: { overview: Overview }) {
  return (
    <section class="pipe fresh" aria-label="The pipe">
      {overview.stages.map((stage, index) => {
        const arrow = overview.arrows[index];
        return [
          <Station key={stage.kind} stage={stage} overview={overview} />,
          arrow && <Flow key={`${stage.kind}-arrow`} arrow={arrow} from={stage} to={overview.stages[index + 1]} />,
        ];
      })}
    </section>
  );
}

function Station({ stage, overview }: { stage: Stage; overview: Overview }) {
  const tone = toneOf(stage.level);
  return (
    <div class={`station is-${tone}`}>
      <div class="row">
        <Dot tone={tone} />
        <h2>{TITLES[stage.kind]}</h2>
      </div>
      <div class="clip muted" title={stage.name}>
        {stage.name}
      </div>
      <StationFacts kind={stage.kind} overview={overview} />
    </div>
  );
}

function StationFacts({ kind, overview }: { kind: StageKind; overview: Overview }) {
  if (kind === "postgres") return <WalGauge overview={overview} />;
  if (kind === "walhouse") {
    const { copy, tables } = overview;
    return copy ? (
      <div class="stack tight">
        <Bar value={copy.fraction} of={1} label="Copied" />
        <span class="num">
          {count(copy.rows)} of {count(copy.rows_estimated)} rows
        </span>
      </div>
    ) : (
      <span class="num">
        {count(tables.live)} of {count(tables.total)} tables live
      </span>
    );
  }
  if (kind === "clickhouse") return <Holdings />;
  return null;
}

/** What is in the target by now. */
function Holdings() {
  const rows = tables.value.reduce((sum, table) => sum + (table.rows ?? table.rows_copied), 0);
  const size = tables.value.reduce((sum, table) => sum + (table.bytes ?? 0), 0);
  return (
    <span class="num">
      {short(rows)} rows{size > 0 && `, ${bytes(size)}`}
    </span>
  );
}

/** How much log the slot holds back, against its limit. */
function WalGauge({ overview }: { overview: Overview }) {
  const { wal } = overview;
  const full = wal.full_in_seconds;
  const tone = full != null && full < 3600 ? "bad" : full != null && full < 86_400 ? "warn" : "ok";
  return (
    <div class="stack tight">
      {wal.limit_bytes != null && (
        <Bar value={wal.retained_bytes} of={wal.limit_bytes} tone={tone} label="Log kept for the slot" />
      )}
      <span class="num">keeps {bytes(wal.retained_bytes)} of log</span>
    </div>
  );
}

function Flow({ arrow, from, to }: { arrow: Arrow; from: Stage; to: Stage | undefined }) {
  const flows = arrow.rows_per_second > 0;
  const behind = arrow.lag_bytes > 0 || arrow.lag_seconds > 0 || (arrow.lag_messages ?? 0) > 0;
  const blocked = to?.level === "bad" || from.level === "bad";
  return (
    <div class={`flow ${flows ? "flows" : ""} ${blocked ? "blocked" : ""}`}>
      <div class="flow-top num">
        <b>{rate(arrow.rows_per_second, "rows")}</b>
        {arrow.bytes_per_second != null && <span class="muted">{bytes(arrow.bytes_per_second)}/s</span>}
      </div>
      <div class="flow-line" aria-hidden="true">
        <i />
      </div>
      <div class="flow-bottom num">
        <span class={behind ? "" : "muted"}>
          {behind ? waiting(arrow) : "nothing waiting"}
        </span>
        {arrow.latency && (
          <span class="muted" title="from the commit in Postgres, over the last minute">
            <span class="nowrap">p50 {millis(arrow.latency.p50_ms)}</span> <span class="nowrap">p99 {millis(arrow.latency.p99_ms)}</span>
          </span>
        )}
      </div>
    </div>
  );
}

/** What has not passed: messages of a broker, or bytes of the log. */
function waiting(arrow: Arrow): string {
  const what = arrow.lag_messages != null ? `${count(arrow.lag_messages)} messages` : bytes(arrow.lag_bytes);
  return `${what} waiting${arrow.lag_seconds > 0 ? `, ${duration(arrow.lag_seconds)}` : ""}`;
}
