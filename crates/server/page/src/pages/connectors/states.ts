// What Connect calls the states of connectors and tasks, in our colours.

import type { Tone } from "../../parts/basics";

const TONES: Record<string, Tone> = {
  RUNNING: "ok",
  PAUSED: "warn",
  STOPPED: "warn",
  FAILED: "bad",
  UNASSIGNED: "busy",
  RESTARTING: "busy",
};

export function stateTone(state: string): Tone {
  return TONES[state] ?? "idle";
}
