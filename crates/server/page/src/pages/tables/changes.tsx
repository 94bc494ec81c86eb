// Data of a table, shown only after it was asked for: its latest changes as before and after, and one row's versions.

import { useEffect, useState } from "preact/hooks";
import { get, messageOf, part } from "../../api/client";
import { now } from "../../api/live";
import type { ChangesReply, RowAction, RowChange, TableLayout } from "../../api/types";
import { link, route } from "../../app/router";
import { ago, time } from "../../lib/format";
import { Empty, Field, Notice, Panel, Tag, type Tone } from "../../parts/basics";
import { Diff, type RowImage } from "../../parts/diff";
import { cellText } from "../../parts/results";

const TONES: Record<RowAction, Tone> = { insert: "ok", update: "busy", delete: "bad", read: "idle" };
const WORDS: Record<RowAction, string> = { insert: "inserted", update: "updated", delete: "deleted", read: "copied" };

/** Said once per visit: then data may be shown. */
const agreed = new Set<string>();

interface Place {
  schema: string;
  name: string;
}

function useChanges(place: Place, key: Record<string, string> | null, on: boolean) {
  const [changes, setChanges] = useState<RowChange[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const load = async (before: string | null) => {
    setBusy(true);
    try {
      const path = `api/tables/${part(place.schema)}/${part(place.name)}/changes`;
      const reply = await get<ChangesReply>(path, { before, key: key && JSON.stringify(key), limit: 50 });
      setChanges((known) => (before ? [...known, ...reply.changes] : reply.changes));
      setNext(reply.next_before ?? null);
      setError(null);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  useEffect(() => {
    if (!on) return;
    setChanges([]);
    void load(null);
  }, [place.schema, place.name, key && JSON.stringify(key), on]);
  return { changes, next, error, busy, load };
}

function OptIn({ onYes }: { onYes: () => void }) {
  return (
    <Panel>
      <Empty title="This shows rows of the table">
        <p>Everywhere else the console shows names, counts and times only.</p>
        <p>
          <button type="button" class="primary" onClick={onYes}>
            Show data
          </button>
        </p>
      </Empty>
    </Panel>
  );
}

export function Changes({ place }: { place: Place }) {
  const name = `${place.schema}.${place.name}`;
  const [on, setOn] = useState(agreed.has(name));
  const { changes, next, error, busy, load } = useChanges(place, null, on);
  if (!on) {
    return (
      <OptIn
        onYes={() => {
          agreed.add(name);
          setOn(true);
        }}
      />
    );
  }
  return (
    <Panel
      title="Latest changes"
      flush
      aside={
        <button type="button" disabled={busy} onClick={() => void load(null)}>
          Look again
        </button>
      }
    >
      <List name={name} changes={changes} error={error} busy={busy} />
      <More next={next} busy={busy} load={load} />
    </Panel>
  );
}

export function Versions({ place, layout }: { place: Place; layout: TableLayout }) {
  const name = `${place.schema}.${place.name}`;
  const columns = layout.columns.filter((column) => column.key).map((column) => column.name);
  const wanted = wantedKey(columns);
  const [form, setForm] = useState<Record<string, string>>(wanted ?? {});
  const { changes, next, error, busy, load } = useChanges(place, wanted, wanted !== null);
  const submit = (event: Event) => {
    event.preventDefault();
    agreed.add(name);
    location.hash = link(["tables", name, "versions"], { key: JSON.stringify(form) });
  };
  return (
    <Panel title="Versions of one row" flush>
      <form class="body fields" onSubmit={submit}>
        {columns.map((column) => (
          <Field key={column} label={column}>
            <input
              required
              class="mono"
              value={form[column] ?? ""}
              autocomplete="off"
              onInput={(event) => setForm({ ...form, [column]: event.currentTarget.value })}
            />
          </Field>
        ))}
        <button type="submit" class="primary" disabled={busy}>
          Show its versions
        </button>
      </form>
      {wanted && (
        <>
          <List name={name} changes={changes} error={error} busy={busy} timeline />
          <More next={next} busy={busy} load={load} />
        </>
      )}
    </Panel>
  );
}

/** The key in the address, when it names each key column. */
function wantedKey(columns: string[]): Record<string, string> | null {
  try {
    const key = JSON.parse(route.value.query.get("key") ?? "") as Record<string, unknown>;
    const entries = columns.map((column): [string, string] => [column, cellText(key[column])]);
    return columns.every((column) => column in key) ? Object.fromEntries(entries) : null;
  } catch {
    return null;
  }
}

function More({ next, busy, load }: { next: string | null; busy: boolean; load: (before: string | null) => Promise<void> }) {
  if (!next) return null;
  return (
    <div class="body row">
      <button type="button" disabled={busy} onClick={() => void load(next)}>
        Older
      </button>
    </div>
  );
}

function List(props: { name: string; changes: RowChange[]; error: unknown; busy: boolean; timeline?: boolean }) {
  if (props.error) {
    return (
      <div class="body">
        <Notice tone="bad" title={messageOf(props.error)} />
      </div>
    );
  }
  if (props.changes.length === 0) {
    return <Empty title={props.busy ? "Reading" : props.timeline ? "There is no such row" : "No change has come yet"} />;
  }
  return (
    <ol class={`changes ${props.timeline ? "timeline" : ""}`}>
      {props.changes.map((change) => (
        <li key={`${change.version}${cellText(change.key)}`}>
          <About name={props.name} change={change} timeline={props.timeline} />
          <Diff {...images(change)} label={`${WORDS[change.action]} ${keyText(change.key)}`} />
        </li>
      ))}
    </ol>
  );
}

function About({ name, change, timeline }: { name: string; change: RowChange; timeline?: boolean }) {
  const key = change.key as Record<string, unknown>;
  const texts = Object.fromEntries(Object.entries(key).map(([column, value]) => [column, cellText(value)]));
  return (
    <div class="what">
      <div class="row wrap">
        <Tag tone={TONES[change.action]}>{WORDS[change.action]}</Tag>
        {timeline ? null : (
          <a class="mono" href={link(["tables", name, "versions"], { key: JSON.stringify(texts) })} title="All versions of this row">
            {keyText(change.key)}
          </a>
        )}
      </div>
      <span class="num" title={time(change.changed_ms, true)}>
        {timeline ? time(change.changed_ms, true) : ago(change.changed_ms, now.value)}
      </span>
      <span class="mono muted" title="commit position and place in its transaction">
        {change.lsn} · {change.ordinal}
      </span>
    </div>
  );
}

function keyText(key: unknown): string {
  return Object.entries((key ?? {}) as Record<string, unknown>)
    .map(([column, value]) => `${column}=${cellText(value)}`)
    .join(" ");
}

/** What was there before and after. A row that came or went has one side only. */
function images(change: RowChange): { before: RowImage; after: RowImage } {
  const side = (pick: (column: RowChange["columns"][number]) => unknown): RowImage =>
    Object.fromEntries(change.columns.map((column) => [column.name, pick(column)]));
  const before = side((column) => column.before);
  const after = side((column) => column.after);
  const known = change.columns.some((column) => column.before !== null && column.before !== undefined);
  if (change.action === "delete") return { before: known ? before : after, after: null };
  return { before: change.action === "insert" || !known ? null : before, after };
}
