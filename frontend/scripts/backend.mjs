// The backend as Grafana starts it and asks it.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const { pluginv2 } = grpc.loadPackageDefinition(
  loadSync(fileURLToPath(new URL('backend.proto', import.meta.url)), { keepCase: true, longs: Number })
);
const LARGE = { 'grpc.max_receive_message_length': -1 };

/** The address that the program says on its first line. */
async function addressOf(child) {
  for await (const line of createInterface({ input: child.stdout })) {
    const [, , , address, kind] = line.split('|');
    if (kind === 'grpc') return address;
  }
  throw new Error('the program ended without saying its address');
}

/** Starts the program with one data source: a history's, or the demo's. */
export async function start(program, history) {
  const child = spawn(program, [], {
    env: { ...process.env, grafana_plugin_type: 'datasource', PLUGIN_PROTOCOL_VERSIONS: '2' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const address = await addressOf(child);
  const credentials = grpc.credentials.createInsecure();
  const resources = new pluginv2.Resource(address, credentials, LARGE);
  const data = new pluginv2.Data(address, credentials, LARGE);
  const queryData = promisify(data.QueryData.bind(data));
  const pluginContext = {
    orgId: 1,
    pluginId: 'lakeapm-warehouse-datasource',
    dataSourceInstanceSettings: {
      id: 1,
      uid: 'apm',
      name: 'LakeAPM',
      type: 'lakeapm-warehouse-datasource',
      jsonData: Buffer.from(JSON.stringify(history ? { warehouse: 'history', history } : { warehouse: 'demo' })),
      lastUpdatedMS: 1,
    },
  };
  return {
    /** `{code, body}` of a resource. */
    resource: (path, method, url, body) =>
      new Promise((resolve, reject) => {
        const call = resources.CallResource({ pluginContext, path, method, url, body });
        call.on('data', resolve);
        call.on('error', reject);
      }),
    /** `{frames, error}` of one panel query; an alert rule's is asked as a rule's. */
    async query(query, from, to, { alert = false } = {}) {
      const asked = {
        refId: 'A',
        maxDataPoints: alert ? 43200 : 500,
        intervalMS: alert ? 1000 : Math.max(1000, (to - from) / 500),
        timeRange: { fromEpochMS: from, toEpochMS: to },
        json: Buffer.from(JSON.stringify(query)),
      };
      const headers = alert ? { FromAlert: 'true' } : {};
      return (await queryData({ pluginContext, headers, queries: [asked] })).responses.A;
    },
    stop() {
      resources.close();
      data.close();
      child.kill();
    },
  };
}
