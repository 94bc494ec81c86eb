// A click through each action of a live house: a table's pages, SQL, pause and resume and resync, and a difference
// that is found and repaired.

import assert from "node:assert/strict";

const TABLE = "public.customer";
/** How often, and for how long, a repair is looked for. */
const LOOK_MS = 500;
const LOOKS = 240;

export default async function run(visit, house) {
  const page = await visit.open();
  await visit.sees(/^Live/);
  await table(visit);
  await query(visit);
  await house("be_quiet");
  await commands(visit);
  await verify(visit, house);
  await page.context().close();
}

/** How it maps, what it is made of, what changed, one row's versions. */
async function table(visit) {
  const { page } = visit;
  await visit.go(`tables/${TABLE}`);
  await page.getByRole("cell", { name: "timestamp with time zone" }).waitFor();
  await visit.look("table");
  await visit.go(`tables/${TABLE}/ddl`);
  await visit.sees("view_customer_last_rec");
  await visit.look("ddl");
  await visit.go("tables/public.sales/changes");
  await visit.sees("This shows rows of the table");
  assert.equal(await page.locator(".changes").count(), 0, "rows show only when asked for");
  await visit.press("Show data");
  await page.locator(".changes > li").first().waitFor();
  await visit.look("changes");
  await page.locator(".changes > li a").first().click();
  await page.locator(".timeline > li").first().waitFor();
  await visit.look("versions");
}

/** Rows, a chart, what is refused, what is ended by its reader. */
async function query(visit) {
  const { page } = visit;
  const editor = page.getByLabel("SQL statement");
  await visit.go("query");
  await editor.fill("SELECT sales_territory_id AS territory, count() AS orders FROM view_sales_last_rec GROUP BY territory ORDER BY territory");
  await page.keyboard.press("Control+Enter");
  await visit.sees(/rows? in/);
  await visit.look("query");
  await visit.press("Chart");
  await page.locator(".drawn canvas").waitFor();
  await visit.look("chart");
  visit.forgive("Failed to load resource");
  await editor.fill("DROP TABLE sales");
  await visit.press("Run");
  await page.getByRole("alert").waitFor();
  await visit.look("refused");
  await editor.fill("SELECT count() FROM system.numbers");
  await visit.press("Run");
  await visit.press("Cancel");
  await visit.sees("it was cancelled");
}

/** Each asks first, says that it was taken, and shows. */
async function commands(visit) {
  const { page } = visit;
  await visit.go(`tables/${TABLE}`);
  const phase = (name) => page.locator(".panel > header .tag").getByText(name, { exact: true }).waitFor();
  await phase("live");
  await visit.press("Pause");
  await visit.look("pause");
  await answer(page, "Pause");
  await phase("paused");
  await visit.look("paused");
  await visit.press("Resume");
  await answer(page, "Resume");
  await phase("live");
  await visit.press("Resync");
  await answer(page, "Resync");
  await visit.sees(`${TABLE} is being copied anew`);
  await phase("live");
}

async function answer(page, name) {
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

/** A row that somebody changed in the target is found, shown, and repaired. */
async function verify(visit, house) {
  const { page } = visit;
  await house("harm");
  await visit.go("verify");
  const compare = page.getByRole("button", { name: /^Compare all/ });
  await compare.click();
  await visit.sees("1 table of 4 differ");
  await visit.sees("Only in ClickHouse");
  await visit.look("differs");
  await visit.press("Repair");
  await answer(page, "Copy anew");
  await house("be_ready");
  await untilEqual(page, compare);
  await visit.look("equal");
}

/** Compares again until the copy that mends it has been put in place. */
async function untilEqual(page, compare) {
  const equal = page.getByText(/^Every row equal/);
  for (let look = 0; look < LOOKS && !(await equal.isVisible()); look += 1) {
    if (await compare.isVisible()) await compare.click();
    await page.waitForTimeout(LOOK_MS);
  }
  await equal.waitFor();
}
