// Brokers, those that are missing too, and what each leads.

import type { ClusterReply } from "../../api/types";
import { count, percent } from "../../lib/format";
import { Panel, Tag } from "../../parts/basics";
import { PlainTable, type PlainColumn } from "../../parts/plain";

type Broker = ClusterReply["brokers"][number];

export function Brokers({ cluster }: { cluster: ClusterReply }) {
  const columns: PlainColumn<Broker>[] = [
    {
      title: "Broker",
      cell: (broker) => (
        <>
          {broker.id}
          {broker.controller && <span class="muted"> controller</span>}
        </>
      ),
    },
    { title: "Address", mono: true, cell: (broker) => (broker.host ? `${broker.host}:${broker.port}` : "–") },
    { title: "State", cell: (broker) => (broker.host ? <Tag tone="ok" dot>there</Tag> : <Tag tone="bad" dot>missing</Tag>) },
    { title: "Leads", right: true, cell: (broker) => count(broker.leads) },
    { title: "Should lead", right: true, cell: (broker) => count(broker.should_lead) },
    { title: "Of all", right: true, cell: (broker) => percent(broker.leads, cluster.partitions) },
  ];
  return (
    <Panel title={`Brokers of ${cluster.bootstrap}`} flush>
      <PlainTable label="Brokers" columns={columns} rows={cluster.brokers} id={(broker) => broker.id} />
    </Panel>
  );
}
