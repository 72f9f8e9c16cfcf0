import { type Dimension, type Measure } from '../src/backend';
import { type Ast, type Measures } from '../src/query/ast';
import { LakeDatasource } from '../src/datasource';
import { PLUGIN_ID } from '../src/types';
import { templates } from './templates';

const nowhere = { from: 0, to: 0 };

export function measures(part: Partial<Measures>): Ast {
  return { measures: { items: [], by: [], filter: null, every: null, pick: null, min: null, vs: null, vs_span: nowhere, ...part } };
}

export const item = (measure: string, aggregate: Measures['items'][0]['aggregate'] = null) => ({ aggregate, measure, within: null, span: nowhere });
export const named = (name: string) => ({ name: { name, span: nowhere } });
export const equals = (name: string, text: string) => ({
  test: { field: named(name), test: { compare: { op: '=', value: { literal: { text }, span: nowhere } } } },
});

export const MEASURES: Measure[] = [
  { name: 'queries', title: 'Queries', unit: 'count', class: 'count', aggregates: [], about: 'Queries that ended.' },
  { name: 'latency', title: 'Latency', unit: 's', class: 'experienced', aggregates: ['avg', 'min', 'max', 'sum', 'pNN'], about: 'From sending to the end, with queueing.' },
  { name: 'attainment', title: 'Attainment', unit: 'ratio', class: 'ratio', aggregates: [] },
];

export const DIMENSIONS: Dimension[] = [
  { name: 'dag', title: 'DAG', about: 'The workflow that ran the query.', origin: 'canonical', groups: true },
  { name: 'app', title: 'App', about: 'The tool that sent the query.', origin: 'canonical', groups: true },
  { name: 'query_id', title: 'Query', about: "The warehouse's id of the query.", origin: 'fact', groups: false },
];

type Answers = Record<string, (body: never) => unknown>;

/** A data source whose backend answers as it is told, and remembers what it was asked. */
export function datasource(answers: Answers = {}, values: Record<string, string | string[]> = {}) {
  const asked: Array<[string, unknown]> = [];
  const answer = async (path: string, body?: unknown) => {
    asked.push([path, body]);
    const given = answers[path];
    if (given) {
      return given(body as never);
    }
    switch (path) {
      case 'measures':
        return MEASURES;
      case 'dimensions':
        return DIMENSIONS;
      case 'parse':
        return { error: { message: 'no query', from: 0, to: 0 } };
      default:
        return [];
    }
  };
  const source = new LakeDatasource(
    { id: 1, uid: 'apm', type: PLUGIN_ID, name: 'APM', meta: {}, readOnly: false, jsonData: {}, access: 'proxy' } as never,
    templates(values)
  );
  source.getResource = answer as never;
  source.postResource = answer as never;
  return { source, asked };
}
