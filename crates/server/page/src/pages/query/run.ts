// One statement at a time: started, watched, cancelled.

import { useEffect, useRef, useState } from "preact/hooks";
import { send } from "../../api/client";
import type { QueryReply } from "../../api/types";

interface State {
  running: boolean;
  /** When it began, on the browser's clock. */
  since: number;
  reply: QueryReply | null;
  error: unknown;
}

export interface Run extends State {
  start: (sql: string, maxRows: number, seconds: number) => Promise<void>;
  cancel: () => Promise<void>;
}

export function useRun(): Run {
  const [state, setState] = useState<State>({ running: false, since: 0, reply: null, error: null });
  const id = useRef("");
  const end = () => send("POST", `api/query/${id.current}/cancel`);
  // Who leaves the page does not wait for the answer.
  useEffect(() => () => void (id.current && end().catch(() => {})), []);

  const start = async (sql: string, maxRows: number, seconds: number) => {
    const mine = crypto.randomUUID();
    id.current = mine;
    setState((before) => ({ ...before, running: true, since: Date.now(), error: null }));
    try {
      const body = { sql, query_id: mine, max_rows: maxRows, timeout_seconds: seconds };
      const reply = await send<QueryReply>("POST", "api/query", body);
      setState({ running: false, since: 0, reply, error: null });
    } catch (error) {
      setState({ running: false, since: 0, reply: null, error });
    } finally {
      if (id.current === mine) id.current = "";
    }
  };
  const cancel = async () => {
    try {
      await end();
    } catch (error) {
      setState((before) => ({ ...before, error }));
    }
  };
  return { ...state, start, cancel };
}
