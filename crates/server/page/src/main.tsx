// Where the page begins: follow the server, listen to the keyboard, show the page that the address names.

import { effect } from "@preact/signals";
import { render } from "preact";
import { start } from "./api/live";
import { ask, mustLogIn, session } from "./api/session";
import { listen } from "./app/keys";
import { Shell } from "./app/shell";
import { link, route } from "./app/router";
import { Empty } from "./parts/basics";
import { ConnectorsPage } from "./pages/connectors";
import { NewConnectorPage } from "./pages/connectors/new";
import { ConnectorPage } from "./pages/connectors/one";
import { LoginPage } from "./pages/login";
import { hasPipeline } from "./app/places";
import { OverviewPage } from "./pages/overview";
import { QueryPage } from "./pages/query";
import { TablePage } from "./pages/tables/one";
import { TablesPage } from "./pages/tables";
import { ClusterPage } from "./pages/topics";
import { GroupPage } from "./pages/topics/groups";
import { TopicPage } from "./pages/topics/one";
import { VerifyPage } from "./pages/verify";

function Page() {
  const [place = "", ...rest] = route.value.path;
  switch (place) {
    case "":
      return hasPipeline() ? <OverviewPage /> : <ConnectorsPage />;
    case "tables":
      return rest[0] ? <TablePage key={rest[0]} name={rest[0]} tab={rest[1]} /> : <TablesPage />;
    case "query":
      return <QueryPage />;
    case "verify":
      return <VerifyPage />;
    case "topics":
      return rest[0] ? <TopicPage key={rest[0]} name={rest[0]} tab={rest[1]} /> : <ClusterPage part="topics" />;
    case "brokers":
      return <ClusterPage part="brokers" />;
    case "groups":
      return rest[0] ? <GroupPage key={rest[0]} id={rest[0]} /> : <ClusterPage part="groups" />;
    case "connectors":
      if (rest[0] === "new" && rest[1]) return <NewConnectorPage />;
      return rest[0] ? <ConnectorPage key={rest[0]} name={rest[0]} /> : <ConnectorsPage />;
    default:
      return (
        <Shell crumbs={[{ name: "Not here" }]}>
          <Empty title="There is no such page">
            <a href={link([])}>To the overview</a>
          </Empty>
        </Shell>
      );
  }
}

function App() {
  return mustLogIn() ? <LoginPage /> : <Page />;
}

effect(() => {
  if (session.value && !mustLogIn()) start();
});
void ask();
listen();
const root = document.getElementById("app");
if (root) render(<App />, root);
