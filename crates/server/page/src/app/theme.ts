// Light, dark, or as the system says. theme.ts applies the choice before the first paint.

import { signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const stored = localStorage.getItem("theme");

export const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "auto");

/** Grows with each change of colours: charts draw their colours anew. */
export const colours = signal(0);

export function nextTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const order: Theme[] = dark ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
  const next = order[(order.indexOf(theme.value) + 1) % order.length] ?? "auto";
  theme.value = next;
  if (next === "auto") {
    localStorage.removeItem("theme");
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = next;
  }
  colours.value += 1;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  colours.value += 1;
});

/** The value of a colour token such as "--s1". */
export function colour(token: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(token).trim();
}
