// The keyboard: "g" and a letter goes to a page, "/" filters, Ctrl-K jumps, "?" explains.

import { signal } from "@preact/signals";
import { places } from "./places";
import { go } from "./router";

export type Overlay = "none" | "palette" | "help";

export const overlay = signal<Overlay>("none");

const SEQUENCE_MS = 1200;
let waiting = 0;

export function listen(): void {
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      overlay.value = "palette";
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || overlay.value !== "none") return;
    if (document.querySelector("dialog[open]")) return;
    if (press(event.key)) event.preventDefault();
  });
}

function press(key: string): boolean {
  if (Date.now() - waiting < SEQUENCE_MS) {
    waiting = 0;
    const place = places().find((candidate) => candidate.key === key);
    if (place) go(place.path ? [place.path] : []);
    return place !== undefined;
  }
  if (key === "g") waiting = Date.now();
  else if (key === "?") overlay.value = "help";
  else if (key === "/") {
    const field = document.querySelector<HTMLInputElement>("[data-filter]");
    field?.focus();
    field?.select();
    return field !== null;
  } else return false;
  return true;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable]") !== null;
}
