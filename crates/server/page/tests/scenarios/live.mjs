// Every page of a house that is live, on a desk in light and on a phone in the dark.

import assert from "node:assert/strict";
import { DESK, firstLook, PHONE } from "../visit.mjs";

const PLACES = [
  { name: "overview", hash: "", shows: "commit to visible, p50" },
  { name: "tables", hash: "tables", shows: "sales_territory" },
  { name: "table", hash: "tables/public.customer", shows: "timestamp with time zone" },
  { name: "query", hash: "query", shows: "Write a statement" },
  { name: "verify", hash: "verify", shows: "Nothing was compared" },
];

export default async function run(visit) {
  await firstLook(visit);
  for (const [size, scheme, where] of [
    [DESK, "light", "desk"],
    [PHONE, "dark", "phone"],
  ]) {
    const page = await visit.open("", { size, scheme });
    for (const place of PLACES) {
      await visit.go(place.hash);
      await visit.sees(place.shows);
      await visit.look(`${place.name}-${where}`);
    }
    await page.context().close();
  }
  await keyboard(visit);
}

async function keyboard(visit) {
  const page = await visit.open();
  await visit.sees("commit to visible, p50");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await visit.sees("sales_territory");
  await page.keyboard.press("/");
  await page.keyboard.type("customer");
  await page.locator("tbody tr.can-open").nth(1).waitFor({ state: "detached" });
  await page.locator("tbody tr.can-open").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "public.customer" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("terri");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "public.sales_territory" }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("heading", { name: "Keys" }).waitFor();
  await visit.look("keys");
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Keys" }).waitFor({ state: "detached" });
  const before = await page.evaluate(() => getComputedStyle(document.body).color);
  await page.getByRole("button", { name: /^Colours/ }).click();
  await page.waitForFunction((old) => getComputedStyle(document.body).color !== old, before);
  await page.context().close();
}
