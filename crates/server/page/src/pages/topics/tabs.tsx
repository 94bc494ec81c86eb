// The parts of a cluster beside each other.

import { link } from "../../app/router";
import { Tabs } from "../../parts/basics";

const PARTS = [
  { path: "topics", name: "Topics" },
  { path: "groups", name: "Consumer groups" },
  { path: "brokers", name: "Brokers" },
];

export function ClusterTabs({ current }: { current: string }) {
  return <Tabs label="The cluster" tabs={PARTS.map(({ path, name }) => ({ name, href: link([path]), current: path === current }))} />;
}
