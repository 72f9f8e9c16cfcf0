import { equals, named } from '../../tests/backend';
import { aggregateOf, fieldOf, lengthOf, nameOfField, writeAggregate, writeLength } from './ast';
import { conditionOf, isWhole, rowsOf, type Row } from './conditions';

describe('conditions as rows', () => {
  const rows: Row[] = [
    { field: 'dag', operator: 'in', values: ['a', "b'c"] },
    { field: 'annotation."team name"', operator: 'not in', values: ['(none)'] },
    { field: 'app', operator: 'in', values: ['$app'] },
    { field: 'text', operator: '~', values: ['orders|returns'] },
    { field: 'latency', operator: '>', values: ['30s'] },
    { field: 'rows_read', operator: '<', values: ['1000'] },
    { field: 'person', operator: 'is null', values: [] },
    { field: 'signed', operator: 'is null', values: [] },
    { field: 'own', operator: 'is not null', values: [] },
  ];

  it('come back as they were', () => {
    expect(rowsOf(conditionOf(rows))).toEqual(rows);
    for (const row of rows) {
      expect(rowsOf(conditionOf([row]))).toEqual([row]);
    }
  });

  it('are numbers and lengths of time where they are written so', () => {
    expect(JSON.stringify(conditionOf(rows))).toContain('{"duration":{"count":30,"unit":"s"}}');
    expect(JSON.stringify(conditionOf(rows))).toContain('{"number":"1000"}');
  });

  it('leave out what says nothing yet', () => {
    expect(conditionOf([{ field: '', operator: 'in', values: ['a'] }])).toBeNull();
    expect(conditionOf([{ field: 'dag', operator: 'in', values: [] }])).toBeNull();
    expect(isWhole({ field: 'dag', operator: 'is null', values: [] })).toBe(true);
  });

  it('are not made of what no row can say', () => {
    expect(rowsOf({ or: [equals('a', '1'), equals('b', '2')] })).toBeUndefined();
    expect(rowsOf({ not: equals('a', '1') })).toBeUndefined();
    expect(rowsOf({ test: { field: named('dag'), test: { any: { negated: false } } } })).toBeUndefined();
    expect(rowsOf(null)).toEqual([]);
  });
});

describe('parts of the tree', () => {
  it('are written and read', () => {
    for (const text of ['p50', 'p99.9', 'avg', 'max', '']) {
      expect(writeAggregate(aggregateOf(text))).toBe(text);
    }
    for (const text of ['250ms', '1h', '1M', '1q', '']) {
      expect(writeLength(lengthOf(text))).toBe(text);
    }
    expect(lengthOf('1 hour')).toBeNull();
    for (const name of ['dag', 'annotation.a.b', 'annotation."team name"', 'annotation."a ""b"""']) {
      expect(nameOfField(fieldOf(name))).toBe(name);
    }
    expect(fieldOf('annotation."a ""b"""')).toEqual({ key: { key: 'a "b"', span: { from: 0, to: 0 } } });
  });
});
