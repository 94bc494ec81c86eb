// The first look: is my data flowing, how fresh is it, what is slow, what is wrong and what do I do.

import { now, overview } from "../../api/live";
import type { Overview } from "../../api/types";
import { Shell } from "../../app/shell";
import { ago, count, millis, rate } from "../../lib/format";
import { toneOf } from "../../lib/tones";
import { Dot, Empty } from "../../parts/basics";
import { Charts } from "./charts";
import { Lists } from "./lists";
import { Pipe } from "./pipe";

export function OverviewPage() {
  const value = overview.value;
  return (
    <Shell crumbs={[{ name: "Overview" }]}>
      {value ? (
        <>
          <State overview={value} />
          <Pipe overview={value} />
          <Charts overview={value} />
          <Lists />
        </>
      ) : (
        <Empty title="Asking walhouse how it is">The state comes with its first message.</Empty>
      )}
    </Shell>
  );
}

function State({ overview }: { overview: Overview }) {
  const { health } = overview;
  const tone = toneOf(health.level);
  return (
    <section class={`state is-${tone} fresh`} aria-label="State" aria-live="polite" aria-atomic="true">
      <div class="state-words">
        <p class="state-sentence">
          <Dot tone={tone} />
          <span>{capital(health.sentence)}</span>
        </p>
        {health.cause && (
          <dl class="facts">
            <dt>Cause</dt>
            <dd>{health.cause}</dd>
            {health.advice && [<dt key="t">Next step</dt>, <dd key="d">{capital(health.advice)}</dd>]}
            {health.since_ms != null && [<dt key="st">Since</dt>, <dd key="sd">{ago(health.since_ms, now.value)}</dd>]}
          </dl>
        )}
      </div>
      <Readouts overview={overview} />
    </section>
  );
}

function Readouts({ overview }: { overview: Overview }) {
  const last = overview.arrows.at(-1);
  const readouts: [string, string][] = [
    ["rows per second", rate(last?.rows_per_second)],
    ["commit to visible, p50", millis(last?.latency?.p50_ms)],
    ["p99", millis(last?.latency?.p99_ms)],
    ["tables live", `${count(overview.tables.live)} / ${count(overview.tables.total)}`],
  ];
  return (
    <dl class="readouts num">
      {readouts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
