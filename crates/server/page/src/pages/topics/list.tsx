// Messages one below the other: where they lie, their key, and what they say; a change as before and after.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Change, Decoded, Message } from "../../api/types";
import { bytes, time } from "../../lib/format";
import { Code, Copy, Tag, type Tone } from "../../parts/basics";
import { Diff, pretty } from "../../parts/diff";

const TONES: Record<string, Tone> = { create: "ok", update: "busy", delete: "bad", truncate: "bad" };
const WORDS: Record<string, string> = {
  read: "copied",
  create: "inserted",
  update: "updated",
  delete: "deleted",
  truncate: "truncated",
  message: "logical message",
  other: "change",
};

export function MessageList({ messages, empty }: { messages: Message[]; empty: ComponentChildren }) {
  if (messages.length === 0) return <>{empty}</>;
  return (
    <ol class="changes messages">
      {messages.map((message) => (
        <li key={`${message.partition}/${message.offset}`}>
          <About message={message} />
          <Value message={message} />
        </li>
      ))}
    </ol>
  );
}

function About({ message }: { message: Message }) {
  const { change, key } = message;
  return (
    <div class="what">
      <div class="row wrap">
        {change && <Tag tone={TONES[change.op] ?? "idle"}>{WORDS[change.op] ?? change.op}</Tag>}
        {!message.value && <Tag>tombstone</Tag>}
        <span class="mono num" title="partition and offset">
          {message.partition} / {message.offset}
        </span>
      </div>
      <span class="num" title="when it was written">
        {time(message.timestamp_ms, true)}
      </span>
      {key && (
        <span class="mono key" title={key.text}>
          {keyText(key)}
        </span>
      )}
      {change?.lsn && (
        <span class="mono muted" title="position in Postgres' log">
          {lsn(change.lsn)}
        </span>
      )}
      {change?.table && (
        <span class="muted">
          {change.schema && `${change.schema}.`}
          {change.table}
        </span>
      )}
    </div>
  );
}

/** A key with its schema is shown without. */
function keyText(key: Decoded): string {
  const json = key.json as { schema?: unknown; payload?: unknown } | null | undefined;
  return json && typeof json === "object" && "schema" in json && "payload" in json ? JSON.stringify(json.payload) : key.text;
}

/** As Postgres prints it. */
function lsn(text: string): string {
  try {
    const number = BigInt(text);
    return `${(number >> 32n).toString(16)}/${(number & 0xffffffffn).toString(16)}`.toUpperCase();
  } catch {
    return text;
  }
}

function Value({ message }: { message: Message }) {
  const [raw, setRaw] = useState(false);
  const { value, change } = message;
  const hasRows = Boolean(change && change.columns.length > 0);
  return (
    <div class="stack tight said">
      {hasRows && change && !raw ? <Diff {...images(change)} label={`${WORDS[change.op]} at offset ${message.offset}`} /> : value && <Raw value={value} offset={message.offset} />}
      <div class="row wrap muted">
        {hasRows && (
          <button type="button" class="link" onClick={() => setRaw(!raw)}>
            {raw ? "as a change" : "as it was written"}
          </button>
        )}
        {value && (
          <span class="num">
            {value.format}, {bytes(value.size)}
          </span>
        )}
        {value && <Copy text={value.text} label={`Copy the value at offset ${message.offset}`} />}
        {message.headers.map((header, index) => (
          <span key={index} class="mono">
            {header.name}: {header.value ?? "NULL"}
          </span>
        ))}
      </div>
    </div>
  );
}

function Raw({ value, offset }: { value: Decoded; offset: number }) {
  return (
    <>
      {value.error && <span class="is-warn">{value.error}</span>}
      <Code text={pretty(value.text)} label={`the value at offset ${offset}`} />
      {value.truncated && <span class="muted">Only its beginning is shown.</span>}
    </>
  );
}

/** What is not known before is no "before". */
function images(change: Change) {
  const of = (side: "before" | "after") => Object.fromEntries(change.columns.map((column) => [column.name, column[side]]));
  const gone = change.op === "delete";
  return { before: change.has_before ? of("before") : undefined, after: gone ? undefined : of("after") };
}
