// SQL against the target: written, run, cancelled; the answer as rows and as a quick chart. The target refuses
// whatever is not a read.

import { useState } from "preact/hooks";
import { can } from "../../api/session";
import { Icon } from "../../app/icons";
import { route } from "../../app/router";
import { Shell } from "../../app/shell";
import { count, duration } from "../../lib/format";
import { Empty, Field } from "../../parts/basics";
import { Editor } from "../../parts/editor";
import { Answer } from "./answer";
import { Names } from "./names";
import { recall, remember } from "./past";
import { useRun } from "./run";

const ROWS = [100, 1000, 10_000, 50_000];
const SECONDS = [5, 30, 120, 300];

export function QueryPage() {
  if (!can("query")) {
    return (
      <Shell crumbs={[{ name: "Query" }]}>
        <Empty title="This console does not query">Either rows are not shown here, or there is no ClickHouse to ask.</Empty>
      </Shell>
    );
  }
  return <Query />;
}

function Query() {
  const [sql, setSql] = useState(() => route.value.query.get("sql") ?? recall()[0] ?? "");
  const [maxRows, setMaxRows] = useState(1000);
  const [seconds, setSeconds] = useState(30);
  const run = useRun();
  const start = () => {
    if (!sql.trim() || run.running) return;
    remember(sql);
    void run.start(sql, maxRows, seconds);
  };
  const insert = (name: string) =>
    setSql((before) => (before.trim() ? `${before.trimEnd()} ${name}` : `SELECT *\nFROM ${name}\nLIMIT 100`));
  return (
    <Shell crumbs={[{ name: "Query" }]} fills>
      <div class="query">
        <section class="stack" aria-label="Statement">
          <Editor value={sql} onInput={setSql} onRun={start} label="SQL statement" />
          <div class="fields">
            {run.running ? (
              <button type="button" class="danger" onClick={() => void run.cancel()}>
                <Icon name="stop" /> Cancel
              </button>
            ) : (
              <button type="button" class="primary" disabled={!sql.trim()} onClick={start}>
                <Icon name="play" /> Run
              </button>
            )}
            <Choice label="Rows at most" value={maxRows} options={ROWS} onChange={setMaxRows} text={count} />
            <Choice label="Time at most" value={seconds} options={SECONDS} onChange={setSeconds} text={duration} />
            <Past onPick={setSql} />
          </div>
        </section>
        <Answer run={run} />
        <Names onPick={insert} />
      </div>
    </Shell>
  );
}

function Choice(props: {
  label: string;
  value: number;
  options: number[];
  onChange: (value: number) => void;
  text: (value: number) => string;
}) {
  return (
    <Field label={props.label}>
      <select value={props.value} onChange={(event) => props.onChange(Number(event.currentTarget.value))}>
        {props.options.map((option) => (
          <option key={option} value={option}>
            {props.text(option)}
          </option>
        ))}
      </select>
    </Field>
  );
}

function Past({ onPick }: { onPick: (sql: string) => void }) {
  const past = recall();
  if (past.length === 0) return null;
  return (
    <Field label="Earlier in this browser">
      <select
        class="past"
        value=""
        onChange={(event) => {
          const picked = past[Number(event.currentTarget.value)];
          if (picked) onPick(picked);
          event.currentTarget.value = "";
        }}
      >
        <option value="">…</option>
        {past.map((sql, index) => (
          <option key={sql} value={index}>
            {sql.replace(/\s+/g, " ").slice(0, 70)}
          </option>
        ))}
      </select>
    </Field>
  );
}
