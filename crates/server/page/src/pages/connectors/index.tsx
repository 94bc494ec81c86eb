// The connectors of the Connect worker: their state, and making new ones.

import { useState } from "preact/hooks";
import { get, messageOf } from "../../api/client";
import { can } from "../../api/session";
import type { Connector, ConnectorsReply } from "../../api/types";
import { useAsked } from "../../api/use";
import { go, link } from "../../app/router";
import { Shell } from "../../app/shell";
import { Empty, Filter, Notice, Tag } from "../../parts/basics";
import { Grid, type Column } from "../../parts/grid";
import { ConnectorMenu } from "./actions";
import { stateTone } from "./states";

const LOOK_MS = 2000;

const COLUMNS: Column<Connector>[] = [
  {
    key: "name",
    title: "Connector",
    width: 260,
    small: 150,
    cell: (connector) => (
      <a href={link(["connectors", connector.name])} tabIndex={-1}>
        {connector.name}
      </a>
    ),
    sort: (connector) => connector.name,
  },
  {
    key: "state",
    title: "State",
    width: 120,
    cell: (connector) => (
      <Tag tone={stateTone(connector.state)} dot>
        {connector.state.toLowerCase()}
      </Tag>
    ),
    sort: (connector) => connector.state,
  },
  { key: "type", title: "Type", width: 80, from: 560, cell: (connector) => connector.type, sort: (connector) => connector.type },
  { key: "tasks", title: "Tasks", width: 150, from: 640, cell: (connector) => <Tasks connector={connector} /> },
  {
    key: "class",
    title: "Class",
    from: 760,
    cell: (connector) => <span title={connector.config["connector.class"]}>{lastPart(connector.config["connector.class"])}</span>,
    sort: (connector) => lastPart(connector.config["connector.class"]),
  },
  { key: "worker", title: "Worker", width: 170, from: 1000, mono: true, cell: (connector) => connector.worker, sort: (connector) => connector.worker },
  { key: "menu", title: "", width: 44, cell: (connector) => <ConnectorMenu connector={connector} /> },
];

export function ConnectorsPage() {
  const [filter, setFilter] = useState("");
  const asked = useAsked((signal) => get<ConnectorsReply>("api/connectors", undefined, signal), [], LOOK_MS);
  const wanted = filter.toLowerCase();
  const all = asked.value?.connectors ?? [];
  const shown = all.filter((connector) => connector.name.toLowerCase().includes(wanted));
  return (
    <Shell crumbs={[{ name: "Connectors" }]} fills>
      {can("connectors") ? (
        <>
          <div class="row wrap">
            <Filter value={filter} onInput={setFilter} label="Filter by name" />
            <a class="button" href={link(["connectors", "new", "connector"])}>
              New connector
            </a>
            {asked.value && (
              <span class="muted">
                Connect {asked.value.version}
                {asked.value.kafka_cluster_id && `, cluster ${asked.value.kafka_cluster_id}`}
              </span>
            )}
          </div>
          {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
          <section class="panel grid-panel">
            <Grid
              label="Connectors"
              columns={COLUMNS}
              rows={shown}
              id={(connector) => connector.name}
              order={{ key: "name", down: false }}
              onOpen={(connector) => go(["connectors", connector.name])}
              empty={!asked.loading && <Empty title={all.length > 0 ? "No connector is named like that" : "There is no connector yet"} />}
            />
          </section>
        </>
      ) : (
        <Empty title="This console has no Connect worker">
          <code>walhouse connect</code> runs one; <code>walhouse run</code> needs none.
        </Empty>
      )}
    </Shell>
  );
}

function Tasks({ connector }: { connector: Connector }) {
  const failed = connector.tasks.filter((task) => task.state === "FAILED").length;
  const running = connector.tasks.filter((task) => task.state === "RUNNING").length;
  return (
    <span class="num">
      {running} of {connector.tasks.length} running{failed > 0 && <span class="is-bad">, {failed} failed</span>}
    </span>
  );
}

function lastPart(name: string | undefined): string {
  return name?.split(".").at(-1) ?? "";
}
