// A Connect worker's console: its connectors, its cluster's topics, groups and messages, in every way they can be read.

import assert from "node:assert/strict";
import { DESK, PHONE } from "../visit.mjs";

export default async function run(visit, house) {
  for (const [size, scheme, where] of [
    [DESK, "light", "desk"],
    [PHONE, "dark", "phone"],
  ]) {
    await places(visit, size, scheme, where);
  }
  await visit.open("", { scheme: "dark" });
  await messages(visit);
  await live(visit, house);
  await manage(visit);
}

/** Every page, as it is. */
async function places(visit, size, scheme, where) {
  const page = await visit.open("", { size, scheme });
  await visit.sees("shop");
  // Without a pipeline there is nothing to show of one.
  assert.equal(await page.getByRole("link", { name: "Tables" }).count(), 0);
  await visit.look(`connectors-${where}`);
  await visit.go("connectors/shop");
  await visit.sees("Tasks");
  await visit.look(`connector-${where}`);
  await visit.go("topics");
  await visit.sees("plain-00");
  await visit.look(`topics-${where}`);
  await page.getByLabel("Filter by name").fill("shop");
  await visit.sees("shop.public.orders");
  await visit.go("topics/shop.public.orders");
  await page.getByRole("region", { name: "Partitions" }).waitFor();
  await visit.look(`topic-${where}`);
  await visit.go("topics/plain-00/settings");
  await visit.sees("retention.ms");
  await visit.look(`settings-${where}`);
  await visit.go("topics/shop.public.orders/messages");
  await visit.sees("This shows the messages themselves");
  await visit.press("Show messages");
  await visit.sees("tombstone");
  await visit.sees("paid");
  await visit.look(`messages-${where}`);
  await visit.go("brokers");
  await visit.sees("there");
  await visit.look(`brokers-${where}`);
  await visit.go("groups");
  await page.locator("tbody tr.can-open").first().waitFor();
  await visit.look(`groups-${where}`);
  await visit.go("groups/console");
  await visit.sees("Members");
  await visit.look(`group-${where}`);
  await page.context().close();
}

/** From an offset and on, of a key, by a search, as something else than JSON. */
async function messages(visit) {
  const { page } = visit;
  const shown = page.locator(".messages > li");
  await visit.go("topics/plain-00/messages?from=offset&partition=1&offset=3&count=20");
  await visit.sees("1 / 3");
  assert.equal(await shown.count(), 20);
  await visit.press("Next");
  await visit.sees("1 / 23");
  await visit.press("Previous");
  await visit.sees("1 / 22");
  await visit.go("topics/plain-00/messages?from=key&key=key-77&count=20");
  await visit.sees("value 77");
  assert.equal(await shown.count(), 1);
  await visit.go("topics/plain-00/messages?from=search&text=value 4[0-9]&regex=1&count=50");
  await visit.sees("50 found in");
  await page.waitForFunction(() => document.querySelectorAll(".messages > li").length === 50);
  await visit.look("search");
  await visit.go("topics/shop.public.orders/messages?from=search&field=after.state&equals=paid&count=50");
  await visit.sees("1 found");
  await page.getByRole("button", { name: "as it was written" }).first().click();
  await visit.sees("\"transaction\"");
}

/** What is written now shows by itself. */
async function live(visit, house) {
  await visit.go("topics/shop.public.orders/messages?from=live");
  await visit.sees("waiting for more");
  await house("change");
  await visit.sees("sent now");
  await visit.look("live");
  await visit.press("Stop");
}

/** A topic is made and deleted; one that a connector owns is refused. */
async function manage(visit) {
  const { page } = visit;
  await visit.go("topics");
  await visit.press("New topic");
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("made-here");
  await page.getByRole("button", { name: "Create" }).click();
  await visit.sees("made-here is made");
  await visit.go("topics/made-here");
  await visit.press("Delete");
  await page.getByLabel(/^Type/).fill("made-here");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await visit.sees("made-here is deleted");
  visit.forgive("Failed to load resource");
  await visit.go("topics/shop.public.orders");
  await visit.press("Delete");
  await page.getByLabel(/^Type/).fill("shop.public.orders");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await visit.sees("belongs to connector shop");
  await page.context().close();
}
