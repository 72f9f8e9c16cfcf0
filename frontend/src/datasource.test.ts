import { CoreApp, dateTime, FieldType, toDataFrame } from '@grafana/data';
import { DataSourceWithBackend } from '@grafana/runtime';
import { firstValueFrom, of } from 'rxjs';

import { datasource } from '../tests/backend';
import { eventsOf } from './annotations/support';
import { sentence } from './backend';
import { refreshes, zone } from './datasource';
import { type LakeQuery } from './types';
import { type LakeVariableSupport } from './variables/support';

const asked = (query: string): LakeQuery => ({ refId: 'A', query, format: 'table', mode: 'auto', schemaVersion: 1 });
const range = { from: dateTime('2026-11-01T00:00:00Z'), to: dateTime('2026-11-02T00:00:00Z'), raw: { from: 'now-1d', to: 'now' } };

afterEach(() => jest.restoreAllMocks());

describe('the data source', () => {
  it('replaces variables and adds filters, and nothing else', () => {
    const { source } = datasource({}, { dag: ['a', "b'c"], all: '$__all' });
    const filters = [{ key: 'app', operator: '=', value: 'dbt' }];
    const query = { ...asked('queries where dag in ($dag) and user in ($all) by app'), hide: false };
    expect(source.applyTemplateVariables(query, {}, filters)).toEqual({
      ...query,
      query: "queries where (dag in ('a', 'b''c') and user in (any)) and app = 'dbt' by app",
    });
  });

  it('asks nothing of an empty text', () => {
    const { source } = datasource();
    expect(source.filterQuery(asked(' '))).toBe(false);
    expect(source.filterQuery({ refId: 'A' } as LakeQuery)).toBe(false);
    expect(source.filterQuery(asked('queries'))).toBe(true);
  });

  it('begins with a question that shows something, everywhere', () => {
    const { source } = datasource();
    for (const app of [CoreApp.Dashboard, CoreApp.Explore, CoreApp.UnifiedAlerting, CoreApp.Unknown]) {
      expect(source.getDefaultQuery(app)).toMatchObject({ query: expect.stringMatching(/\w/), schemaVersion: 1 });
    }
    expect(source.getDefaultQuery(CoreApp.UnifiedAlerting).format).toBe('table');
    expect(source.getQueryDisplayText(asked('queries'))).toBe('queries');
  });

  it('says when a dashboard refreshes by itself', () => {
    for (const [search, expected] of [
      ['', false],
      ['?refresh=', false],
      ['?orgId=1&refresh=30s', true],
      ['?refresh=auto', true],
      ['?refresh=off', false],
    ] as const) {
      expect(refreshes(search)).toBe(expected);
    }
  });

  it("asks in the dashboard's time zone unless the query names one", () => {
    const { source } = datasource();
    const query = jest.spyOn(DataSourceWithBackend.prototype, 'query').mockReturnValue(of({ data: [] }));
    source.query({ timezone: 'Europe/Berlin', targets: [asked('queries'), { ...asked('queries'), timezone: 'Asia/Tokyo' }] } as never);
    expect(query.mock.calls[0]?.[0].targets).toMatchObject([{ timezone: 'Europe/Berlin' }, { timezone: 'Asia/Tokyo' }]);
    expect(zone('utc')).toBe('UTC');
    expect(zone('browser')).toBe(zone(undefined));
  });

  it('tells the keys and values of filters, each narrowed by the others', async () => {
    const { source, asked: sent } = datasource({
      'tag-keys': () => [{ text: 'DAG', value: 'dag' }],
      'tag-values': () => [{ text: '(none)', value: '(none)', queries: 3 }],
    });
    expect(await source.getTagKeys()).toEqual([{ text: 'DAG', value: 'dag' }]);
    const filters = [
      { key: 'dag', operator: '=', value: 'x' },
      { key: 'app', operator: '=', value: "d'bt" },
    ];
    expect(await source.getTagValues({ key: 'dag', filters })).toEqual([{ text: '(none)', value: '(none)' }]);
    expect(sent.at(-1)).toEqual(['tag-values', { key: 'dag', where: "app = 'd''bt'" }]);
  });
});

describe('variables', () => {
  const names = async (kind: string, query?: string) => {
    const { source } = datasource({ 'annotation-keys': () => [{ text: 'annotation.owner', value: 'annotation.owner', queries: 1 }] });
    jest.spyOn(DataSourceWithBackend.prototype, 'query').mockReturnValue(
      of({ data: [toDataFrame({ fields: [{ name: 'dag', type: FieldType.string, values: ['orders', '(none)', null] }, { name: 'queries', values: [3, 2, 1] }] })] })
    );
    const variables = source.variables as LakeVariableSupport;
    const response = await firstValueFrom(variables.query({ targets: [{ refId: 'v', kind, query }], range } as never));
    return response.data.map(({ value }: { value: string }) => value);
  };

  it('are the first column of an answer', async () => {
    expect(await names('query', 'values of dag')).toEqual(['orders', '(none)', '(none)']);
  });

  it('are names that can stand in a panel query', async () => {
    expect(await names('dimensions')).toEqual(['dag', 'app', 'annotation.owner']);
    expect(await names('annotation_keys')).toEqual(['annotation.owner']);
    expect(await names('measures')).toEqual(['queries', 'latency', 'attainment']);
  });
});

describe('annotations', () => {
  it('are the rows of a list, from start to end', () => {
    const frame = toDataFrame({
      fields: [
        { name: 'started_at', type: FieldType.time, values: [1000, 3000] },
        { name: 'ended_at', type: FieldType.time, values: [2000, null] },
        { name: 'dag', type: FieldType.string, values: ['orders', null] },
        { name: 'app', type: FieldType.string, values: ['airflow', 'dbt'] },
        { name: 'status', type: FieldType.string, values: ['failed', 'running'] },
        { name: 'text', type: FieldType.string, values: ['select 1', 'x'.repeat(600)] },
      ],
    });
    expect(eventsOf(frame)).toEqual([
      { time: 1000, timeEnd: 2000, isRegion: true, title: 'orders failed', text: 'select 1', tags: ['airflow', 'orders', 'failed'] },
      { time: 3000, title: 'dbt running', text: `${'x'.repeat(500)}…`, tags: ['dbt', 'running'] },
    ]);
  });

  it('are the buckets of a measure that are not zero', () => {
    const frame = toDataFrame({
      fields: [
        { name: 'time', type: FieldType.time, values: [1000, 2000, 3000] },
        { name: 'errors', type: FieldType.number, values: [0, 4, null] },
      ],
    });
    expect(eventsOf(frame)).toMatchObject([{ time: 2000, text: 'errors 4' }]);
    expect(eventsOf(toDataFrame({ fields: [{ name: 'queries', type: FieldType.number, values: [1] }] }))).toEqual([]);
  });
});

it('shows what the backend says of a failure, not what the transport calls it', () => {
  expect(sentence({ status: 400, statusText: 'Bad Request', data: { message: 'a', error: { message: 'b' } } })).toBe('b');
  expect(sentence({ data: { message: 'a' } })).toBe('a');
  expect(sentence(new Error('a'))).toBe('a');
  expect(sentence({ statusText: 'Bad Gateway' })).toBe('Bad Gateway');
  expect(sentence(undefined)).toMatch(/did not answer/);
});
