// Dialogs: the browser's own, with focus kept inside and Escape to close.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export function Dialog(props: {
  title: string;
  wide?: boolean;
  class?: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog
      ref={element}
      class={`${props.wide ? "wide" : ""} ${props.class ?? ""}`}
      aria-label={props.title}
      onClose={props.onClose}
      onClick={(event) => {
        // A click beside it closes it.
        if (event.target === element.current) element.current?.close();
      }}
    >
      {props.children}
    </dialog>
  );
}

export interface Question {
  title: string;
  /** What will happen, in plain words. */
  text: ComponentChildren;
  action: string;
  danger?: boolean;
  /** What must be typed before it can be done. */
  type?: string;
  onYes: () => Promise<void> | void;
}

/** Asks before something is done. It closes when it is done or refused by the user, and stays while it is under way. */
export function Ask({ question, onClose }: { question: Question; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const ready = !question.type || typed === question.type;
  const yes = async (event: Event) => {
    event.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    try {
      await question.onYes();
    } finally {
      onClose();
    }
  };
  return (
    <Dialog title={question.title} onClose={onClose}>
      <form onSubmit={yes}>
        <h2>{question.title}</h2>
        <div>{question.text}</div>
        {question.type && (
          <label class="field">
            <span>
              Type <b class="mono">{question.type}</b> to go on
            </span>
            <input value={typed} autocomplete="off" spellcheck={false} onInput={(e) => setTyped(e.currentTarget.value)} />
          </label>
        )}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={question.danger ? "danger" : "primary"} disabled={!ready || busy}>
            {busy ? "Working…" : question.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
