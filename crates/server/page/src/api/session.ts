// Who looks, what this console can do; asked first, and again when the server no longer knows us.

import { signal } from "@preact/signals";
import { get, messageOf, send, setToken, whenStranger } from "./client";
import type { Features, Session } from "./types";

export const session = signal<Session | null>(null);
export const sessionError = signal<string | null>(null);

const RETRY_MS = 2000;
let asking = false;

export async function ask(): Promise<void> {
  if (asking) return;
  asking = true;
  try {
    take(await get<Session>("api/session"));
    sessionError.value = null;
  } catch (error) {
    sessionError.value = messageOf(error);
    setTimeout(() => void ask(), RETRY_MS);
  } finally {
    asking = false;
  }
}

function take(next: Session): void {
  setToken(next.csrf);
  session.value = next;
}

export async function logIn(password: string): Promise<void> {
  take(await send<Session>("POST", "api/login", { password }));
}

export async function logOut(): Promise<void> {
  take(await send<Session>("POST", "api/logout"));
}

/** True when this console can do it. */
export function can(feature: keyof Features): boolean {
  return session.value?.features[feature] ?? false;
}

export const mustLogIn = () => session.value?.login === "password" || session.value?.login === "token_only";

whenStranger(() => void ask());
