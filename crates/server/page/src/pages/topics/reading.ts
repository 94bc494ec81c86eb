// How messages come: a page at a time, or as a stream of what is found or written.

import { useEffect, useState } from "preact/hooks";
import { address, get, part } from "../../api/client";
import type { Message, MessagesReply, Problem, SearchProgress } from "../../api/types";

/** Where reading begins, as it stands in the address of the page. */
export type Wanted = Record<string, string>;

export const FROM = ["newest", "offset", "time", "lsn", "key", "search", "live"] as const;
export type From = (typeof FROM)[number];

/** A stream shows no more than this; the oldest go. */
const MOST_SHOWN = 500;

export interface Reading {
  messages: Message[];
  /** Of a page: why there are no more, and where to go on. */
  page: MessagesReply | null;
  progress: SearchProgress | null;
  error: unknown;
  busy: boolean;
  stop: () => void;
}

const NOTHING = { messages: [], page: null, progress: null, error: null, busy: false };

/** Reads what is wanted, until it is read, stopped, or something else is wanted. */
export function useMessages(topic: string, wanted: Wanted | null, turn: number): Reading {
  const [state, setState] = useState<Omit<Reading, "stop">>(NOTHING);
  const [stop, setStop] = useState<() => void>(() => () => {});
  const key = JSON.stringify(wanted);
  useEffect(() => {
    if (!wanted) return setState(NOTHING);
    setState({ ...NOTHING, busy: true });
    const streams = wanted.from === "search" || wanted.from === "live";
    const end = streams ? stream(topic, wanted, setState) : page(topic, wanted, setState);
    setStop(() => () => {
      end();
      setState((before) => ({ ...before, busy: false }));
    });
    return end;
  }, [topic, key, turn]);
  return { ...state, stop };
}

type Set = (change: Omit<Reading, "stop"> | ((before: Omit<Reading, "stop">) => Omit<Reading, "stop">)) => void;

function page(topic: string, wanted: Wanted, set: Set): () => void {
  const abort = new AbortController();
  get<MessagesReply>(`api/topics/${part(topic)}/messages`, pageQuery(wanted), abort.signal)
    .then((reply) => set({ ...NOTHING, messages: reply.messages, page: reply }))
    .catch((error) => {
      if (!abort.signal.aborted) set({ ...NOTHING, error });
    });
  return () => abort.abort();
}

function pageQuery(wanted: Wanted): Record<string, string | number | undefined> {
  const { from, partition, count, format } = wanted;
  const place: Record<string, string | number | undefined> = { partition, count, format };
  if (from === "offset") place.offset = wanted.offset || "0";
  if (from === "time") place.at_ms = Date.parse(wanted.at ?? "");
  if (from === "lsn") place.lsn = wanted.lsn;
  if (from === "key") {
    place.key = wanted.key;
    place.exact = wanted.exact === "1" ? "true" : "false";
  }
  return place;
}

function stream(topic: string, wanted: Wanted, set: Set): () => void {
  const { partition, format, text } = wanted;
  const common = { partition, format, text };
  const search = { ...common, regex: wanted.regex === "1" ? "true" : undefined, field: wanted.field, equals: wanted.equals, max: wanted.count };
  const live = wanted.from === "live";
  const query = live ? { ...common, back: 10 } : { ...search, from_ms: wanted.at ? Date.parse(wanted.at) : undefined };
  const source = new EventSource(address(`api/topics/${part(topic)}/${live ? "tail" : "search"}`, query));
  let waiting: Message[] = [];
  // Many messages a second are drawn some times a second.
  const draw = setInterval(() => {
    if (waiting.length === 0) return;
    const news = waiting.reverse();
    waiting = [];
    set((before) => ({ ...before, messages: [...(live ? [...news, ...before.messages] : [...before.messages, ...news.reverse()])].slice(0, MOST_SHOWN) }));
  }, 150);
  const end = () => {
    source.close();
    setTimeout(() => clearInterval(draw), 400);
  };
  source.addEventListener("message", (event) => waiting.push(JSON.parse(event.data) as Message));
  source.addEventListener("progress", (event) => {
    const progress = JSON.parse(event.data) as SearchProgress;
    const done = progress.reason != null;
    if (live) return;
    set((before) => ({ ...before, progress, busy: !done }));
    if (done) end();
  });
  source.addEventListener("problem", (event) => {
    const problem = JSON.parse(event.data) as Problem;
    set((before) => ({ ...before, busy: false, error: new Error(problem.advice ? `${problem.error}. ${problem.advice}` : problem.error) }));
    end();
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CONNECTING && live) return;
    set((before) => (before.busy ? { ...before, busy: false, error: new Error("the server ended it; see that the request is right and that it runs") } : before));
    end();
  });
  return end;
}
