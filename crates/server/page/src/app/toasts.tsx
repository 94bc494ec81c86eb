// Messages about what the user just did. They go by themselves, except errors.

import { signal } from "@preact/signals";

interface Toast {
  id: number;
  tone: "ok" | "bad";
  title: string;
  text?: string;
}

const STAY_MS = 6000;
const toasts = signal<Toast[]>([]);
let counter = 0;

export function say(title: string, text?: string): void {
  push({ tone: "ok", title, text });
}

export function complain(title: string, error: unknown): void {
  push({ tone: "bad", title, text: error instanceof Error ? error.message : String(error) });
}

function push(toast: Omit<Toast, "id">): void {
  counter += 1;
  const id = counter;
  toasts.value = [...toasts.value.slice(-3), { ...toast, id }];
  if (toast.tone === "ok") setTimeout(() => drop(id), STAY_MS);
}

function drop(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`notice is-${toast.tone}`}>
          <span class={`dot is-${toast.tone}`} />
          <div class="row">
            <span class="title grow">{toast.title}</span>
            <button class="quiet icon" aria-label="Close this message" onClick={() => drop(toast.id)}>
              ×
            </button>
          </div>
          {toast.text && <div>{toast.text}</div>}
        </div>
      ))}
    </div>
  );
}
