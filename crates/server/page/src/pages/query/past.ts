// Statements that were run in this browser, newest first. Answers are never kept.

const KEY = "queries";
const KEPT = 30;

export function recall(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((sql): sql is string => typeof sql === "string") : [];
  } catch {
    return [];
  }
}

export function remember(sql: string): void {
  const all = [sql, ...recall().filter((other) => other !== sql)].slice(0, KEPT);
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // A full store only forgets.
  }
}
