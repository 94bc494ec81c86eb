// Asking once, or again and again, from a component.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Asked<T> {
  value: T | null;
  error: unknown;
  /** Under way for the first time, or for other inputs. */
  loading: boolean;
  again: () => void;
}

/** Asks when `inputs` change, and every `everyMs` while the page is looked at. The last answer stays meanwhile. */
export function useAsked<T>(ask: (signal: AbortSignal) => Promise<T>, inputs: unknown[], everyMs?: number): Asked<T> {
  const [state, setState] = useState<{ value: T | null; error: unknown; loading: boolean }>({
    value: null,
    error: null,
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(ask);
  latest.current = ask;

  useEffect(() => {
    setState((before) => ({ ...before, value: null, error: null, loading: true }));
  }, inputs);

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      try {
        if (!document.hidden || turn === 0) {
          const value = await latest.current(stop.signal);
          if (!stop.signal.aborted) setState({ value, error: null, loading: false });
        }
      } catch (error) {
        if (!stop.signal.aborted) setState((before) => ({ ...before, error, loading: false }));
      }
      if (everyMs && !stop.signal.aborted) timer = setTimeout(round, everyMs);
    };
    void round();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [...inputs, turn, everyMs]);

  return { ...state, again: useCallback(() => setTurn((before) => before + 1), []) };
}
