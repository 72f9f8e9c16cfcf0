// The dashboards against Grafana's own types of them, and the provisioning against the keys of Grafana's documentation: a key
// that Grafana does not know is read by nobody and says nothing.

import { readFileSync, readdirSync } from 'fs';
import { join } from 'path';

import Ajv, { type ValidateFunction } from 'ajv';
import { type Config, createGenerator } from 'ts-json-schema-generator';
import { parse } from 'yaml';

const root = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
// The browser of the tests has none; schemas are JSON.
globalThis.structuredClone ??= (value) => JSON.parse(JSON.stringify(value));

const ajv = new Ajv({ allErrors: true, strict: false });

// The type of classic dashboards forgets the key, which Grafana reads (`FieldConfig` of `@grafana/data`).
const known = (key: string, value: unknown) => (key === 'fieldMinMax' ? undefined : value);

/** A schema that takes no key but those of the type. */
function schemaOf(type: string): ValidateFunction {
  const config: Config = { path: join(__dirname, 'schema.ts'), tsconfig: join(__dirname, '../tsconfig.json'), type, skipTypeCheck: true, additionalProperties: false };
  return ajv.compile(createGenerator(config).createSchema(type));
}

/** What is wrong, one line each. */
function wrong(valid: ValidateFunction, value: unknown): string[] {
  return valid(value) ? [] : [...new Set((valid.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`))];
}

interface Panel {
  type: string;
  title: string;
  options: unknown;
  fieldConfig: { defaults: { custom?: unknown }; overrides: Array<{ properties: Array<{ id: string; value: unknown }> }> };
}

describe('dashboards', () => {
  const dashboard = schemaOf('Root');
  const options = schemaOf('PanelOptions');
  const fields = schemaOf('PanelFields');
  const files = readdirSync(join(root, 'dashboards')).map((name) => [name, JSON.parse(read(`dashboards/${name}`), known)] as const);

  it.each(files)('%s has only what Grafana knows', (_, json) => {
    expect(wrong(dashboard, json)).toEqual([]);
    for (const { type, title, options: chosen, fieldConfig } of (json.panels as Panel[]).filter((panel) => panel.type !== 'row')) {
      expect([title, wrong(options, { [type]: chosen })]).toEqual([title, []]);
      expect([title, wrong(fields, { [type]: fieldConfig.defaults.custom ?? {} })]).toEqual([title, []]);
      for (const { id, value } of fieldConfig.overrides.flatMap(({ properties }) => properties).filter(({ id }) => id.startsWith('custom.'))) {
        // `custom.hideFrom.viz` sets a part of `custom.hideFrom`; the rest of it has defaults.
        const set = id.split('.').slice(1).reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
        const found = wrong(fields, { [type]: set }).filter((line) => !line.includes('must have required property'));
        expect([title, id, found]).toEqual([title, id, []]);
      }
    }
  });

  it('would be found with a misspelled key or a word that is none', () => {
    const [, first] = files[0] ?? [];
    expect(wrong(dashboard, { ...first, grphTooltip: 1 })).toHaveLength(1);
    expect(wrong(dashboard, { ...first, graphTooltip: 7 })).not.toEqual([]);
    expect(wrong(options, { stat: { colorMode: 'backgroud' } })).not.toEqual([]);
    expect(wrong(fields, { table: { cellOptions: { type: 'colour-text' } } })).not.toEqual([]);
  });
});

/** A JSON schema of an object with these keys and no other; those with a `!` must be there. */
function object(keys: Record<string, unknown>): object {
  const named = Object.entries(keys).map(([key, value]) => [key.replace('!', ''), value] as const);
  return { type: 'object', properties: Object.fromEntries(named), required: Object.keys(keys).flatMap((key) => (key.endsWith('!') ? [key.slice(0, -1)] : [])), additionalProperties: false };
}

const text = { type: 'string', minLength: 1 };
const whole = { type: 'integer', minimum: 0 };
const flag = { type: 'boolean' };
const any = { type: 'object' };
const duration = { type: 'string', pattern: '^(\\d+(ms|[smhdwy]))+$' };
const words = { type: 'object', additionalProperties: { type: 'string' } };
const list = (items: object) => ({ type: 'array', minItems: 1, items });
const file = (keys: Record<string, unknown>) => ({ ...object({ 'apiVersion!': { const: 1 }, ...keys }), minProperties: 2 });

// Grafana's documentation: Administration, Provision Grafana; Alerting, Use configuration files to provision.
const rule = object({
  'uid!': { type: 'string', pattern: '^[\\w-]{1,40}$' },
  'title!': { ...text, maxLength: 190 },
  'condition!': text,
  'data!': list(object({ 'refId!': text, queryType: text, relativeTimeRange: object({ 'from!': whole, 'to!': whole }), 'datasourceUid!': text, 'model!': any })),
  dashboardUid: text,
  panelId: whole,
  'noDataState!': { enum: ['Alerting', 'NoData', 'OK', 'KeepLast'] },
  'execErrState!': { enum: ['Alerting', 'Error', 'OK', 'KeepLast'] },
  'for!': duration,
  keepFiringFor: duration,
  missing_series_evals_to_resolve: { type: 'integer', minimum: 1 },
  annotations: words,
  labels: words,
  isPaused: flag,
  notification_settings: any,
});
const matcher = { type: 'array', items: [text, { enum: ['=', '!=', '=~', '!~'] }, { type: 'string' }], minItems: 3, additionalItems: false };
const route = { 'receiver!': text, group_by: list(text), group_wait: duration, group_interval: duration, repeat_interval: duration, object_matchers: list(matcher), mute_time_intervals: list(text), active_time_intervals: list(text), continue: flag };
const PROVISIONING: Record<string, object> = {
  datasources: file({
    datasources: list(
      object({ 'name!': text, 'type!': text, 'access!': { const: 'proxy' }, orgId: whole, uid: text, url: text, user: text, database: text, isDefault: flag, version: whole, editable: flag, jsonData: any, secureJsonData: words })
    ),
    deleteDatasources: list(object({ 'name!': text, orgId: whole })),
    prune: flag,
  }),
  dashboards: file({
    'providers!': list(
      object({ 'name!': text, 'type!': { const: 'file' }, orgId: whole, folder: text, folderUid: text, disableDeletion: flag, editable: flag, updateIntervalSeconds: whole, allowUiUpdates: flag, 'options!': object({ 'path!': text, foldersFromFilesStructure: flag }) })
    ),
  }),
  alerting: file({
    groups: list(object({ orgId: whole, 'name!': text, 'folder!': text, 'interval!': duration, 'rules!': list(rule) })),
    contactPoints: list(object({ orgId: whole, 'name!': text, 'receivers!': list(object({ 'uid!': text, 'type!': text, 'settings!': any, disableResolveMessage: flag })) })),
    policies: list(object({ orgId: whole, ...route, routes: list(object({ ...route, routes: any })) })),
  }),
};

describe('provisioning', () => {
  const files = Object.keys(PROVISIONING).flatMap((kind) => readdirSync(join(root, 'provisioning', kind)).map((name) => [kind, name] as const));

  it.each(files)('%s/%s has only keys that Grafana reads', (kind, name) => {
    expect(wrong(ajv.compile(PROVISIONING[kind] ?? {}), parse(read(`provisioning/${kind}/${name}`)))).toEqual([]);
  });

  it('is of these kinds only', () => {
    expect(readdirSync(join(root, 'provisioning')).sort()).toEqual(Object.keys(PROVISIONING).sort());
  });

  it('would be found with a misspelled key', () => {
    const rules = parse(read('provisioning/alerting/rules.yaml'));
    rules.groups[0].rules[0].missingSeriesEvalsToResolve = 3;
    expect(wrong(ajv.compile(PROVISIONING.alerting ?? {}), rules)).toHaveLength(1);
  });
});
