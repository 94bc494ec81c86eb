// Pictures for the README: each page of a living demo, in light and in the dark. Those that a console has are taken.

import { PICTURE } from "../visit.mjs";

// The load of the demo is all of this month: it would dwarf the others.
const SQL = `SELECT toStartOfMonth(order_date) AS month, sum(order_quantity) AS pieces, count() AS orders
FROM view_sales_last_rec
WHERE order_date < toStartOfMonth(now())
GROUP BY month
ORDER BY month`;

export default async function run(visit) {
  for (const scheme of ["light", "dark"]) {
    const page = await visit.open("", { size: PICTURE, scheme });
    const has = await visit.features();
    const take = (name) => visit.picture(`${name}-${scheme}`);
    await visit.sees(/^Live/);
    await page.locator(".flow.flows").last().waitFor();
    await take(has.connectors ? "kafka" : "overview");
    await (has.connectors ? cluster : pipeline)(visit, take);
    await page.context().close();
  }
}

async function pipeline(visit, take) {
  const { page } = visit;
  await visit.go("tables");
  await visit.sees("sales_territory");
  await take("tables");
  await visit.go("tables/public.sales/changes");
  await visit.press("Show data");
  await page.locator(".changes > li").first().waitFor();
  await take("table");
  await visit.go(`query?sql=${encodeURIComponent(SQL)}`);
  await visit.press("Run");
  await visit.press("Chart");
  await page.locator(".drawn canvas").waitFor();
  await take("query");
}

async function cluster(visit, take) {
  await visit.go("topics");
  await visit.sees("rembo.public.sales");
  await take("topics");
  await visit.go("topics/rembo.public.sales/messages");
  await visit.press("Show messages");
  await visit.page.locator(".messages > li").first().waitFor();
  await take("messages");
  await visit.go("connectors");
  await visit.sees("rembo-db-connector");
  await take("connectors");
}
