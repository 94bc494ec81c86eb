// Names for the types that the OpenAPI document describes; schema.d.ts is made from it by `npm run types`.

import type { components } from "./schema";

type Schemas = components["schemas"];

export type AuditEntry = Schemas["AuditEntry"];
export type ChangesReply = Schemas["ChangesReply"];
export type Connector = Schemas["Connector"];
export type ConnectorsReply = Schemas["ConnectorsReply"];
export type ConnectorTask = Schemas["ConnectorTask"];
export type DifferingKeys = Schemas["DifferingKeys"];
export type Features = Schemas["Features"];
export type QueryReply = Schemas["QueryReply"];
export type RowAction = Schemas["RowAction"];
export type RowChange = Schemas["RowChange"];
export type Session = Schemas["Session"];
export type TableCommand = Schemas["TableCommand"];
export type TableJob = Schemas["TableJob"];
export type TableVerdict = Schemas["TableVerdict"];
export type VerifyJob = Schemas["VerifyJob"];
export type VerifyReply = Schemas["VerifyReply"];
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
