// The frame around every page: where one can go, how the pipe is, whether the page still hears the server.

import type { ComponentChildren } from "preact";
import { connection, now, overview } from "../api/live";
import { logOut, session } from "../api/session";
import { Dot, Tag } from "../parts/basics";
import { toneOf } from "../lib/tones";
import { duration } from "../lib/format";
import { Icon, Mark } from "./icons";
import { overlay } from "./keys";
import { Overlays } from "./palette";
import { hasPipeline, places } from "./places";
import { link, route } from "./router";
import { nextTheme, theme } from "./theme";
import { Toasts } from "./toasts";

export interface Crumb {
  name: string;
  href?: string;
}

export function Shell(props: { crumbs: Crumb[]; fills?: boolean; children: ComponentChildren }) {
  const lost = connection.value === "lost";
  return (
    <div class={`shell ${lost ? "stale" : ""}`}>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        Skip to the content
      </a>
      <Side />
      <div class="main">
        <header class="top">
          <Crumbs crumbs={props.crumbs} />
          <div class="top-right">
            <Connection />
            {!lost && hasPipeline() && <StatePill />}
            <button
              class="quiet hint"
              onClick={() => {
                overlay.value = "palette";
              }}
            >
              <Icon name="search" /> Jump <kbd>Ctrl K</kbd>
            </button>
            <button class="quiet icon" onClick={nextTheme} aria-label={`Colours: ${theme.value}`} title={`Colours: ${theme.value}`}>
              <Icon name={theme.value === "auto" ? "auto" : theme.value === "dark" ? "moon" : "sun"} />
            </button>
          </div>
        </header>
        <main id="content" tabIndex={-1} class={`content ${props.fills ? "fills" : ""}`}>
          {props.children}
        </main>
      </div>
      <Toasts />
      <Overlays />
    </div>
  );
}

function Side() {
  const first = route.value.path[0] ?? "";
  // Groups and brokers are looked at beside topics; without a pipeline one begins at the connectors.
  const here = first === "groups" || first === "brokers" ? "topics" : first === "" && !hasPipeline() ? "connectors" : first;
  const counts = overview.value?.tables;
  return (
    <aside class="side" aria-label="walhouse">
      <a class="brand" href={link([])}>
        <Mark /> walhouse
      </a>
      <nav class="places" aria-label="Pages">
        {places().map((place) => (
          <a
            key={place.path}
            href={link([place.path].filter(Boolean))}
            aria-current={here === place.path ? "page" : undefined}
            aria-keyshortcuts={`g ${place.key}`}
          >
            <Icon name={place.icon} />
            {place.name}
            {place.path === "tables" && counts && counts.stopped > 0 && (
              <Tag tone="bad">
                {counts.stopped}
                <span class="sr"> stopped</span>
              </Tag>
            )}
          </a>
        ))}
      </nav>
      <div class="side-foot">
        {overview.value && hasPipeline() && (
          <span class="clip" title="the replication slot, which names the pipeline">
            slot {overview.value.slot}
          </span>
        )}
        {session.value && <span>version {session.value.version}</span>}
        {session.value?.login === "done" && (
          <button class="link" onClick={() => void logOut()}>
            Log out
          </button>
        )}
        <button
          class="link"
          onClick={() => {
            overlay.value = "help";
          }}
        >
          Keys: press ?
        </button>
      </div>
    </aside>
  );
}

function Crumbs({ crumbs }: { crumbs: Crumb[] }) {
  const last = crumbs.at(-1);
  return (
    <div class="crumbs">
      {crumbs.slice(0, -1).map((crumb) => [
        <a key={crumb.name} href={crumb.href}>
          {crumb.name}
        </a>,
        <span key={`${crumb.name}/`} class="sep" aria-hidden="true">
          /
        </span>,
      ])}
      <h1 class="clip">{last?.name}</h1>
    </div>
  );
}

function StatePill() {
  const health = overview.value?.health;
  if (!health) return null;
  return (
    <a class="statepill fresh" href={link([])} title={health.cause ?? undefined}>
      <span class={`is-${toneOf(health.level)} row`}>
        <Dot tone={toneOf(health.level)} />
      </span>
      <span class="clip">{firstClause(health.sentence)}</span>
    </a>
  );
}

/** The pill has room for the first clause: the overview has the whole sentence. */
function firstClause(sentence: string): string {
  return sentence.split(/[:;]/)[0] ?? sentence;
}

function Connection() {
  if (connection.value === "live") return null;
  if (connection.value === "connecting") return <Tag>connecting</Tag>;
  const at = overview.value?.at_ms;
  const age = at ? `, numbers are ${duration((now.value - at) / 1000)} old` : "";
  return (
    <span role="status">
      <Tag tone="bad" dot>
        no answer from walhouse{age}
      </Tag>
    </span>
  );
}
