// Which colour and shape belongs to which state.

import type { Level, TablePhase } from "../api/types";
import type { Tone } from "../parts/basics";

const LEVELS: Record<Level, Tone> = { good: "ok", busy: "busy", warning: "warn", bad: "bad" };
const PHASES: Record<TablePhase, Tone> = { live: "ok", copying: "busy", pending: "idle", stopped: "bad", paused: "warn" };

export function toneOf(level: Level): Tone {
  return LEVELS[level];
}

export function phaseTone(phase: TablePhase): Tone {
  return PHASES[phase];
}
