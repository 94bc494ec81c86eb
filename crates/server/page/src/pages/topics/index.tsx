// The cluster: its topics, thousands of them too. Offsets are not asked for here, so that nothing stalls.

import { useState } from "preact/hooks";
import { get, messageOf } from "../../api/client";
import { can } from "../../api/session";
import type { ClusterReply, TopicRow } from "../../api/types";
import { useAsked } from "../../api/use";
import { go, link, route } from "../../app/router";
import { Shell } from "../../app/shell";
import { count, plural } from "../../lib/format";
import { Chips, Empty, Filter, Notice, Tag } from "../../parts/basics";
import { Grid, type Column } from "../../parts/grid";
import { NewTopic, TopicMenu } from "./actions";
import { Brokers } from "./brokers";
import { Groups } from "./groups";
import { ClusterTabs } from "./tabs";

const LOOK_MS = 5000;

const COLUMNS: Column<TopicRow>[] = [
  {
    key: "name",
    title: "Topic",
    small: 190,
    cell: (topic) => (
      <a href={link(["topics", topic.name])} tabIndex={-1} title={topic.name}>
        {topic.name}
      </a>
    ),
    sort: (topic) => topic.name,
  },
  { key: "partitions", title: "Partitions", width: 96, small: 84, right: true, cell: (topic) => count(topic.partitions), sort: (topic) => topic.partitions },
  { key: "replication", title: "Copies", width: 76, right: true, from: 560, cell: (topic) => topic.replication, sort: (topic) => topic.replication },
  { key: "state", title: "State", width: 210, from: 480, cell: (topic) => <State topic={topic} />, sort: (topic) => topic.leaderless * 1e6 + topic.under_replicated * 1e3 + topic.not_preferred },
  { key: "menu", title: "", width: 44, from: 480, cell: (topic) => <TopicMenu name={topic.name} /> },
];

export function State({ topic }: { topic: TopicRow }) {
  if (topic.leaderless > 0) return <Tag tone="bad" dot>{count(topic.leaderless)} without a leader</Tag>;
  if (topic.under_replicated > 0) return <Tag tone="warn" dot>{count(topic.under_replicated)} under-replicated</Tag>;
  if (topic.not_preferred > 0) return <Tag tone="warn" dot>{count(topic.not_preferred)} not led as preferred</Tag>;
  return <Tag tone="ok" dot>healthy</Tag>;
}

const KINDS = ["data", "internal", "all"] as const;
type Kind = (typeof KINDS)[number];

/** `part`: topics, brokers or groups. */
export function ClusterPage({ part }: { part: "topics" | "brokers" | "groups" }) {
  const on = can("topics");
  const asked = useAsked(async (signal) => (on ? get<ClusterReply>("api/topics", undefined, signal) : null), [on], LOOK_MS);
  const cluster = asked.value;
  return (
    <Shell crumbs={[{ name: part === "topics" ? "Topics" : part === "brokers" ? "Brokers" : "Consumer groups" }]} fills>
      {on ? (
        <>
          <ClusterTabs current={part} />
          {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
          {part === "groups" && <Groups />}
          {part === "brokers" && cluster && <Brokers cluster={cluster} />}
          {part === "topics" && <Topics cluster={cluster} loading={asked.loading} again={asked.again} />}
        </>
      ) : (
        <Empty title="This console has no Kafka cluster">
          <code>walhouse connect</code> shows the one it works with, and <code>walhouse run</code> the one in <code>[kafka] bootstrap</code>.
        </Empty>
      )}
    </Shell>
  );
}

function Topics({ cluster, loading, again }: { cluster: ClusterReply | null; loading: boolean; again: () => void }) {
  const { query } = route.value;
  const [filter, setFilter] = useState(query.get("filter") ?? "");
  const [kind, setKind] = useState<Kind>("data");
  const wanted = filter.toLowerCase();
  const all = cluster?.topics ?? [];
  const named = all.filter((topic) => topic.name.toLowerCase().includes(wanted));
  const of = (kind: Kind) => named.filter((topic) => kind === "all" || topic.internal === (kind === "internal"));
  return (
    <>
      <div class="row wrap">
        <Filter value={filter} onInput={setFilter} label="Filter by name" />
        <Chips label="Kind" options={KINDS.map((value) => ({ value, name: value, count: of(value).length }))} value={kind} onChange={setKind} />
        {can("create_topics") && <NewTopic onMade={again} />}
        {cluster && (
          <span class="muted">
            {plural(cluster.brokers.length, "broker")}, {plural(cluster.partitions, "partition")} at <code>{cluster.bootstrap}</code>
          </span>
        )}
      </div>
      <section class="panel grid-panel">
        <Grid
          label="Topics"
          columns={COLUMNS}
          rows={of(kind)}
          id={(topic) => topic.name}
          order={{ key: "name", down: false }}
          onOpen={(topic) => go(["topics", topic.name])}
          empty={!loading && <Empty title={all.length > 0 ? "No topic is like that" : "There is no topic yet"} />}
        />
      </section>
    </>
  );
}
