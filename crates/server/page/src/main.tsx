// Where the page begins: follow the server, listen to the keyboard, show the page that the address names.

import { render } from "preact";
import { start } from "./api/live";
import { listen } from "./app/keys";
import { Shell } from "./app/shell";
import { link, route } from "./app/router";
import { Empty } from "./parts/basics";
import { OverviewPage } from "./pages/overview";
import { TablePage } from "./pages/tables/one";
import { TablesPage } from "./pages/tables";

function Page() {
  const [place = "", ...rest] = route.value.path;
  switch (place) {
    case "":
      return <OverviewPage />;
    case "tables":
      return rest[0] ? <TablePage key={rest[0]} name={rest[0]} tab={rest[1]} /> : <TablesPage />;
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

start();
listen();
const root = document.getElementById("app");
if (root) render(<Page />, root);
