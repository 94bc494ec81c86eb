// Asking the server: JSON in and out, problems as errors that say what to do next.

import type { Problem } from "./types";

/** What the server answered when it did not do as asked. */
export class ProblemError extends Error {
  readonly code: string;
  readonly advice: string | null;
  readonly status: number;

  constructor(status: number, problem: Problem) {
    super(problem.error);
    this.status = status;
    this.code = problem.code;
    this.advice = problem.advice ?? null;
  }
}

type Query = Record<string, string | number | boolean | null | undefined>;

/** Addresses are relative, so that a prefix of a proxy does no harm. */
export function address(path: string, query?: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") search.set(key, String(value));
  }
  const tail = search.toString();
  return `${path}${tail ? `?${tail}` : ""}`;
}

/** A path's part: a name as somebody gave it. */
export const part = encodeURIComponent;

export async function get<Reply>(path: string, query?: Query, signal?: AbortSignal): Promise<Reply> {
  return read<Reply>(await fetch(address(path, query), { signal, headers: { accept: "application/json" } }));
}

export async function send<Reply>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Reply> {
  return read<Reply>(await request(method, path, body, signal));
}

export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json", "x-walhouse-csrf": csrf };
  if (body !== undefined) headers["content-type"] = "application/json";
  return fetch(path, { method, signal, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

export async function read<Reply>(response: Response): Promise<Reply> {
  const text = await response.text();
  if (!response.ok) {
    const error = new ProblemError(response.status, problem(response, text));
    if (error.code === "login_required" || error.code === "csrf") onStranger();
    throw error;
  }
  return (text ? JSON.parse(text) : undefined) as Reply;
}

function problem(response: Response, text: string): Problem {
  try {
    const found = JSON.parse(text) as Partial<Problem>;
    if (typeof found.error === "string") return { code: found.code ?? "internal", error: found.error, advice: found.advice };
  } catch {
    // Not ours: a proxy's page, or plain text.
  }
  const line = text.trim().split("\n")[0] ?? "";
  return { code: "internal", error: line || `the server answered ${response.status} ${response.statusText}` };
}

/** What a state change must carry, so that no other site can make one. */
let csrf = "";

export function setToken(value: string): void {
  csrf = value;
}

/** Called when the server no longer knows who asks: its session ended, or it was started anew. */
let onStranger = () => {};

export function whenStranger(call: () => void): void {
  onStranger = call;
}

export function messageOf(error: unknown): string {
  if (error instanceof ProblemError) return error.advice ? `${error.message}. ${error.advice}` : error.message;
  if (error instanceof TypeError) return "the server does not answer";
  return error instanceof Error ? error.message : String(error);
}
