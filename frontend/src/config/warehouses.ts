// What each warehouse needs to begin. The backend knows what its own settings mean; this is which of them a person is asked.

export type Part = 'host' | 'database' | 'user' | 'login' | 'history';

export interface Warehouse {
  value: string;
  label: string;
  description: string;
  /** The fields, those that are needed marked. */
  fields: Array<{ part: Part; needed?: boolean; placeholder?: string; help?: string }>;
  port?: number;
  /** Whether it is reached over a connection that TLS can protect. */
  tls?: boolean;
}

const folder = 'A folder on the Grafana server, with its whole path, or an address s3://bucket/folder.';

export const WAREHOUSES: Warehouse[] = [
  {
    value: 'demo',
    label: 'Demo',
    description: "A made-up company's warehouse, to look around in; nothing to connect",
    fields: [],
  },
  {
    value: 'history',
    label: 'History',
    description: 'What a collector wrote, without a connection to the warehouse',
    fields: [{ part: 'history', needed: true, placeholder: '/var/lib/lakeapm/history', help: folder }],
  },
  {
    value: 'redshift',
    label: 'Amazon Redshift',
    description: 'Provisioned or serverless, read from the SYS views',
    port: 5439,
    tls: true,
    fields: [
      { part: 'host', needed: true, placeholder: 'warehouse.example.com' },
      { part: 'user', needed: true, placeholder: 'lakeapm' },
      { part: 'login' },
      { part: 'database', placeholder: 'dev' },
    ],
  },
];

/** The entry of a name; a data source without one shows the demo. */
export function warehouseOf(name: string | undefined): Warehouse | undefined {
  return WAREHOUSES.find(({ value }) => value === (name || 'demo'));
}
