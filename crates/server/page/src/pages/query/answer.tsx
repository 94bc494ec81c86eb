// What the target answered: rows, a chart, a file for a spreadsheet; or why it did not.

import { useEffect, useState } from "preact/hooks";
import { messageOf, ProblemError } from "../../api/client";
import type { QueryReply } from "../../api/types";
import { bytes, duration, millis, plural, short } from "../../lib/format";
import { Empty, Field, Notice } from "../../parts/basics";
import { csv, drawable, QuickChart, ResultGrid } from "../../parts/results";
import type { Run } from "./run";

type View = "rows" | "chart";
const VIEWS: { view: View; name: string }[] = [
  { view: "rows", name: "Rows" },
  { view: "chart", name: "Chart" },
];

export function Answer({ run }: { run: Run }) {
  const [view, setView] = useState<View>("rows");
  const { reply, error, running } = run;
  const chart = reply && drawable(reply);
  return (
    <section class="panel result" aria-label="Answer" aria-busy={running}>
      <h2 class="sr">Answer</h2>
      <header>
        <div class="row wrap grow num" role="status">
          {running ? <Running since={run.since} /> : reply ? <Summary reply={reply} /> : <span class="muted">{error ? "No answer" : "No answer yet"}</span>}
        </div>
        {reply && !running && (
          <>
            <div class="chips" role="group" aria-label="View">
              {VIEWS.map((one) => (
                <button
                  key={one.view}
                  type="button"
                  aria-pressed={view === one.view}
                  disabled={one.view === "chart" && !chart}
                  onClick={() => setView(one.view)}
                >
                  {one.name}
                </button>
              ))}
            </div>
            <button type="button" onClick={() => save(reply)}>
              CSV
            </button>
          </>
        )}
      </header>
      {error ? (
        <Failure error={error} />
      ) : reply ? (
        view === "chart" && chart ? (
          <Drawn reply={reply} first={chart.x} />
        ) : (
          <ResultGrid result={reply} label="Rows" />
        )
      ) : (
        !running && (
          <Empty title="Write a statement, or pick a name">
            <kbd>Ctrl Enter</kbd> runs it. ClickHouse refuses whatever is not a read.
          </Empty>
        )
      )}
    </section>
  );
}

function Drawn({ reply, first }: { reply: QueryReply; first: number }) {
  const [x, setX] = useState(first);
  const ys = (drawable(reply)?.ys ?? []).filter((y) => y !== x);
  return (
    <div class="scroller drawn">
      <div class="body fields">
        <Field label="Over">
          <select value={x} onChange={(event) => setX(Number(event.currentTarget.value))}>
            {reply.columns.map((column, index) => (
              <option key={column.name} value={index}>
                {column.name}
              </option>
            ))}
          </select>
        </Field>
      </div>
      {ys.length > 0 ? <QuickChart result={reply} x={x} ys={ys} /> : <Empty title="No column of numbers is left to draw" />}
    </div>
  );
}

function Running({ since }: { since: number }) {
  const [, again] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => again((turn) => turn + 1), 100);
    return () => clearInterval(timer);
  }, []);
  return <span>Running for {duration((Date.now() - since) / 1000)}</span>;
}

function Summary({ reply }: { reply: QueryReply }) {
  return (
    <>
      <span>
        {plural(reply.rows.length, "row")}
        {reply.truncated && ", there are more,"} in {millis(reply.elapsed_ms)}
      </span>
      <span class="muted">
        read {short(reply.rows_read)} rows, {bytes(reply.bytes_read)}
      </span>
    </>
  );
}

function Failure({ error }: { error: unknown }) {
  const advice = error instanceof ProblemError ? error.advice : null;
  return (
    <div class="body">
      <Notice tone="bad" title={error instanceof ProblemError ? error.message : messageOf(error)} alert>
        {advice && <div>{advice}</div>}
      </Notice>
    </div>
  );
}

function save(reply: QueryReply): void {
  const url = URL.createObjectURL(new Blob([csv(reply)], { type: "text/csv" }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = "walhouse-query.csv";
  anchor.click();
  URL.revokeObjectURL(url);
}
