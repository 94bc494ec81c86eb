// A thousand tables: the first look is as soon as ever, and the list is scrolled, filtered and opened.

import assert from "node:assert/strict";
import { firstLook } from "../visit.mjs";

export default async function run(visit) {
  await firstLook(visit);
  const page = await visit.open("tables");
  await visit.sees("1000");
  assert.ok((await page.locator("tbody tr").count()) < 200, "only what is seen is drawn");
  await visit.look("tables");
  await page.keyboard.press("/");
  await page.keyboard.type("t777");
  await page.getByRole("link", { name: "t777" }).waitFor();
  await page.locator("tbody tr.can-open").nth(1).waitFor({ state: "detached" });
  await page.getByRole("link", { name: "t777" }).click();
  await page.getByRole("heading", { level: 1, name: "public.t777" }).waitFor();
  await visit.sees("integer");
  await page.context().close();
}
