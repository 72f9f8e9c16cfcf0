import { addFilters, nameOf } from './filters';

const app = { key: 'app', operator: '=', value: 'dbt' };

describe('ad hoc filters', () => {
  it.each([
    ['queries', [], 'queries'],
    ['queries', undefined, 'queries'],
    ['', [app], ''],
    ['p95 latency by dag', [app], "p95 latency by dag where app = 'dbt'"],
    ["queries where dag = 'a' or dag = 'b' every 1h", [app], "queries where (dag = 'a' or dag = 'b') and app = 'dbt' every 1h"],
    ["queries where dag in ('by', 'top') top 5", [app], "queries where (dag in ('by', 'top')) and app = 'dbt' top 5"],
    ["queries where (dag = 'a' and not (user = 'limit')) by dag", [app], "queries where ((dag = 'a' and not (user = 'limit'))) and app = 'dbt' by dag"],
    ["list queries where text ~ 'order by 1' order by latency desc", [app], "list queries where (text ~ 'order by 1') and app = 'dbt' order by latency desc"],
    ['queries where annotation.where is null', [app], "queries where (annotation.where is null) and app = 'dbt'"],
    ['queries where annotation."every ""top""" is null min 3', [app], 'queries where (annotation."every ""top""" is null) and app = \'dbt\' min 3'],
    ['queries', [{ key: 'dag', operator: '=|', value: 'a', values: ['a', "b'c"] }], "queries where dag in ('a', 'b''c')"],
    ['queries', [{ key: 'dag', operator: '!=|', value: 'a', values: ['a'] }], "queries where dag not in ('a')"],
    ['queries', [{ key: 'dag', operator: '=~', value: '^a' }, app], "queries where dag ~ '^a' and app = 'dbt'"],
    ['queries', [{ key: 'latency', operator: '>', value: '30s' }], 'queries where latency > 30s'],
    ['queries', [{ key: 'latency', operator: '<', value: '1 or 1=1' }], "queries where latency < '1 or 1=1'"],
    ['queries', [{ key: 'annotation.team name', operator: '!=', value: '(none)' }], 'queries where annotation."team name" != \'(none)\''],
    ['queries', [{ key: '', operator: '=', value: '' }], 'queries'],
    ['queries', [{ key: 'dag', operator: '%%', value: 'x' }], 'queries'],
  ])('%s with %j', (text, filters, expected) => {
    expect(addFilters(text, filters)).toBe(expected);
  });

  it('leaves keys alone that are quoted or need no quotes', () => {
    expect(['dag', 'annotation.a.b', 'annotation."x y"'].map(nameOf)).toEqual(['dag', 'annotation.a.b', 'annotation."x y"']);
  });
});
