// One topic: its partitions, its messages, who reads it, its settings.

import { get, messageOf, part } from "../../api/client";
import { can } from "../../api/session";
import type { TopicDetail, TopicGroupsReply } from "../../api/types";
import { useAsked } from "../../api/use";
import { link } from "../../app/router";
import { Shell } from "../../app/shell";
import { count, plural } from "../../lib/format";
import { Empty, Facts, Notice, Panel, Tabs, Tag } from "../../parts/basics";
import { PlainTable, type PlainColumn } from "../../parts/plain";
import { DeleteTopic } from "./actions";
import { groupTone, Standing } from "./groups";
import { State } from "./index";
import { Messages } from "./messages";

const LOOK_MS = 5000;

const TABS = [
  { id: "partitions", name: "Partitions" },
  { id: "messages", name: "Messages" },
  { id: "groups", name: "Consumer groups" },
  { id: "settings", name: "Settings" },
];

export function TopicPage({ name, tab = "partitions" }: { name: string; tab?: string }) {
  const asked = useAsked((signal) => get<TopicDetail>(`api/topics/${part(name)}`, undefined, signal), [name], LOOK_MS);
  const detail = asked.value;
  const shown = TABS.filter(({ id }) => can("data") || id !== "messages");
  return (
    <Shell crumbs={[{ name: "Topics", href: link(["topics"]) }, { name }]}>
      {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
      {detail && (
        <>
          <Panel title={<State topic={detail.topic} />} aside={<DeleteTopic name={name} />}>
            <Facts
              of={[
                ["Messages", `${count(detail.available)} kept, ${count(detail.total_size)} ever written (gaps counted)`],
                ["Partitions", `${plural(detail.topic.partitions, "partition")}, ${plural(detail.topic.replication, "copy", "copies")} of each`],
              ]}
            />
          </Panel>
          <Tabs label={`About ${name}`} tabs={shown.map(({ id, name: title }) => ({ name: title, href: link(["topics", name, id]), current: id === tab }))} />
          {tab === "partitions" && <Partitions detail={detail} />}
          {tab === "messages" && <Messages topic={name} partitions={detail.partitions.map((one) => one.id)} />}
          {tab === "groups" && <TopicGroups name={name} />}
          {tab === "settings" && <Settings detail={detail} />}
        </>
      )}
    </Shell>
  );
}

type Partition = TopicDetail["partitions"][number];

const PARTITIONS: PlainColumn<Partition>[] = [
  { title: "Partition", cell: (one) => one.id },
  { title: "First", right: true, cell: (one) => count(one.first) },
  { title: "End", right: true, cell: (one) => count(one.end) },
  { title: "Messages", right: true, cell: (one) => count(one.end - one.first) },
  {
    title: "Leader",
    cell: (one) => (
      <>
        {one.leader ?? <Tag tone="bad" dot>none</Tag>}
        {one.leader != null && one.leader !== one.preferred_leader && <Tag tone="warn">{one.preferred_leader} is preferred</Tag>}
      </>
    ),
  },
  {
    title: "Copies on",
    cell: (one) => (
      <>
        {one.replicas.join(", ")}
        {one.offline.length > 0 && <Tag tone="bad">{one.offline.join(", ")} offline</Tag>}
      </>
    ),
  },
  {
    title: "In sync",
    cell: (one) => (one.in_sync.length < one.replicas.length ? <Tag tone="warn">{one.in_sync.join(", ")}</Tag> : one.in_sync.join(", ")),
  },
];

function Partitions({ detail }: { detail: TopicDetail }) {
  return (
    <Panel flush>
      <PlainTable label="Partitions" columns={PARTITIONS} rows={detail.partitions} id={(one) => one.id} />
    </Panel>
  );
}

function TopicGroups({ name }: { name: string }) {
  const asked = useAsked((signal) => get<TopicGroupsReply>(`api/topics/${part(name)}/groups`, undefined, signal), [name], LOOK_MS);
  if (asked.error) return <Notice tone="bad" title={messageOf(asked.error)} alert />;
  if (!asked.value) return <Empty title="Asking every group" />;
  if (asked.value.groups.length === 0) return <Empty title="No group has committed an offset here" />;
  return (
    <>
      {asked.value.groups.map((group) => (
        <Panel
          key={group.id}
          flush
          title={
            <span class="row">
              <a href={link(["groups", group.id])}>{group.id}</a>
              <Tag tone={groupTone(group.state)}>{group.state.toLowerCase()}</Tag>
            </span>
          }
          aside={`lag ${count(group.standing.lag)}`}
        >
          <Standing topic={group.standing} label={`Where ${group.id} stands`} />
        </Panel>
      ))}
    </>
  );
}

type Setting = TopicDetail["settings"][number];

const SETTINGS: PlainColumn<Setting>[] = [
  { title: "Setting", mono: true, cell: (setting) => setting.name },
  { title: "Value", mono: true, cell: (setting) => setting.value ?? <span class="muted">not shown</span> },
  { title: "From", cell: (setting) => (setting.default ? <span class="muted">default</span> : <Tag tone="busy">this topic</Tag>) },
];

function Settings({ detail }: { detail: TopicDetail }) {
  if (detail.settings_problem) return <Notice tone="warn" title={`The settings cannot be read: ${detail.settings_problem}`} />;
  return (
    <Panel flush>
      <PlainTable label="Settings" columns={SETTINGS} rows={detail.settings} id={(setting) => setting.name} />
    </Panel>
  );
}
