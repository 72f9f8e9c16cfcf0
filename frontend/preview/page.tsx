// The editors on a page of their own, in one theme: `?theme=light&show=query`.

import { CoreApp, createTheme, dateTime, ThemeContext, type DataSourceInstanceSettings } from '@grafana/data';
import { setBackendSrv, setTemplateSrv, type BackendSrv, type BackendSrvRequest, type TemplateSrv } from '@grafana/runtime';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import React, { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { from } from 'rxjs';

import AnnotationEditor from '../src/annotations/AnnotationEditor';
import ConfigEditor from '../src/config/ConfigEditor';
import { LakeDatasource } from '../src/datasource';
import Help from '../src/help/Help';
import QueryEditor from '../src/query/QueryEditor';
import { type LakeQuery, type LakeSettings, type LakeVariableQuery } from '../src/types';
import VariableEditor from '../src/variables/VariableEditor';
import { templates } from '../tests/templates';

async function send(request: BackendSrvRequest) {
  const query = new URLSearchParams(Object.entries(request.params ?? {}).filter(([, value]) => value !== undefined) as string[][]).toString();
  const response = await fetch(request.url + (query ? `?${query}` : ''), {
    method: request.method ?? 'GET',
    body: request.data ? JSON.stringify(request.data) : undefined,
  });
  const data = await response.json();
  if (!response.ok) {
    throw { status: response.status, data };
  }
  return { data, status: response.status, ok: true };
}

setBackendSrv({
  fetch: (request: BackendSrvRequest) => from(send(request)),
  post: async (url: string, data: unknown) => (await send({ url, method: 'POST', data })).data,
} as unknown as BackendSrv);
const variables = templates({ dag: 'margin_report', app: ['airflow', 'dbt'] });
setTemplateSrv(variables as TemplateSrv);

const address = new URLSearchParams(location.search);
const mode = address.get('theme') === 'light' ? 'light' : 'dark';
const theme = createTheme({ colors: { mode } });
const settings = { id: 1, uid: 'apm', type: 'lakeapm-warehouse-datasource', name: 'LakeAPM', jsonData: {}, meta: {}, readOnly: false, access: 'proxy', url: '/api/datasources/proxy/uid/apm' };
const datasource = new LakeDatasource(settings as unknown as DataSourceInstanceSettings<LakeSettings>, variables);
const range = { from: dateTime().subtract(7, 'days'), to: dateTime(), raw: { from: 'now-7d', to: 'now' } };

function Query({ query, format, app }: { query: string; format: LakeQuery['format']; app?: CoreApp }) {
  const [saved, setSaved] = useState<LakeQuery>({ refId: 'A', query, format, mode: 'auto', schemaVersion: 1 });
  return <QueryEditor datasource={datasource} query={saved} onChange={setSaved} onRunQuery={() => undefined} range={range} app={app} />;
}

function Settings({ jsonData, readOnly }: { jsonData: LakeSettings; readOnly?: boolean }) {
  const [options, setOptions] = useState({ ...settings, jsonData, readOnly: readOnly ?? false, secureJsonFields: { password: true }, secureJsonData: {} });
  return <ConfigEditor options={options as never} onOptionsChange={(next) => setOptions(next as never)} />;
}

function Variable() {
  const [query, setQuery] = useState<LakeVariableQuery>({ refId: 'v', kind: 'query', query: 'values of task where dag in ($dag)' });
  return <VariableEditor datasource={datasource} query={query} onChange={setQuery} onRunQuery={() => undefined} />;
}

function Annotation() {
  const [annotation, setAnnotation] = useState({ name: 'x', enable: true, iconColor: 'red' });
  return <AnnotationEditor datasource={datasource} annotation={annotation} onAnnotationChange={setAnnotation as never} query={{} as never} onChange={() => undefined} onRunQuery={() => undefined} />;
}

const PAGES: Record<string, React.ReactElement> = {
  query: <Query query="p95 latency by dag where app in ($app) and latency > 30s top 10" format="time_series" />,
  table: <Query query="attainment within 30s, p95 latency, errors, cost by dashboard min 20 vs 7d" format="table" />,
  list: <Query query="list queries where status = 'failed' order by latency desc limit 20" format="table" />,
  code: <Query query="p95 latency by dashbord where app = 'looker' or app = 'metabase'" format="table" />,
  config: <Settings jsonData={{}} />,
  redshift: (
    <Settings
      jsonData={{
        warehouse: 'redshift',
        host: 'warehouse.example.com',
        user: 'lakeapm',
        port: 5439,
        bill: [{ warehouse: 'prod', from: '2026-01-01T00:00:00Z', node_type: 'ra3.4xlarge', nodes: 4 }],
        rules: [
          { dimension: 'team', keys: ['meta.owner'] },
          { where: "user in ('svc_etl')", team: 'data' },
        ],
        limits: { rows: 100000 },
      }}
    />
  ),
  provisioned: <Settings jsonData={{ warehouse: 'redshift', auth: 'iam', host: 'warehouse.example.com', user: 'lakeapm' }} readOnly />,
  variable: <Variable />,
  annotation: <Annotation />,
  help: <Help datasource={datasource} query={{} as never} onClickExample={() => undefined} />,
};

createRoot(document.getElementById('root') as HTMLElement).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <main style={{ background: theme.colors.background.primary, padding: 16, minHeight: '100vh' }}>
      <h1>LakeAPM</h1>
      <h2>{address.get('show')}</h2>
      {PAGES[address.get('show') ?? 'query']}
    </main>
    <PortalContainer />
  </ThemeContext.Provider>
);
