// Where the page is, kept behind the # of the address: no server has to know, and a prefix in front does no harm.
// "#/tables/public.sales/ddl?x=1" is path ["tables", "public.sales", "ddl"] with the query x.

import { signal } from "@preact/signals";

export interface Route {
  path: string[];
  query: URLSearchParams;
}

export const route = signal<Route>(parse(location.hash));

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/** The address of a place. */
export function link(path: (string | number)[], query?: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.set(key, String(value));
  const tail = search.toString();
  return `#/${path.map((part) => encodeURIComponent(part)).join("/")}${tail ? `?${tail}` : ""}`;
}

export function go(path: (string | number)[], query?: Record<string, string | number | undefined>): void {
  location.hash = link(path, query);
}
