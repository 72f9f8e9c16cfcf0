import { type DataSourceJsonData } from '@grafana/data';
import { type DataQuery } from '@grafana/schema';

/** How an answer is framed. */
export type Format = 'time_series' | 'table' | 'logs';

/** `auto` reads the history where there is one, `live` asks the warehouse now. */
export type Mode = 'auto' | 'live';

/** What a panel, an alert rule or Explore stores. The text is the single truth; the builder reads and writes it. */
export interface LakeQuery extends DataQuery {
  query: string;
  format: Format;
  mode?: Mode;
  /** Set while a dashboard refreshes by itself; it is not saved. */
  refresh?: boolean;
  /** An IANA name. Missing is the dashboard's, in alert rules UTC. */
  timezone?: string;
  schemaVersion: 1;
}

/** What a variable stores. */
export interface LakeVariableQuery extends DataQuery {
  /** Which list: the first column of a panel query's answer, or one of the names that can stand in one. */
  kind: 'query' | 'annotation_keys' | 'dimensions' | 'measures';
  /** The panel query of kind `query`. */
  query?: string;
}

/** A rule of one's own: what fills a dimension, or whose queries are. */
export interface Rule {
  dimension?: string;
  keys?: string[];
  from?: string;
  pattern?: string;
  value?: string;
  where?: string;
  team?: string;
  app?: string;
  override?: boolean;
}

/** What a warehouse costs for a time. */
export interface Charge {
  warehouse?: string;
  from?: string;
  to?: string;
  usd_per_hour?: number;
  node_type?: string;
  nodes?: number;
  rpu?: number;
  usd_per_rpu_hour?: number;
  workers?: number;
  usd_per_worker_hour?: number;
  usd_per_tb?: number;
  discount?: number;
  weight?: string;
}

/** The data source's settings; the command line's TOML has the same fields. */
export interface LakeSettings extends DataSourceJsonData {
  warehouse?: string;
  host?: string;
  port?: number;
  database?: string;
  user?: string;
  auth?: string;
  aws?: { region?: string; cluster?: string; workgroup?: string; profile?: string; role?: string; endpoint?: string };
  tls?: { mode?: string; ca?: string };
  history?: string;
  mode?: Mode;
  allow_wake?: boolean;
  bill?: Charge[];
  rules?: Rule[];
  names?: Array<string | Record<string, string>>;
  limits?: { rows?: number; timeout?: number };
  texts?: 'viewer' | 'editor' | 'admin';
  session_gap?: string;
}

/** The secrets, which Grafana keeps encrypted and never gives back to the browser. */
export interface LakeSecrets {
  password?: string;
  aws_access_key?: string;
  aws_secret_key?: string;
  people_key?: string;
}

export const PLUGIN_ID = 'lakeapm-warehouse-datasource';

export const DEFAULT_QUERY: Pick<LakeQuery, 'query' | 'format' | 'mode' | 'schemaVersion'> = {
  query: 'queries by app top 5',
  format: 'time_series',
  mode: 'auto',
  schemaVersion: 1,
};
