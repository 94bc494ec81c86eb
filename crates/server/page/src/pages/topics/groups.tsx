// Consumer groups, and one group: where it stands, how far it is behind, and how that was before.

import { useState } from "preact/hooks";
import { get, messageOf, part } from "../../api/client";
import type { GroupDetail, GroupRow, GroupsReply, GroupTopic } from "../../api/types";
import { useAsked } from "../../api/use";
import { go, link } from "../../app/router";
import { Shell } from "../../app/shell";
import { count, rate, short } from "../../lib/format";
import { Empty, Facts, Filter, Notice, Panel, Tag, type Tone } from "../../parts/basics";
import { Chart } from "../../parts/chart";
import { Grid, type Column } from "../../parts/grid";
import { PlainTable, type PlainColumn } from "../../parts/plain";

const LIST_MS = 5000;
const LOOK_MS = 3000;

export function groupTone(state: string): Tone {
  if (state === "Stable") return "ok";
  return state === "Empty" || state === "Dead" ? "idle" : "busy";
}

const COLUMNS: Column<GroupRow>[] = [
  {
    key: "id",
    title: "Group",
    small: 170,
    cell: (group) => (
      <a href={link(["groups", group.id])} tabIndex={-1} title={group.id}>
        {group.id}
      </a>
    ),
    sort: (group) => group.id,
  },
  {
    key: "state",
    title: "State",
    width: 130,
    small: 96,
    cell: (group) => (
      <Tag tone={groupTone(group.state)} dot>
        {group.state.toLowerCase()}
      </Tag>
    ),
    sort: (group) => group.state,
  },
  { key: "members", title: "Members", width: 90, right: true, from: 560, cell: (group) => count(group.members), sort: (group) => group.members },
  { key: "protocol", title: "Assignment", width: 150, from: 760, cell: (group) => group.protocol || <span class="muted">–</span>, sort: (group) => group.protocol },
  { key: "lag", title: "Lag", hint: "as somebody saw it last", width: 110, small: 70, right: true, cell: (group) => count(group.lag), sort: (group) => group.lag },
];

export function Groups() {
  const [filter, setFilter] = useState("");
  const asked = useAsked((signal) => get<GroupsReply>("api/groups", undefined, signal), [], LIST_MS);
  const all = asked.value?.groups ?? [];
  const wanted = filter.toLowerCase();
  return (
    <>
      <div class="row wrap">
        <Filter value={filter} onInput={setFilter} label="Filter by name" />
        <span class="muted">A group's lag is followed from the moment somebody opens it.</span>
      </div>
      {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
      <section class="panel grid-panel">
        <Grid
          label="Consumer groups"
          columns={COLUMNS}
          rows={all.filter((group) => group.id.toLowerCase().includes(wanted))}
          id={(group) => group.id}
          order={{ key: "lag", down: true }}
          onOpen={(group) => go(["groups", group.id])}
          empty={!asked.loading && <Empty title={all.length > 0 ? "No group is named like that" : "There is no consumer group yet"} />}
        />
      </section>
    </>
  );
}

export function GroupPage({ id }: { id: string }) {
  const asked = useAsked((signal) => get<GroupDetail>(`api/groups/${part(id)}`, undefined, signal), [id], LOOK_MS);
  const group = asked.value;
  return (
    <Shell crumbs={[{ name: "Topics", href: link(["topics"]) }, { name: "Consumer groups", href: link(["groups"]) }, { name: id }]}>
      {Boolean(asked.error) && <Notice tone="bad" title={messageOf(asked.error)} alert />}
      {group && (
        <>
          <Panel
            title={
              <Tag tone={groupTone(group.state)} dot>
                {group.state.toLowerCase()}
              </Tag>
            }
          >
            <Facts
              of={[
                ["Lag", `${count(group.lag)} messages`],
                ["Reads", group.rate != null && `${rate(group.rate)}, over the last minute`],
                ["Assignment", group.protocol],
                ["Members", group.members.map((member) => `${member.client_id} at ${member.host}`).join(", ") || "none"],
              ]}
            />
          </Panel>
          <div class="panel">
            <Chart
              title="Lag, messages"
              at={group.history.map((point) => point.at_ms / 1000)}
              series={[{ name: "lag", colour: 3, values: group.history.map((point) => point.lag), fill: true }]}
              format={short}
              atLeast={10}
              height={150}
            />
          </div>
          {group.topics.map((topic) => (
            <Panel
              key={topic.topic}
              flush
              title={<a href={link(["topics", topic.topic])}>{topic.topic}</a>}
              aside={`lag ${count(topic.lag)}`}
            >
              <Standing topic={topic} label={`Where ${id} stands in ${topic.topic}`} />
            </Panel>
          ))}
          {group.topics.length === 0 && <Empty title="It has committed no offset" />}
        </>
      )}
    </Shell>
  );
}

type Stand = GroupTopic["partitions"][number];

const STANDING: PlainColumn<Stand>[] = [
  { title: "Partition", cell: (one) => one.partition },
  { title: "First", right: true, cell: (one) => count(one.first) },
  { title: "Committed", right: true, cell: (one) => count(one.committed) },
  { title: "End", right: true, cell: (one) => count(one.end) },
  { title: "Lag", right: true, cell: (one) => count(one.lag) },
];

export function Standing({ topic, label }: { topic: GroupTopic; label: string }) {
  return <PlainTable label={label} columns={STANDING} rows={topic.partitions} id={(one) => one.partition} />;
}
