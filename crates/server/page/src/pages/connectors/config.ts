// A connector's configuration as JSON that a person writes: with or without Connect's envelope of name and config.

export type Config = Record<string, string>;

export function toText(config: Config): string {
  return JSON.stringify(config, null, 2);
}

/** The configuration, or what is wrong with the text. */
export function fromText(text: string): Config | string {
  const read = parse(text);
  return typeof read === "string" ? read : read.config;
}

export interface Draft {
  name: string | null;
  config: Config;
}

export function parse(text: string): Draft | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return `this is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (!isObject(value)) return "a configuration is a JSON object of keys and values";
  const inner = isObject(value.config) ? value.config : value;
  const config: Config = {};
  for (const [key, entry] of Object.entries(inner)) {
    if (entry === null || typeof entry === "object") return `the value of ${key} must be text, a number or a truth value`;
    config[key] = String(entry);
  }
  const name = isObject(value.config) && typeof value.name === "string" ? value.name : (config.name ?? null);
  return { name, config };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const EXAMPLE = toText({
  "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
  "tasks.max": "1",
  "database.hostname": "localhost",
  "database.port": "5432",
  "database.user": "app",
  "database.password": "",
  "database.dbname": "shop",
  "topic.prefix": "shop",
  "plugin.name": "pgoutput",
  "slot.name": "shop",
  "table.include.list": "public.*",
});
