// A house that loses its source, and gets it back: what is wrong, what to do, and that it is well again.

import assert from "node:assert/strict";
import { PHONE } from "../visit.mjs";

export default async function run(visit, house) {
  const page = await visit.open();
  await visit.sees(/^Live/);
  await house("stop_postgres");
  await visit.sees(/^Waiting for Postgres/);
  await visit.sees("Next step");
  assert.equal(await page.locator(".station.is-bad").count(), 1);
  await visit.look("overview");
  await visit.open("", { size: PHONE, scheme: "dark" });
  await visit.sees(/^Waiting for Postgres/);
  await visit.look("phone");
  await house("start_postgres");
  await visit.sees(/^Live/);
  await visit.look("mended");
  await silence(visit, house);
}

/** The page says when nobody answers, dims what is old, and goes on by itself. */
async function silence(visit, house) {
  visit.forgive("Failed to load resource");
  visit.forgive("ERR_");
  await house("stop_walhouse");
  await visit.sees(/no answer from walhouse/);
  await visit.shot("silent");
  await house("start_walhouse");
  await visit.sees(/^Live/);
  await visit.page.getByText(/no answer from walhouse/).waitFor({ state: "detached" });
  await visit.shot("heard-again");
}
