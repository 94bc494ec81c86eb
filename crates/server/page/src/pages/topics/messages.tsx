// A topic's messages, shown only after they were asked for: from a place, of a key, found by a search, or as they come.
// What is asked for stands in the address, so that it can be kept and sent.

import { useEffect, useState } from "preact/hooks";
import { messageOf } from "../../api/client";
import type { MessagesReply } from "../../api/types";
import { go, route } from "../../app/router";
import { count, percent, time } from "../../lib/format";
import { Bar, Empty, Field, Notice, Panel } from "../../parts/basics";
import { MessageList } from "./list";
import { FROM, useMessages, type From, type Reading, type Wanted } from "./reading";

const NAMES: Record<From, string> = {
  newest: "the newest",
  offset: "an offset",
  time: "a time",
  lsn: "a position in Postgres' log",
  key: "a key",
  search: "a search",
  live: "now on, live",
};
const FORMATS = ["auto", "json", "text", "int", "avro", "protobuf", "msgpack", "hex"];
const COUNTS = ["20", "50", "100", "500"];

export function Messages({ topic, partitions }: { topic: string; partitions: number[] }) {
  const wanted = fromAddress();
  const [form, setForm] = useState<Wanted>(wanted ?? { from: "newest", count: "50" });
  const [turn, setTurn] = useState(0);
  const reading = useMessages(topic, wanted, turn);
  const address = JSON.stringify(wanted);
  // The address may change by itself: the browser's back, a link from elsewhere.
  useEffect(() => {
    if (wanted) setForm(wanted);
  }, [address]);
  const ask = (next: Wanted) => {
    setForm(next);
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value));
    go(["topics", topic, "messages"], kept);
    setTurn((before) => before + 1);
  };
  return (
    <Panel flush title="Messages" aside={wanted && <Result reading={reading} />}>
      <Form form={form} set={setForm} partitions={partitions} reading={reading} onAsk={() => ask(form)} />
      {Boolean(reading.error) && (
        <div class="body">
          <Notice tone="bad" title={messageOf(reading.error)} alert />
        </div>
      )}
      {wanted ? (
        <MessageList messages={reading.messages} empty={<None reading={reading} />} />
      ) : (
        <Empty title="This shows the messages themselves">Everywhere else the console shows names, counts and times only.</Empty>
      )}
      {wanted && reading.page && <Paging wanted={wanted} page={reading.page} onAsk={ask} />}
    </Panel>
  );
}

function fromAddress(): Wanted | null {
  const wanted = Object.fromEntries(route.value.query);
  return FROM.some((from) => from === wanted.from) ? wanted : null;
}

interface FormProps {
  form: Wanted;
  set: (form: Wanted) => void;
  partitions: number[];
  reading: Reading;
  onAsk: () => void;
}

function Form({ form, set, partitions, reading, onAsk }: FormProps) {
  const input = (name: string) => ({
    value: form[name] ?? "",
    autocomplete: "off",
    spellcheck: false,
    onInput: (event: { currentTarget: HTMLInputElement }) => set({ ...form, [name]: event.currentTarget.value }),
  });
  const choose = (name: string) => (event: { currentTarget: HTMLSelectElement }) => set({ ...form, [name]: event.currentTarget.value });
  const check = (name: string, label: string) => (
    <label class="check">
      <input type="checkbox" checked={form[name] === "1"} onChange={(event) => set({ ...form, [name]: event.currentTarget.checked ? "1" : "" })} />
      {label}
    </label>
  );
  const submit = (event: Event) => {
    event.preventDefault();
    onAsk();
  };
  const from = form.from as From;
  return (
    <form class="body fields" onSubmit={submit} aria-label="Which messages">
      <Field label="From">
        <select value={from} onChange={choose("from")}>
          {FROM.map((value) => (
            <option key={value} value={value}>
              {NAMES[value]}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Partition">
        <select value={form.partition ?? ""} required={from === "offset"} onChange={choose("partition")}>
          <option value="">{from === "offset" ? "choose one" : "all"}</option>
          {partitions.map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </Field>
      {from === "offset" && <Field label="Offset"><input class="mono" inputMode="numeric" pattern="[0-9]+" required {...input("offset")} /></Field>}
      {(from === "time" || from === "search") && <Field label={from === "time" ? "Time, yours" : "Not before"}><input type="datetime-local" step="1" required={from === "time"} {...input("at")} /></Field>}
      {from === "lsn" && <Field label="LSN"><input class="mono" required placeholder="0/16E3778" {...input("lsn")} /></Field>}
      {from === "key" && <Field label="Key, or a value in it"><input class="mono" required {...input("key")} /></Field>}
      {from === "key" && check("exact", "these very bytes")}
      {(from === "search" || from === "live") && <Field label="Text in key, value or headers"><input class="mono" {...input("text")} /></Field>}
      {from === "search" && check("regex", "is a pattern")}
      {from === "search" && <Field label="Field of the value"><input class="mono" placeholder="after.id" {...input("field")} /></Field>}
      {from === "search" && form.field && <Field label="equals"><input class="mono" {...input("equals")} /></Field>}
      {from !== "live" && (
        <Field label="At most">
          <select value={form.count ?? "50"} onChange={choose("count")}>
            {COUNTS.map((value) => (
              <option key={value}>{value}</option>
            ))}
          </select>
        </Field>
      )}
      <Field label="Values are">
        <select value={form.format ?? "auto"} onChange={choose("format")}>
          {FORMATS.map((value) => (
            <option key={value}>{value}</option>
          ))}
        </select>
      </Field>
      {reading.busy ? (
        <button type="button" onClick={reading.stop}>
          Stop
        </button>
      ) : (
        <button type="submit" class="primary">
          Show messages
        </button>
      )}
    </form>
  );
}

const REASONS: Record<string, string> = {
  time: "the time for it was over",
  bytes: "they are large",
  scanned: "as far as it looks",
};

/** How much was looked at, and why it ended. */
function Result({ reading }: { reading: Reading }) {
  const { progress, page } = reading;
  if (progress) {
    const where = progress.total > 0 ? percent(progress.scanned, progress.total) : "";
    return (
      <span class="row num" role="status">
        {reading.busy && <Bar value={progress.scanned} of={progress.total} label="searched" />}
        {count(progress.found)} found in {count(progress.scanned)} messages {reading.busy && where}
        {progress.reason === "scanned" && progress.at_ms != null && `, ended at its limit at ${time(progress.at_ms)}`}
      </span>
    );
  }
  if (!page) return reading.busy ? <span role="status">{reading.messages.length > 0 ? `${count(reading.messages.length)} shown, waiting for more` : "waiting"}</span> : null;
  const reason = REASONS[page.reason];
  return (
    <span class="num" role="status">
      {count(page.messages.length)} shown, {count(page.scanned)} looked at{reason && `: ${reason}`}
    </span>
  );
}

function None({ reading }: { reading: Reading }) {
  if (reading.error) return null;
  return <Empty title={reading.busy ? "Reading" : "There are no such messages"} />;
}

/** To the beginning, back, on, to the newest. */
function Paging({ wanted, page, onAsk }: { wanted: Wanted; page: MessagesReply; onAsk: (wanted: Wanted) => void }) {
  const size = Number(wanted.count ?? "50");
  const partition = wanted.partition;
  const among = page.watermarks.find((one) => String(one.partition) === partition);
  const offsets = page.messages.map((message) => message.offset);
  const at = (offset: number) => onAsk({ ...wanted, from: "offset", offset: String(offset) });
  const last = page.messages.at(-1);
  const next = page.next.length === 1 ? page.next[0] : undefined;
  const first = offsets.length > 0 ? Math.min(...offsets) : (among?.end ?? 0);
  return (
    <div class="body row wrap">
      {among && (
        <>
          <button type="button" disabled={first <= among.first} onClick={() => at(among.first)}>
            First
          </button>
          <button type="button" disabled={first <= among.first} onClick={() => at(Math.max(among.first, first - size))}>
            Previous
          </button>
        </>
      )}
      {next && among && (
        <button type="button" disabled={next.offset >= among.end} onClick={() => at(next.offset)}>
          Next
        </button>
      )}
      {!among && wanted.from === "time" && last?.timestamp_ms != null && page.reason === "count" && (
        <button type="button" onClick={() => onAsk({ ...wanted, at: local(last.timestamp_ms ?? 0) })}>
          Later
        </button>
      )}
      <button type="button" onClick={() => onAsk({ ...wanted, from: "newest" })}>
        Newest
      </button>
    </div>
  );
}

/** As the browser's field for times writes it. */
function local(ms: number): string {
  return time(ms).replace(" ", "T");
}
