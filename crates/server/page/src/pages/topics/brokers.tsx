// Brokers, those that are missing too, and what each leads.

import type { ClusterReply } from "../../api/types";
import { count, percent } from "../../lib/format";
import { Panel, Tag } from "../../parts/basics";

export function Brokers({ cluster }: { cluster: ClusterReply }) {
  return (
    <Panel title={`Brokers of ${cluster.bootstrap}`} flush>
      <div class="scroll" tabIndex={0} role="region" aria-label="Brokers">
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Broker</th>
              <th scope="col">Address</th>
              <th scope="col">State</th>
              <th scope="col" class="right">Leads</th>
              <th scope="col" class="right">Should lead</th>
              <th scope="col" class="right">Of all</th>
            </tr>
          </thead>
          <tbody class="num">
            {cluster.brokers.map((broker) => (
              <tr key={broker.id}>
                <th scope="row">
                  {broker.id}
                  {broker.controller && <span class="muted"> controller</span>}
                </th>
                <td class="mono">{broker.host ? `${broker.host}:${broker.port}` : "–"}</td>
                <td>{broker.host ? <Tag tone="ok" dot>there</Tag> : <Tag tone="bad" dot>missing</Tag>}</td>
                <td class="right">{count(broker.leads)}</td>
                <td class="right">{count(broker.should_lead)}</td>
                <td class="right">{percent(broker.leads, cluster.partitions)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
