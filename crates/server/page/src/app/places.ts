// The pages, in the order of the menu, each with the key that goes there after "g".

import { session } from "../api/session";
import type { IconName } from "./icons";

export interface Place {
  path: string;
  name: string;
  icon: IconName;
  key: string;
  /** It shows the pipeline; a Connect worker has none. */
  pipeline?: boolean;
}

const PLACES: Place[] = [
  { path: "", name: "Overview", icon: "overview", key: "o", pipeline: true },
  { path: "tables", name: "Tables", icon: "tables", key: "t", pipeline: true },
  { path: "query", name: "Query", icon: "query", key: "q", pipeline: true },
  { path: "verify", name: "Verify", icon: "verify", key: "v", pipeline: true },
  { path: "topics", name: "Topics", icon: "topics", key: "k" },
  { path: "connectors", name: "Connectors", icon: "connectors", key: "c" },
];

/** Whether this console shows a pipeline; until it is known, it does. */
export const hasPipeline = () => session.value?.features.pipeline ?? true;

/** Those that this console has. */
export const places = () => PLACES.filter((place) => !place.pipeline || hasPipeline());
