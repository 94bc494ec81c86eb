// The way through Kafka: one pipe of four stations, and the pages of both of its halves.

import assert from "node:assert/strict";
import { DESK, PHONE } from "../visit.mjs";

export default async function run(visit) {
  for (const [size, scheme, where] of [
    [DESK, "light", "desk"],
    [PHONE, "dark", "phone"],
  ]) {
    const page = await visit.open("", { size, scheme });
    await visit.sees(/^Live/);
    assert.equal(await page.locator(".station").count(), 4);
    await page.locator(".flow.flows").nth(2).waitFor();
    await visit.look(`overview-${where}`);
    for (const [hash, shows] of [
      ["tables", "sales_territory"],
      ["topics", "rembo.public.sales"],
      ["connectors", "rembo-db-connector"],
      ["groups", "walhouse-default-sales"],
    ]) {
      await visit.go(hash);
      await visit.sees(shows);
      await visit.look(`${hash}-${where}`);
    }
    await page.context().close();
  }
  await visit.open("tables/public.sales/changes");
  await visit.press("Show data");
  await visit.page.locator(".changes > li").first().waitFor();
  await visit.look("changes");
}
