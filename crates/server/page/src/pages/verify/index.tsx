// The proof that the target is the source: run it, watch where it looks, read what it found, repair.

import { useEffect, useState } from "preact/hooks";
import { get, messageOf, send } from "../../api/client";
import { now, tables } from "../../api/live";
import { can } from "../../api/session";
import type { TableJob, VerifyJob, VerifyReply } from "../../api/types";
import { useAsked } from "../../api/use";
import { Shell } from "../../app/shell";
import { complain, say } from "../../app/toasts";
import { ago, count, duration, plural } from "../../lib/format";
import { Bar, Empty, Notice } from "../../parts/basics";
import { Ask } from "../../parts/dialog";
import { Job } from "./job";

/** While it runs the page looks this often, otherwise seldom: another browser may begin one. */
const RUNNING_MS = 400;
const RESTING_MS = 5000;

export function VerifyPage() {
  const [fast, setFast] = useState(true);
  const asked = useAsked((signal) => get<VerifyReply>("api/verify", undefined, signal), [], fast ? RUNNING_MS : RESTING_MS);
  const job = asked.value?.job ?? null;
  const running = job?.state === "running";
  useEffect(() => setFast(running), [running]);
  const begin = async () => {
    try {
      await send<VerifyJob>("POST", "api/verify", {});
      setFast(true);
      asked.again();
    } catch (error) {
      complain("The comparison did not begin", error);
    }
  };
  return (
    <Shell crumbs={[{ name: "Verify" }]}>
      <div class="row wrap">
        {running && job ? (
          <Cancel job={job} />
        ) : (
          <button type="button" class="primary" disabled={!can("verify")} onClick={() => void begin()}>
            Compare all {plural(tables.value.length, "table")}
          </button>
        )}
        <span class="muted">
          Both databases sum up checksums of their rows with SQL of their own; where sums differ, rows are looked at one by one.
        </span>
      </div>
      {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} />}
      {job ? (
        <>
          <Headline job={job} />
          <Job job={job} />
        </>
      ) : (
        !asked.loading && <Empty title="Nothing was compared since walhouse started" />
      )}
    </Shell>
  );
}

function Cancel({ job }: { job: VerifyJob }) {
  const cancel = async () => {
    try {
      await send<void>("POST", `api/verify/${job.id}/cancel`);
    } catch (error) {
      complain("The comparison was not cancelled", error);
    }
  };
  return (
    <button type="button" class="danger" onClick={() => void cancel()}>
      Cancel
    </button>
  );
}

const differs = (table: TableJob) => table.verdict != null && !table.verdict.equal;

function Headline({ job }: { job: VerifyJob }) {
  const done = job.tables.filter((table) => table.step === "done").length;
  const different = job.tables.filter(differs);
  const rows = job.tables.reduce((sum, table) => sum + (table.verdict?.rows_source ?? 0), 0);
  const took = duration(((job.ended_ms ?? now.value) - job.started_ms) / 1000);
  if (job.state === "running") {
    return (
      <Notice tone="busy" title={`Comparing for ${took}: ${count(done)} of ${plural(job.tables.length, "table")} done`}>
        <Bar value={done} of={job.tables.length} label="Tables compared" />
      </Notice>
    );
  }
  if (job.state === "failed") return <Notice tone="bad" title={`The comparison could not go on: ${job.error ?? "no reason was given"}`} />;
  if (job.state === "cancelled") return <Notice tone="warn" title={`Cancelled after ${took}, ${count(done)} of ${plural(job.tables.length, "table")} done`} />;
  const when = `${ago(job.ended_ms, now.value)}, in ${took}`;
  if (job.equal) {
    return <Notice tone="ok" title={`Every row equal: ${plural(rows, "row")} of ${plural(job.tables.length, "table")}`}>
        <div>compared {when}</div>
      </Notice>;
  }
  return (
    <Notice tone="bad" title={`${plural(different.length, "table")} of ${job.tables.length} differ`}>
      <div>
        Compared {when}. A change that was under way counts as a difference: compare again before you repair, unless the source stood still.
      </div>
      <Repair job={job} tables={different} />
    </Notice>
  );
}

function Repair({ job, tables: found }: { job: VerifyJob; tables: TableJob[] }) {
  const [asking, setAsking] = useState(false);
  const repair = async () => {
    try {
      await send("POST", `api/verify/${job.id}/repair`, {});
      say(`${plural(found.length, "table")} copied anew`, "Compare again once they are live.");
    } catch (error) {
      complain("The repair did not begin", error);
    }
  };
  return (
    <div class="row">
      <button type="button" class="danger" disabled={!can("commands") || found.length === 0} onClick={() => setAsking(true)}>
        Repair
      </button>
      {asking && (
        <Ask
          question={{
            title: `Copy ${plural(found.length, "table")} anew?`,
            text: `${found.map((table) => `${table.schema}.${table.name}`).join(", ")}. Readers see the old rows until the new ones stand; the history is kept.`,
            action: "Copy anew",
            onYes: repair,
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}
