// What Grafana needs of the dashboards and of the provisioning, and what a person does; the numbers are checked by
// `npm run targets`.

import { existsSync, readFileSync, readdirSync } from 'fs';
import { join } from 'path';
import { parse } from 'yaml';

import plugin from '../src/plugin.json';

const root = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource: { type: string; uid: string };
  targets: Array<{ refId: string; query: string; format: string; schemaVersion: number; datasource: { type: string; uid: string } }>;
  links?: Link[];
  fieldConfig: { defaults: { unit?: string; noValue?: string; links?: Link[] }; overrides: Array<{ properties: Array<{ id: string; value: unknown }> }> };
}

interface Link {
  title: string;
  url: string;
}

interface Variable {
  name: string;
  type: string;
  query: unknown;
  multi?: boolean;
  allValue?: string;
  datasource?: { type: string; uid: string };
}

interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  tags: string[];
  panels: Panel[];
  templating: { list: Variable[] };
  annotations: { list: Array<{ name: string; datasource: { type: string; uid: string } }> };
}

const files = readdirSync(join(root, 'dashboards')).filter((name) => name.endsWith('.json'));
const all = files.map((name) => [name, JSON.parse(read(`dashboards/${name}`)) as Dashboard] as const);
const panels = (dashboard: Dashboard) => dashboard.panels.filter(({ type }) => type !== 'row');
const links = (panel: Panel): Link[] => [
  ...(panel.links ?? []),
  ...(panel.fieldConfig.defaults.links ?? []),
  ...panel.fieldConfig.overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === 'links').flatMap(({ value }) => value as Link[])),
];

it('come with the plugin, all of them', () => {
  expect(plugin.includes.map(({ path }) => path).sort()).toEqual(files.map((name) => `dashboards/${name}`).sort());
  for (const { name, path } of plugin.includes) {
    expect(JSON.parse(read(path)).title).toBe(name);
  }
});

describe.each(all)('%s', (file, dashboard) => {
  it('is a classic dashboard with an identity of its own', () => {
    expect(dashboard.uid).toBe(`lakeapm-${file.replace('.json', '')}`);
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(dashboard.tags).toContain('lakeapm');
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(JSON.stringify(dashboard)).not.toMatch(/__inputs|DS_/);
  });

  it('asks the data source that its variable names', () => {
    const source = { type: plugin.id, uid: '${ds}' };
    expect(dashboard.templating.list[0]).toMatchObject({ type: 'datasource', name: 'ds', query: plugin.id });
    for (const panel of panels(dashboard)) {
      expect(panel.datasource).toEqual(source);
      for (const target of panel.targets) {
        expect(target.datasource).toEqual(source);
        expect(target.schemaVersion).toBe(1);
        expect(['time_series', 'table', 'logs']).toContain(target.format);
      }
    }
    for (const variable of dashboard.templating.list.filter(({ type }) => type === 'query')) {
      expect(variable.datasource).toEqual(source);
      if (variable.multi) {
        expect(variable.allValue).toBe('any');
      }
    }
    for (const event of dashboard.annotations.list.slice(1)) {
      expect(event.datasource).toEqual(source);
    }
  });

  it('uses only variables that it has', () => {
    const known = new Set(dashboard.templating.list.map(({ name }) => name));
    for (const text of panels(dashboard).flatMap(({ targets }) => targets.map(({ query }) => query))) {
      for (const [, braced, plain] of text.matchAll(/\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g)) {
        expect(known).toContain(braced ?? plain);
      }
    }
  });

  it('says of each panel what it means, what its values are, and what an empty one is', () => {
    for (const panel of panels(dashboard)) {
      expect([panel.title, (panel.description ?? '').length > 20]).toEqual([panel.title, true]);
      expect([panel.title, panel.fieldConfig.defaults.noValue]).toEqual([panel.title, expect.any(String)]);
      const units = [panel.fieldConfig.defaults.unit, ...panel.fieldConfig.overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === 'unit').map(({ value }) => value))];
      expect([panel.title, panel.title === 'Text' || units.some(Boolean)]).toEqual([panel.title, true]);
    }
  });

  it('leads from each panel one level down, to a dashboard there is', () => {
    const uids = new Set(all.map(([, { uid }]) => uid));
    for (const panel of panels(dashboard)) {
      expect([panel.title, links(panel).length > 0]).toEqual([panel.title, true]);
      for (const { title, url } of links(panel)) {
        expect(title).not.toBe('');
        expect(uids).toContain(url.match(/^\/d\/([^/]+)\//)?.[1]);
      }
    }
  });

  it('has a place for each panel, and no two in one', () => {
    const taken = new Set<string>();
    for (const { gridPos, title } of dashboard.panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, taken.has(`${x},${y}`)]).toEqual([title, false]);
          taken.add(`${x},${y}`);
        }
      }
    }
  });
});

describe('alert rules', () => {
  const groups = parse(read('provisioning/alerting/rules.yaml')).groups as Array<{ name: string; folder: string; interval: string; rules: Array<Record<string, never>> }>;
  const rules = groups.flatMap((group) => group.rules) as unknown as Array<{
    uid: string;
    title: string;
    condition: string;
    noDataState: string;
    execErrState: string;
    missing_series_evals_to_resolve: number;
    dashboardUid: string;
    panelId: number;
    annotations: { summary: string };
    data: Array<{ refId: string; datasourceUid: string; model: { query?: string; type?: string; expression?: string; timezone?: string } }>;
  }>;
  const sources = parse(read('provisioning/datasources/lakeapm.yaml')).datasources as Array<{ uid: string; type: string }>;

  it.each(rules.map((rule) => [rule.title, rule] as const))('%s', (_, rule) => {
    expect(rule.uid).toMatch(/^[\w-]{1,40}$/);
    expect(['OK', 'NoData', 'Alerting', 'KeepLast']).toContain(rule.noDataState);
    expect(rule.execErrState).toBe('Error');
    expect(rule.missing_series_evals_to_resolve).toBeGreaterThan(0);
    expect(rule.data.map(({ refId }) => refId)).toContain(rule.condition);
    const asked = rule.data.filter(({ datasourceUid }) => datasourceUid !== '__expr__');
    expect(asked.length).toBeGreaterThan(0);
    for (const { datasourceUid, model } of asked) {
      expect(sources.map(({ uid }) => uid)).toContain(datasourceUid);
      // Nobody replaces variables in a rule.
      expect(model.query).not.toMatch(/\$/);
    }
    const panel = all.find(([, { uid }]) => uid === rule.dashboardUid)?.[1].panels.find(({ id }) => id === rule.panelId);
    expect(panel).toBeDefined();
    // Every label that a message names is one of the groups.
    for (const [, label] of rule.annotations.summary.matchAll(/\$labels\.(\w+)/g)) {
      expect(asked[0]?.model.query).toMatch(new RegExp(`by .*\\b${label}\\b`));
    }
  });

  it('send what they find to a contact point there is', () => {
    const points = (parse(read('provisioning/alerting/contact-points.yaml')).contactPoints as Array<{ name: string }>).map(({ name }) => name);
    const [policy] = parse(read('provisioning/alerting/policies.yaml')).policies as Array<{ receiver: string; routes: Array<{ receiver: string }> }>;
    for (const { receiver } of [policy, ...(policy?.routes ?? [])].filter((each) => each !== undefined)) {
      expect(points).toContain(receiver);
    }
  });
});

it('is brought up by one file, from folders there are', () => {
  const { services } = parse(read('docker-compose.yaml')) as { services: Record<string, { volumes: string[] }> };
  const mounts = services.grafana?.volumes.filter((volume) => volume.startsWith('./')).map((volume) => volume.split(':')) ?? [];
  const folder = parse(read('provisioning/dashboards/lakeapm.yaml')).providers[0].options.path;
  expect(mounts.map(([, inside]) => inside)).toContain(folder);
  expect(mounts.map(([, inside]) => inside)).toContain(`/var/lib/grafana/plugins/${plugin.id}`);
  for (const [outside] of mounts.filter(([path]) => path !== './frontend/dist')) {
    expect(existsSync(join(root, outside ?? ''))).toBe(true);
  }
});
