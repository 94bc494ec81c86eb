// The pages, in the order of the menu, each with the key that goes there after "g".

import type { IconName } from "./icons";

export interface Place {
  path: string;
  name: string;
  icon: IconName;
  key: string;
}

export const PLACES: Place[] = [
  { path: "", name: "Overview", icon: "overview", key: "o" },
  { path: "tables", name: "Tables", icon: "tables", key: "t" },
  { path: "query", name: "Query", icon: "query", key: "q" },
  { path: "verify", name: "Verify", icon: "verify", key: "v" },
  { path: "topics", name: "Topics", icon: "topics", key: "k" },
  { path: "connectors", name: "Connectors", icon: "connectors", key: "c" },
];
