// Names for the types that the OpenAPI document describes; schema.d.ts is made from it by `npm run types`.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Arrow = Schemas["Arrow"];
export type ColumnLayout = Schemas["ColumnLayout"];
export type Definition = Schemas["Definition"];
export type HistoryReply = Schemas["HistoryReply"];
export type Latency = Schemas["Latency"];
export type Level = Schemas["Level"];
export type Overview = Schemas["Overview"];
export type PipeState = Schemas["PipeState"];
export type Point = Schemas["Point"];
export type Problem = Schemas["Problem"];
export type Progress = Schemas["Progress"];
export type Stage = Schemas["Stage"];
export type StageKind = Schemas["StageKind"];
export type TableDetail = Schemas["TableDetail"];
export type TableLayout = Schemas["TableLayout"];
export type TablePhase = Schemas["TablePhase"];
export type TableRow = Schemas["TableRow"];
export type TablesEvent = Schemas["TablesEvent"];
export type Wal = Schemas["Wal"];
