import {
  type AnnotationEvent,
  type AnnotationQuery,
  type AnnotationSupport,
  type DataFrame,
  FieldType,
} from '@grafana/data';
import { of } from 'rxjs';

import { type LakeDatasource } from '../datasource';
import { lazily } from '../lazily';
import { type LakeQuery } from '../types';

export const EVENTS = [
  {
    label: 'Failed runs',
    description: 'Executions of DAGs in which a query failed',
    query: "list runs where dag is not null and status = 'failed'",
  },
  {
    label: 'Deploys',
    description: 'Changes of the schema, one event a statement',
    query: "list queries where statement = 'ddl' and app = 'dbt'",
  },
  {
    label: 'Table growth',
    description: 'Statements that wrote more than ten million rows',
    query: 'list queries where rows_written > 10000000',
  },
] as const;

/** Events are the rows of a list, or the buckets of a measure that are not zero. */
export function annotationSupport(datasource: LakeDatasource): AnnotationSupport<LakeQuery> {
  return {
    QueryEditor: lazily(() => import(/* webpackChunkName: "annotation-editor" */ './AnnotationEditor')) as AnnotationSupport<LakeQuery>['QueryEditor'],
    getDefaultQuery: () => ({ query: EVENTS[0].query, format: 'table', mode: 'auto', schemaVersion: 1 }),
    prepareQuery: (annotation: AnnotationQuery<LakeQuery>) => {
      const target = annotation.target;
      return target?.query?.trim() ? { ...target, refId: target.refId ?? 'events', format: 'table' } : undefined;
    },
    processEvents: (_annotation, frames: DataFrame[]) => of(frames.flatMap((frame) => eventsOf(frame, datasource.uid))),
  };
}

// The columns that say what a row is about, the most telling first.
const TITLES = ['dag', 'model', 'dashboard', 'table', 'task', 'app', 'user'];
const TAGS = ['app', 'dag', 'task', 'model', 'dashboard', 'person', 'team', 'status'];

/** The events of one answer. */
export function eventsOf(frame: DataFrame, source?: string): AnnotationEvent[] {
  const field = (name: string) => frame.fields.find((each) => each.name === name);
  const start = field('started_at') ?? field('time') ?? frame.fields.find((each) => each.type === FieldType.time);
  if (!start) {
    return [];
  }
  const end = field('ended_at');
  const figures = frame.fields.filter((each) => each.type === FieldType.number);
  const isSeries = start.name === 'time';

  const events: AnnotationEvent[] = [];
  for (let row = 0; row < frame.length; row += 1) {
    const time: unknown = start.values[row];
    const said = (name: string): string | undefined => {
      const value: unknown = field(name)?.values[row];
      return value == null || value === '' || value === '(none)' ? undefined : String(value);
    };
    const amounts = figures.map((each) => [each.name, each.values[row] as number | null] as const);
    if (typeof time !== 'number' || (isSeries && !amounts.some(([, value]) => value))) {
      continue;
    }
    const until: unknown = end?.values[row];
    const title = TITLES.map(said).find((value) => value !== undefined) ?? frame.name ?? 'LakeAPM';
    const text = said('error') ?? said('text') ?? amounts.filter(([, value]) => value != null).map(([name, value]) => `${name} ${value}`).join(', ');
    events.push({
      time,
      ...(typeof until === 'number' && until > time ? { timeEnd: until, isRegion: true } : {}),
      title: [title, said('status')].filter(Boolean).join(' '),
      text: text.length > 500 ? `${text.slice(0, 500)}…` : text,
      tags: [...new Set(TAGS.map(said).filter((value) => value !== undefined))],
      ...(source ? { source: { datasource: { uid: source } } } : {}),
    });
  }
  return events;
}
